"""Published sets of thresholds, as data files, and what they would keep and drop."""
