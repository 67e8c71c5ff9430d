"""Captions that were made elsewhere become rows of a dataset."""
