"""Rows to what a trainer reads: layouts as data, and one run that selects, writes, checks and reports."""
