"""Composition root: the only place that knows every room. Process entry points and the command line."""
