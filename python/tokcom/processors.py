"""How many processors this process may use."""

import os


def usable_processors() -> int:
    """Processors that this process may run on, at least 1: of a container, those it was given."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
