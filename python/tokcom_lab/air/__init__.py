"""Benchmark of the receiver under impairments implemented independently of `tokcom.channel`, against a genie."""
