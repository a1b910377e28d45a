"""Window of image_view; only that block imports this file, and with it Qt."""

from collections.abc import Callable

import numpy as np
from PyQt5.QtCore import QLineF, QRectF, QSize, Qt, QTimer
from PyQt5.QtGui import QBrush, QColor, QFont, QImage, QPainter, QPainterPath, QPen
from PyQt5.QtWidgets import QComboBox, QGridLayout, QLabel, QScrollArea, QSizePolicy, QWidget

from tokcom.metrics.frame_panels import TITLES, Panel
from tokcom.metrics.overlays import LOSS, heat_scale

PICTURES_MS, CATCH_UP_MS, FIGURES_MS = 40, 5, 250
"""Intervals in ms at which the window polls for pictures, for pictures while several wait, and for figures."""
INK, QUIET, LINE, PAPER, CARD = (QColor(code) for code in ("#1c2330", "#5d6778", "#dde2ea", "#f3f5f9", "#ffffff"))
ACCENT, ACCENT_2 = QColor("#0b6e63"), QColor(*LOSS)


class ViewWindow(QWidget):
    """Window with four pictures above, figures and charts below.

    Parameters:
        title: heading.
        view: the image_view that provides pictures and figures.
    """

    def __init__(self, title: str, view: object):
        super().__init__()
        self._view, self._fitted = view, False
        self.setWindowTitle(title)
        self.setMinimumSize(820, 560)
        self.setAttribute(Qt.WA_StyledBackground)
        self.setStyleSheet(f"background: {PAPER.name()}; color: {INK.name()};")
        heading = QLabel(title)
        heading.setStyleSheet("font-size: 17px; font-weight: 600;")
        self._pictures = [PictureCard(name.capitalize(), legend=name == "confidence") for name in TITLES]
        self._numbers, self._packets, self._quality = NumbersCard(), PacketsChart(), QualityChart()
        self._mcs, self._counters = McsChart(), CountersCard()
        layout = QGridLayout(self)
        layout.setContentsMargins(14, 10, 14, 14)
        layout.setSpacing(10)
        self._hint = QLabel()
        self._hint.setStyleSheet(f"font-size: 13px; font-weight: 600; color: {ACCENT_2.darker(130).name()};")
        self._hint.setAlignment(Qt.AlignRight | Qt.AlignVCenter)
        # A long hint is truncated, with the full text as a tool tip: it must not widen the window.
        self._hint.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)
        self._streams = StreamChoice(view)
        layout.addWidget(heading, 0, 0, 1, 4)
        layout.addWidget(self._streams, 0, 4, 1, 2)
        layout.addWidget(self._hint, 0, 6, 1, 6)
        for column, card in enumerate(self._pictures):
            layout.addWidget(card, 1, 3 * column, 1, 3)
        layout.addWidget(self._numbers, 2, 0, 2, 3)
        layout.addWidget(self._packets, 2, 3, 1, 3)
        layout.addWidget(self._quality, 3, 3, 1, 3)
        layout.addWidget(self._mcs, 2, 6, 2, 3)
        layout.addWidget(self._counters, 2, 9, 2, 3)
        for column in range(12):
            layout.setColumnStretch(column, 1)
        for row, share in ((1, 6), (2, 3), (3, 3)):
            layout.setRowStretch(row, share)
        self._timers = []
        self._catching_up = QTimer(self)
        self._catching_up.setSingleShot(True)
        self._catching_up.timeout.connect(self.show_next)
        for milliseconds, action in ((PICTURES_MS, self.show_next), (FIGURES_MS, self.show_figures)):
            timer = QTimer(self)
            timer.timeout.connect(action)
            timer.start(milliseconds)
            self._timers.append(timer)
        self.show_figures()

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        if not self._fitted:
            self._fitted = True
            QTimer.singleShot(0, self._fit)

    def _fit(self) -> None:
        """Enlarge the enclosing window if a scroll area shows only part of this one, as in a flowgraph; never beyond
        the screen."""
        area, top = self.parentWidget(), self.window()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None or area.widget() is None:
            return
        room = top.screen().availableGeometry().size() - QSize(20, 60)
        wanted = top.size() - area.viewport().size() + area.widget().sizeHint()
        top.resize(top.size().expandedTo(wanted).boundedTo(room))

    def sizeHint(self) -> QSize:
        return QSize(1120, 650)

    def show_next(self) -> None:
        """Show the next waiting frame, if any; if more are waiting, continue as soon as it is painted."""
        panels = self._view.next_panels()
        if panels is None:
            return
        for card, panel in zip(self._pictures, panels, strict=True):
            card.show_panel(panel)
        if self._view.queue_length > 1 and not self._catching_up.isActive():
            self._catching_up.start(CATCH_UP_MS)

    def show_figures(self) -> None:
        """Show the figures as they are now."""
        self._streams.offer(self._view.streams)
        figures, frames = self._view.figures(), self._view.recent_figures()
        self._numbers.show_figures(self._view.latest_figures(), figures, len(frames))
        self._hint.setText(figures["hint"] or "")
        self._hint.setToolTip(figures["hint"] or "")
        self._mcs.show_histogram(figures["mcs"])
        self._counters.show_figures(figures)
        self._packets.show_values([100 * frame.per for frame in frames])
        self._quality.show_values([np.nan if frame.esn0_db is None else frame.esn0_db for frame in frames])


