"""Rows to what a trainer reads: one small file per trainer, one run that selects, writes, checks and reports."""
