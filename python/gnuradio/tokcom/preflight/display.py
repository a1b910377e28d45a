"""Check of a flowgraph with a window before Qt, which aborts the program without a display."""

import subprocess
import sys

TRY_QT = "from PyQt5.QtWidgets import QApplication; QApplication([])"
PATIENCE = 30


def require_display() -> None:
    """End the program with a clear message if Qt cannot open a window."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", TRY_QT], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        said = next(iter(tried.stderr.strip().splitlines()), "") if tried.returncode else None
    except subprocess.TimeoutExpired:
        said = f"it does not answer in {PATIENCE} s"
    if said is not None:
        sys.exit(
            f"this flowgraph has a window, but there is no display for it ({said.strip()}). Run it on a desktop or "
            "through ssh -X; without a display, use a Link Monitor and an Image Sink in place of Image View, or set "
            "QT_QPA_PLATFORM=offscreen"
        )