class StreamChoice(QComboBox):
    """Choice of the stream shown: all, or one of those received. Hidden if there is only one stream.

    Parameters:
        view: the image_view that is told.
    """

    def __init__(self, view: object):
        super().__init__()
        self._view = view
        self.addItem("all streams", None)
        self.setVisible(False)
        self.currentIndexChanged.connect(self._choose)

    def offer(self, streams: list[int]) -> None:
        """Add the streams that are not in the list yet."""
        for stream in streams:
            if self.findData(stream) < 0:
                self.addItem(f"stream {stream}", stream)
        self.setVisible(self.count() > 2)

    def _choose(self, _: int) -> None:
        self._view.show_stream(self.currentData())


class Card(QWidget):
    """White card with a title, whose content is painted by `paint`."""

    def __init__(self, title: str):
        super().__init__()
        self._title = title
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(240, 120)

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.Antialiasing | QPainter.TextAntialiasing)
        plate = QPainterPath()
        plate.addRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 7, 7)
        painter.fillPath(plate, CARD)
        painter.setPen(QPen(LINE))
        painter.drawPath(plate)
        painter.setPen(INK)
        painter.setFont(font(12, bold=True))
        painter.drawText(QRectF(12, 8, self.width() - 24, 18), Qt.AlignLeft | Qt.AlignVCenter, self._title)
        self.paint(painter, QRectF(12, 32, self.width() - 24, self.height() - 44))

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """Paint the content of the card into an area."""


class PictureCard(Card):
    """Card with a picture and its caption."""

    def __init__(self, title: str, legend: bool = False):
        super().__init__(title)
        self._image: QImage | None = None
        self._caption, self._empty = "", "no picture yet"
        scale = heat_scale(64)
        self._legend = image_of(scale) if legend else None

    def show_panel(self, panel: Panel) -> None:
        self._image = None if panel.picture is None else image_of(panel.picture)
        self._caption, self._empty = panel.caption, "no picture"
        self.update()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        frame = area.adjusted(0, 0, 0, -24)
        side = min(frame.width(), frame.height())
        place = QRectF(frame.center().x() - side / 2, frame.top(), side, side)
        painter.setFont(font(11))
        if self._image is None:
            painter.fillRect(place, PAPER)
            painter.setPen(QUIET)
            painter.drawText(place, Qt.AlignCenter, self._empty)
        else:
            painter.setRenderHint(QPainter.SmoothPixmapTransform)
            painter.drawImage(place, self._image)
        painter.setPen(QUIET)
        below = QRectF(area.left(), place.bottom() + 5, area.width(), 19)
        text = painter.fontMetrics().elidedText(self._caption, Qt.ElideRight, int(area.width()))
        painter.drawText(below, Qt.AlignHCenter | Qt.AlignVCenter, text)
        if self._legend is not None:
            painter.setFont(font(10))
            bar = QRectF(self.width() - 104, 14, 48, 8)
            painter.drawImage(bar, self._legend)
            painter.drawText(QRectF(bar.left() - 40, 8, 36, 20), Qt.AlignRight | Qt.AlignVCenter, "sure")
            painter.drawText(QRectF(bar.right() + 4, 8, 44, 20), Qt.AlignLeft | Qt.AlignVCenter, "doubt")


