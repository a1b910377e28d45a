"""Checks of the machine: processor, memory, disk, and what the operating system allows."""

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
"""Of x86 processors; without them PyTorch and Numba are some times slower."""
LEAST_MEMORY = 3e9
"""Bytes. The demo takes 1.1 GB."""
LEAST_DISK = 1e9
LEAST_SOCKET_BUFFER = 2_500_000
"""Bytes that UHD asks of the kernel for each network socket."""


def processor() -> Finding:
    """Cores and vector instructions."""
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
            "it works, slowly; ./run bench phy says how fast; in a virtual machine, hand the host's processor through"
        )
        return Finding("Processor", State.WARNING, f"{found}, without {' and '.join(missing)}", remedy)
    if cores < 2:
        return Finding("Processor", State.WARNING, found, "transmitter and receiver at once want two cores")
    named = [flag for flag in (*FEATURES, "avx512f") if flags and flag in flags]
    return Finding("Processor", State.OK, f"{found}{', ' * bool(named)}{', '.join(named)}")


def memory() -> Finding:
    """Memory that can be had now."""
    lines = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
    if "MemAvailable" not in lines:
        return Finding("Memory", State.NOTE, "this system does not say", "")
    free = int(lines["MemAvailable"].split()[0]) * 1024
    found = f"{free / 1e9:.1f} GB free"
    if free < LEAST_MEMORY:
        return Finding("Memory", State.WARNING, found, f"have {LEAST_MEMORY / 1e9:.0f} GB free, or close something")
    return Finding("Memory", State.OK, found)


def disk() -> Finding:
    """Room in this folder, where results go."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    if not os.access(here, os.W_OK):
        remedy = "change to a folder of your own, or give --out and folders elsewhere"
        return Finding("Disk", State.WARNING, f"{here} cannot be written, and results go there by default", remedy)
    state, remedy = (State.OK, "") if free >= LEAST_DISK else (State.WARNING, "make room, or work in another folder")
    return Finding("Disk", state, f"{free / 1e9:.1f} GB free in {here}", remedy)


def kernel_cache() -> Finding:
    """A folder in which Numba may keep what it has compiled: beside the library, else the user's cache, else a
    temporary one."""
    beside, cache = usual_folders()
    named = os.environ.get("NUMBA_CACHE_DIR")
    remedy = "export NUMBA_CACHE_DIR as a folder that you may write"
    if named and Path(named).name.startswith(TEMPORARY):
        return Finding("Compiled kernels", State.NOTE, f"kept in {named}, until the machine restarts", remedy)
    for folder in [Path(named)] if named else [beside, cache]:
        if _writable(folder):
            return Finding(
                "Compiled kernels", State.OK, f"kept {'beside the library' if folder == beside else f'in {folder}'}"
            )
    found = f"{named} cannot be written" if named else f"neither {beside} nor {cache} can be written"
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
    """Whether a program may ask for real-time scheduling."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    if not sys.platform.startswith("linux"):
        return Finding("Real time", State.NOTE, "looked at on Linux only", "")
    if ask_python(code).ok:
        return Finding("Real time", State.OK, "programs may ask for real-time priority")
    remedy = (
        "for a radio above 1 MS/s: put '@usrp - rtprio 99' into /etc/security/limits.d/usrp.conf, yourself into the "
        "group usrp (sudo usermod -aG usrp $USER), and log in anew; without a radio there is no need"
    )
    return Finding("Real time", State.NOTE, "programs may not ask for real-time priority", remedy)


def socket_buffers() -> Finding:
    """How much a network socket may hold, which matters to a USRP on the network."""
    small = [
        name
        for name in ("rmem_max", "wmem_max")
        if (text := _read(f"/proc/sys/net/core/{name}").strip()).isdigit() and int(text) < LEAST_SOCKET_BUFFER
    ]
    if not small:
        return Finding("Network buffers", State.OK, "as large as UHD asks for")
    wanted = " ".join(f"net.core.{name}={LEAST_SOCKET_BUFFER}" for name in small)
    remedy = f"for a USRP on the network: sudo sysctl -w {wanted}"
    return Finding("Network buffers", State.NOTE, f"{' and '.join(small)} below what UHD asks for", remedy)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
