"""Checks of a flowgraph before it opens a radio, real or virtual: a clear message instead of a traceback."""
