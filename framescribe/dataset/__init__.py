"""Append-only tables of rows, keyed by clip: in a folder, local or on an object store, or in one file."""
