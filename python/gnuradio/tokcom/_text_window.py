"""Window of text_view; only that block imports this file, and with it Qt."""

from PyQt5.QtCore import QTimer
from PyQt5.QtGui import QColor, QTextCharFormat, QTextCursor
from PyQt5.QtWidgets import QLabel, QPlainTextEdit, QVBoxLayout, QWidget

POLL_MS = 100
"""Interval in ms at which the window looks for texts."""
BREAKS = dict.fromkeys(map(ord, "\r\n\u2029"), " ")
"""Line breaks, which inside a text would count as texts."""
INK, UNSURE = QColor("#1c2330"), QColor("#c0392b")


class TextWindow(QWidget):
    """Texts, one below the other; the latest is in sight.

    Parameters:
        title: heading.
        lines: texts that are kept.
        view: the text_view that provides them.
    """

    def __init__(self, title: str, lines: int, view: object):
        super().__init__()
        self._view = view
        self.setWindowTitle(title)
        self.setMinimumSize(480, 240)
        heading = QLabel(title)
        heading.setStyleSheet("font-size: 17px; font-weight: 600;")
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.setMaximumBlockCount(lines)
        self.page.setStyleSheet("background: #ffffff; font-size: 14px;")
        layout = QVBoxLayout(self)
        layout.addWidget(heading)
        layout.addWidget(self.page)
        self._sure, self._unsure = QTextCharFormat(), QTextCharFormat()
        self._sure.setForeground(INK)
        self._unsure.setForeground(UNSURE)
        self._unsure.setFontUnderline(True)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.show_next)
        self._timer.start(POLL_MS)

    def show_next(self) -> None:
        """Add the texts that wait."""
        for parts in self._view.next_texts():
            self.page.appendPlainText("")
            cursor = self.page.textCursor()
            cursor.movePosition(QTextCursor.End)
            for part, sure in parts:
                cursor.insertText(part.translate(BREAKS), self._sure if sure else self._unsure)
            self.page.setTextCursor(cursor)
