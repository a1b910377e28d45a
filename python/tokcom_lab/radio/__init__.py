"""Measurements of the GNU Radio blocks, beside GNU Radio's own in the same run, and as whole flowgraphs."""
