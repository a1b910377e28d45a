"""Checks of the machine: processor, memory, disk, limits of the operating system."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tokcom.doctor.finding import Finding, State
from tokcom.doctor.process import ask_python
from tokcom.kernel_cache import TEMPORARY, usual_folders
from tokcom.processors import usable_processors

FEATURES = ("avx2", "fma")
"""Instruction sets of x86 processors without which PyTorch and Numba are several times slower."""
LEAST_MEMORY = 3e9
"""Memory in bytes below which to warn; the demo takes 1.1 GB."""
LEAST_DISK = 1e9
LEAST_SOCKET_BUFFER = 2_500_000
"""Socket buffer in bytes that UHD requests from the kernel."""


def processor() -> Finding:
    """Check cores and vector instructions."""
    cores = usable_processors()
    text = _read("/proc/cpuinfo")
    model = next(
        (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "processor"
    )
    flags = next((line.split(":")[1].split() for line in text.splitlines() if line.startswith("flags")), None)
    found = f"{model}, {cores} core{'s' * (cores > 1)} to use"
    missing = [feature for feature in FEATURES if flags is not None and feature not in flags]
    if missing:
        remedy = (
            "it works, but slowly; ./run bench phy measures how fast; in a virtual machine, expose the host's processor"
        )
        return Finding("Processor", State.WARNING, f"{found}, without {' and '.join(missing)}", remedy)
    if cores < 2:
        return Finding("Processor", State.WARNING, found, "running transmitter and receiver together takes two cores")
    named = [flag for flag in (*FEATURES, "avx512f") if flags and flag in flags]
    return Finding("Processor", State.OK, f"{found}{', ' * bool(named)}{', '.join(named)}")


def memory() -> Finding:
    """Check the memory available now."""
    lines = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
    if "MemAvailable" not in lines:
        return Finding("Memory", State.NOTE, "not reported by this system", "")
    free = int(lines["MemAvailable"].split()[0]) * 1024
    found = f"{free / 1e9:.1f} GB free"
    if free < LEAST_MEMORY:
        return Finding("Memory", State.WARNING, found, f"have {LEAST_MEMORY / 1e9:.0f} GB free, or close something")
    return Finding("Memory", State.OK, found)


def disk() -> Finding:
    """Check free space in the current folder, where results go."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    if not os.access(here, os.W_OK):
        remedy = "change to a folder that you can write, or set --out to one"
        return Finding("Disk", State.WARNING, f"{here} is not writable, and results go there by default", remedy)
    state, remedy = (
        (State.OK, "") if free >= LEAST_DISK else (State.WARNING, "free some space, or work in another folder")
    )
    return Finding("Disk", state, f"{free / 1e9:.1f} GB free in {here}", remedy)


def kernel_cache() -> Finding:
    """Check the folder in which Numba caches compiled kernels: beside the library, else the user's cache, else a
    temporary folder."""
    beside, cache = usual_folders()
    named = os.environ.get("NUMBA_CACHE_DIR")
    remedy = "set NUMBA_CACHE_DIR to a folder that you can write"
    if named and Path(named).name.startswith(TEMPORARY):
        return Finding("Compiled kernels", State.NOTE, f"kept in {named}, until the machine restarts", remedy)
    for folder in [Path(named)] if named else [beside, cache]:
        if _writable(folder):
            return Finding(
                "Compiled kernels", State.OK, f"kept {'beside the library' if folder == beside else f'in {folder}'}"
            )
    found = f"{named} is not writable" if named else f"neither {beside} nor {cache} is writable"
    return Finding("Compiled kernels", State.FAILURE, found, remedy)


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def real_time() -> Finding:
    """Check whether programs may request real-time scheduling."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    if not sys.platform.startswith("linux"):
        return Finding("Real time", State.NOTE, "checked on Linux only", "")
    if ask_python(code).ok:
        return Finding("Real time", State.OK, "programs may request real-time priority")
    remedy = (
        "for a radio above 1 MS/s: put '@usrp - rtprio 99' into /etc/security/limits.d/usrp.conf, add yourself to the "
        "group usrp (sudo usermod -aG usrp $USER), and log in again; not needed without a radio"
    )
    return Finding("Real time", State.NOTE, "programs may not request real-time priority", remedy)


def socket_buffers() -> Finding:
    """Check the size limit of network sockets' buffers, which matters to a USRP on the network."""
    small = [
        name
        for name in ("rmem_max", "wmem_max")
        if (text := _read(f"/proc/sys/net/core/{name}").strip()).isdigit() and int(text) < LEAST_SOCKET_BUFFER
    ]
    if not small:
        return Finding("Network buffers", State.OK, "as large as UHD requests")
    wanted = " ".join(f"net.core.{name}={LEAST_SOCKET_BUFFER}" for name in small)
    remedy = f"for a USRP on the network: sudo sysctl -w {wanted}"
    return Finding("Network buffers", State.NOTE, f"{' and '.join(small)} below what UHD requests", remedy)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
