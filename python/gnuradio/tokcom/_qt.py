"""Requirements of blocks that have a window; Qt is imported only here and in the windows' files, so that all other
blocks work without it."""

import os

from tokcom.errors import MonitorError


def require_qt(block: str, without_qt: str, without_display: str) -> None:
    """Raise MonitorError unless a window can be made.

    Args:
        block: the block's name.
        without_qt: what to use where Qt is not installed.
        without_display: what to use where there is no display.
    """
    try:
        from PyQt5.QtWidgets import QApplication
    except ModuleNotFoundError as error:
        raise MonitorError(
            f"{block} needs PyQt5, which is not installed ({error}): install python3-pyqt5, or {without_qt}"
        ) from None
    if QApplication.instance() is None:
        shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
        raise MonitorError(
            f"{block} needs a Qt application: make a QApplication first, or let GNU Radio Companion generate a QT GUI"
            if shown
            else f"{block} needs a display, but DISPLAY is not set: {without_display}, or set QT_QPA_PLATFORM=offscreen"
        )
