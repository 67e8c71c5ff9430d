"""The look that the report and the review page share: ``look.css``."""
