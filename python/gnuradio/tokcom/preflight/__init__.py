"""What a flowgraph asks before it opens a radio, real or virtual: a clear message instead of a traceback."""
