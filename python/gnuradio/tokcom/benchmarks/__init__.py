"""Measurements that need GNU Radio: this module beside GNU Radio's own blocks, in the same run."""
