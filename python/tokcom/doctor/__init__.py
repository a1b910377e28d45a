"""Checks of an installation, with a remedy for each problem found.

It has to work where little else does, so it needs only the standard library and tries whatever may fail to load in a
separate process.
"""
