"""Memory in use by this process."""

import sys
from pathlib import Path


def resident_mb() -> float:
    """Return the resident memory in MB; if the system does not report it (macOS), its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="utf-8").split("VmRSS:")[1].split()[0]) / 1024
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)
