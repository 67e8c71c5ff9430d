"""Captions rewritten by a model of an endpoint: shorter, in another language, in a style, as JSON; each one checked."""
