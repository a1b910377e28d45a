"""Checks of an installation: what is found, and what to do where it is not right.

It has to work where little else does, so it needs the standard library alone, and asks everything that may fail to load
in a process of its own.
"""
