"""Cache folder for Numba's compiled kernels if neither the library's folder nor the user's home is writable."""

import logging
import os
import stat
import sys
import tempfile
from pathlib import Path

TEMPORARY = "tokcom-kernels-"
"""Prefix of the temporary folder's name."""

logger = logging.getLogger(__name__)


def provide_kernel_cache() -> None:
    """Give Numba a private temporary folder if it has no other: without one, its kernels cannot be imported.

    If NUMBA_CACHE_DIR names a folder already, nothing changes.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or any(_writable(folder) for folder in usual_folders()):
        return
    folder = _private_folder()
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    logger.warning("compiled kernels are kept in %s: neither the library's folder nor a home is writable", folder)


def usual_folders() -> tuple[Path, Path]:
    """Return the folders that Numba tries: beside the library, and in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(__file__).resolve().parent / "__pycache__", Path(cache) / "numba"


def _writable(folder: Path) -> bool:
    """Tell whether a folder, or the first existing one above it, is writable."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def _private_folder() -> Path:
    """Make a folder that only this user can write, the same at every call if that is safe: its content is executed."""
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / f"{TEMPORARY}{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix=TEMPORARY))