class NumbersCard(Card):
    """Card with the figures as numbers, of the last frame and averaged over the last ones."""

    def __init__(self):
        super().__init__("Link")
        self._rows: list[tuple[str, str, str]] = []

    def show_figures(self, latest: dict, figures: dict, frames: int) -> None:
        def row(name: str, key: str, text: Callable[[float | None], str]) -> tuple[str, str, str]:
            return name, text(latest[key]), text(figures[key])

        self._rows = [
            ("", "last", f"mean of {frames}"),
            row("packets lost", "per", percent),
            row("… after recovery", "per_recovered", percent),
            row("tokens wrong", "ter", percent),
            row("… as expected", "ter_expected", percent),
            row("Es/N0 in dB", "esn0_db", decimal),
            row("EVM in dB", "evm_db", decimal),
            row("offset in Hz", "cfo_hz", whole),
            row("clock in ppm", "clock_offset_ppm", decimal),
        ]
        self.update()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        line = min(26.0, area.height() / max(1, len(self._rows)))
        middle = area.left() + 0.72 * area.width()
        for number, (name, last, mean) in enumerate(self._rows):
            top = area.top() + number * line
            heading = not number
            painter.setPen(QUIET)
            painter.setFont(font(11))
            painter.drawText(QRectF(area.left(), top, area.width(), line), Qt.AlignLeft | Qt.AlignVCenter, name)
            painter.setFont(font(11 if heading else 12, bold=not heading))
            painter.setPen(QUIET if heading else INK)
            painter.drawText(
                QRectF(area.left(), top, middle - area.left(), line), Qt.AlignRight | Qt.AlignVCenter, last
            )
            painter.setPen(QUIET)
            painter.setFont(font(11))
            painter.drawText(QRectF(middle, top, area.right() - middle, line), Qt.AlignRight | Qt.AlignVCenter, mean)


class CountersCard(Card):
    """Frames, queues and drops."""

    def __init__(self):
        super().__init__("Frames, queues, drops")
        self._rows: list[tuple[str, str]] = []

    def show_figures(self, figures: dict) -> None:
        queued, dropped = figures["queued"], figures["dropped"]
        self._rows = [
            ("frames", f"{figures['frames']}"),
            ("… a second", f"{figures['frames_per_second']:.1f}"),
            ("… missed", f"{figures['frames_missed']}"),
            *([("last at", f"{figures['rx_time']:.6f} s")] if figures["rx_time"] is not None else []),
            ("stage", "waiting / dropped"),
            *((name, f"{queued.get(name, 0)} / {dropped.get(name, 0)}") for name in sorted(queued | dropped)),
        ]
        self.update()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        paint_rows(painter, area, self._rows, least=8)


class Chart(Card):
    """Card with one value per frame for the last frames."""

    def __init__(self, title: str):
        super().__init__(title)
        self._values: list[float] = []

    def show_values(self, values: list[float]) -> None:
        self._values = values
        self.update()

    def paint_axis(self, painter: QPainter, area: QRectF, low: float, high: float, unit: str) -> QRectF:
        """Paint two grid lines with their values; return the plot's area."""
        plot = area.adjusted(40, 4, 0, -4)
        painter.setFont(font(10))
        for value, y in ((high, plot.top()), (low, plot.bottom())):
            painter.setPen(QPen(LINE))
            painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
            painter.setPen(QUIET)
            label = QRectF(area.left(), y - 8, 34, 16)
            painter.drawText(label, Qt.AlignRight | Qt.AlignVCenter, f"{value:g}{unit}")
        return plot


