"""The GNU Radio blocks measured: beside GNU Radio's own, in the same run, and as whole flowgraphs."""