class PacketsChart(Chart):
    """Chart of the packets lost per frame, as bars."""

    def __init__(self):
        super().__init__("Packets lost, frame by frame")

    def paint(self, painter: QPainter, area: QRectF) -> None:
        highest = max(self._values, default=0)
        top = next(limit for limit in (5, 10, 25, 50, 100) if highest <= limit)
        plot = self.paint_axis(painter, area, 0, top, "%")
        step = plot.width() / max(40, len(self._values))
        painter.setPen(Qt.NoPen)
        painter.setBrush(QBrush(ACCENT_2))
        for place, value in enumerate(reversed(self._values)):
            height = plot.height() * value / top
            width = max(1.0, step - 1.5)
            painter.drawRect(QRectF(plot.right() - (place + 1) * step, plot.bottom() - height, width, height))


class QualityChart(Chart):
    """Chart of the Es/N0 per frame, as a line."""

    def __init__(self):
        super().__init__("Es/N0 in dB, frame by frame")

    def paint(self, painter: QPainter, area: QRectF) -> None:
        known = [value for value in self._values if np.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0, 10)
        low, high = 5 * np.floor((low - 0.5) / 5), 5 * np.ceil((high + 0.5) / 5)
        plot = self.paint_axis(painter, area, low, high, "")
        step = plot.width() / max(40, len(self._values))
        path = QPainterPath()
        for place, value in enumerate(reversed(self._values)):
            if np.isfinite(value):
                x = plot.right() - (place + 0.5) * step
                y = plot.bottom() - plot.height() * (value - low) / (high - low)
                path.lineTo(x, y) if path.elementCount() else path.moveTo(x, y)
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QPen(ACCENT, 1.8))
        painter.drawPath(path)


class McsChart(Card):
    """Card with the packets of the last frames by MCS."""

    def __init__(self):
        super().__init__("Packets by modulation and coding")
        self._counts: dict[str, int] = {}

    def show_histogram(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self.update()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        total = sum(self._counts.values())
        line = area.height() / max(1, len(self._counts))
        painter.setFont(font(10))
        for row, (name, count) in enumerate(self._counts.items()):
            top = area.top() + row * line
            painter.setPen(INK if count else QUIET)
            painter.drawText(QRectF(area.left(), top, 70, line), Qt.AlignLeft | Qt.AlignVCenter, name)
            share = count / total if total else 0
            bar = QRectF(area.left() + 74, top + line * 0.2, (area.width() - 74 - 40) * share, line * 0.6)
            painter.fillRect(bar, ACCENT)
            if count:
                text = QRectF(bar.right() + 5, top, 40, line)
                painter.drawText(text, Qt.AlignLeft | Qt.AlignVCenter, f"{100 * share:.0f}%")


def paint_rows(painter: QPainter, area: QRectF, rows: list[tuple[str, str]], least: int = 0) -> None:
    """Paint rows of names on the left and values on the right."""
    line = min(26.0, area.height() / max(1, len(rows), least))
    for row, (name, value) in enumerate(rows):
        place = QRectF(area.left(), area.top() + row * line, area.width(), line)
        painter.setPen(QUIET)
        painter.setFont(font(11))
        painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, name)
        painter.setPen(INK)
        painter.setFont(font(12, bold=True))
        painter.drawText(place, Qt.AlignRight | Qt.AlignVCenter, value)


def font(pixels: int, bold: bool = False) -> QFont:
    """Return the application's font in a size."""
    made = QFont()
    made.setPixelSize(pixels)
    made.setBold(bold)
    return made


def image_of(picture: np.ndarray) -> QImage:
    """Convert uint8 (height, width, 3) to a Qt image, which owns a copy."""
    height, width = picture.shape[:2]
    return QImage(np.ascontiguousarray(picture).tobytes(), width, height, 3 * width, QImage.Format_RGB888).copy()


def percent(share: float | None) -> str:
    """Format a share of 1 as a percentage."""
    return "-" if share is None else f"{100 * share:.2f}%"


def decimal(value: float | None) -> str:
    """Format a value with one decimal."""
    return "-" if value is None else f"{value:.1f}"


def whole(value: float | None) -> str:
    """Format a value as an integer."""
    return "-" if value is None else f"{round(value)}"
