"""Running figures of a link, computed from its last frames."""

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.mcs import mcs_table
from tokcom.metrics.hints import hint_of
from tokcom.metrics.tokens import token_error_rate
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.packets.mcs_map import MCS_NOT_SENT

RATE_SECONDS = 5.0
"""Time over which frames per second are counted."""
LARGEST_GAP = 256
"""Largest step of the frame number that counts as a gap; a larger one means that the transmitter restarted."""
RATES = ("per", "per_recovered", "ter", "ter_expected")
CHANNEL = ("esn0_db", "cfo_hz", "clock_offset_ppm", "evm_db")
COUNTS = ("frames", "frames_missed")
LATEST = ("rx_time", "hint")
"""Figures of the latest frame; the hint is the latest one in the window."""
MAX_STREAMS = 64
"""Maximum number of streams told apart, as many as a burst header can name; beyond it the longest silent one goes."""
NOT_SENT = "not sent"
"""Name used in place of an MCS for packets that the transmitter left out."""


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one received frame; None where unknown.

    Attributes:
        stream_id, frame_id: which frame it is.
        packets: packets in its burst.
        packets_lost: packets that failed their CRC.
        packets_open: packets that recovery could not accept.
        mcs: uint8 (packets,), MCS of each packet.
        ter: share of tokens wrong after recovery, if the sent ones are known.
        ter_expected: the receiver's estimate of that share, the mean of 1 - confidence.
        esn0_db: Es/N0 in dB.
        cfo: carrier frequency offset in rad/sample.
        clock_offset_ppm: offset of the sampling clocks.
        evm_db: error vector magnitude in dB.
        rx_time: time of reception of its burst, in seconds of the radio's clock.
        hint: the receiver's hints as text; may be empty.
    """

    stream_id: int
    frame_id: int
    packets: int
    packets_lost: int
    packets_open: int | None = None
    mcs: np.ndarray | None = None
    ter: float | None = None
    ter_expected: float | None = None
    esn0_db: float | None = None
    cfo: float | None = None
    clock_offset_ppm: float | None = None
    evm_db: float | None = None
    rx_time: float | None = None
    hint: str = ""

    @property
    def per(self) -> float:
        """Share of packets lost."""
        return self.packets_lost / self.packets


def frame_figures(
    meta: Mapping, tokens: np.ndarray | None = None, sent_tokens: np.ndarray | None = None
) -> FrameFigures:
    """Compute a frame's figures from its metadata.

    Args:
        meta: metadata, with the keys of `tokcom.keys`.
        tokens: int array (n,), the tokens after recovery.
        sent_tokens: int array (n,), the tokens that were sent.

    Raises:
        FrameError: the metadata lack valid numbers of packets sent and lost, or tokens differ in number.
    """
    packets, lost = meta.get(keys.PACKETS), meta.get(keys.PACKETS_LOST)
    if not isinstance(packets, int) or not isinstance(lost, int) or not 0 <= lost <= packets or packets < 1:
        raise FrameError(
            f"{lost!r} of {packets!r} packets lost cannot be counted; metadata of a received frame are needed"
        )
    return FrameFigures(
        stream_id=meta.get(keys.STREAM_ID, 0),
        frame_id=meta.get(keys.FRAME_ID, 0),
        packets=packets,
        packets_lost=lost,
        packets_open=meta.get(keys.PACKETS_OPEN),
        mcs=meta.get(keys.MCS),
        ter=None if tokens is None or sent_tokens is None else token_error_rate(sent_tokens, tokens),
        ter_expected=expected_ter(meta),
        esn0_db=meta.get(keys.ESN0_DB),
        cfo=meta.get(keys.CFO),
        clock_offset_ppm=meta.get(keys.CLOCK_OFFSET_PPM),
        evm_db=meta.get(keys.EVM_DB),
        rx_time=rx_seconds(meta),
        hint=hint_of(meta),
    )


def rx_seconds(meta: Mapping) -> float | None:
    """Extract the time of reception of a frame's burst, in seconds of the radio's clock; None if unknown."""
    try:
        whole, fraction = meta.get(keys.RX_TIME)
        return float(whole) + float(fraction)
    except (TypeError, ValueError):
        return None


def expected_ter(meta: Mapping) -> float | None:
    """Estimate the share of a frame's tokens that are wrong, the mean of 1 - confidence; None if unknown."""
    confidence = meta.get(keys.CONFIDENCE)
    # Tokens kept as decoded have no confidence.
    told = confidence is not None and meta.get(keys.MODE) != "keep"
    return float(1 - np.mean(confidence)) if told else None


class _Window:
    """Frames of one stream, or of all: their number, and the latest ones."""

    def __init__(self, size: int):
        self.frames: deque[FrameFigures] = deque(maxlen=size)
        self._times: deque[float] = deque()
        self._began: float | None = None
        self.count = self.missed = 0
        self._last: dict[int, int] = {}

    def add(self, frame: FrameFigures, now: float) -> None:
        self._began = now if self._began is None else self._began
        self.frames.append(frame)
        self._times.append(now)
        self._forget(now)
        self.count += 1
        gap = (frame.frame_id - self._last.get(frame.stream_id, frame.frame_id - 1)) % FRAME_IDS
        if 1 < gap <= LARGEST_GAP:
            self.missed += gap - 1
        self._last[frame.stream_id] = frame.frame_id

    def amend(self, stream_id: int, frame_id: int, ter: float) -> None:
        for place in reversed(range(len(self.frames))):
            frame = self.frames[place]
            if (frame.stream_id, frame.frame_id % FRAME_IDS) == (stream_id, frame_id % FRAME_IDS):
                self.frames[place] = replace(frame, ter=ter)
                return

    def per_second(self, now: float) -> float:
        """Frames per second over the last RATE_SECONDS."""
        self._forget(now)
        seconds = min(RATE_SECONDS, now - self._began) if self._began is not None else 0.0
        return len(self._times) / seconds if seconds >= 1 else float(len(self._times))

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] <= now - RATE_SECONDS:
            self._times.popleft()


class LinkFigures:
    """Accumulator of a link's frames and counters, by stream and in total; thread-safe.

    Args:
        sample_rate: sample rate in Hz, above 0; used to convert rad/sample to Hz.
        window: number of latest frames, per stream and in total, over which rates and means are computed, at least 1.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(self, sample_rate: float = 1e6, window: int = 100):
        if not 0 < sample_rate <= 1e12:
            raise ParameterError(f"sample_rate is {sample_rate}; it must be above 0 Hz and at most 1e12")
        if window < 1:
            raise ParameterError(f"window is {window}; it must be at least 1 frame")
        self._hz, self._size = sample_rate / (2 * np.pi), window
        self._all, self._streams = _Window(window), OrderedDict[int, _Window]()
        self._counters: dict[str, int] = {}
        self._hint = ""
        self._turn = threading.Lock()

    def add(self, frame: FrameFigures, now: float) -> None:
        """Add a frame that arrived at time `now` in seconds; times must not decrease."""
        with self._turn:
            self._hint = ""
            own = self._streams.setdefault(frame.stream_id, _Window(self._size))
            self._streams.move_to_end(frame.stream_id)
            for window in (self._all, own):
                window.add(frame, now)
            if len(self._streams) > MAX_STREAMS:
                self._streams.popitem(last=False)

    def amend(self, stream_id: int, frame_id: int, ter: float) -> None:
        """Set the share of wrong tokens of a frame in the window, if the sent tokens become known after its arrival."""
        with self._turn:
            for window in (self._all, self._streams.get(stream_id)):
                if window is not None:
                    window.amend(stream_id, frame_id, ter)

    def note_counters(self, meta: Mapping) -> None:
        """Take queues, drops and hints from metadata; hints hold until the next frame."""
        found = {key: meta[key] for key in meta if key.startswith((keys.QUEUED, keys.DROPPED))}
        hint = hint_of(meta)
        with self._turn:
            self._counters |= found
            self._hint = hint or self._hint

    @property
    def streams(self) -> list[int]:
        """Numbers of the streams told apart."""
        with self._turn:
            return sorted(self._streams)

    def frames(self, stream_id: int | None = None) -> list[FrameFigures]:
        """Frames of the window, of a stream or of all, the latest last."""
        with self._turn:
            window = self._all if stream_id is None else self._streams.get(stream_id)
            return [] if window is None else list(window.frames)

    def figures(self, now: float) -> dict:
        """Compute the running figures at time `now` in seconds.

        Returns:
            frames: total number of frames received; frames_missed: gaps in their numbers (bursts not found, frames
                dropped); frames_per_second: over the last RATE_SECONDS. Over the window: per, share of packets lost;
                per_recovered, share that recovery could not accept; ter, share of tokens wrong after recovery, if the
                sent ones are known; ter_expected, the receiver's estimate of ter; the means esn0_db, cfo_hz,
                clock_offset_ppm and evm_db; mcs, number of packets by name of MCS. rx_time: that of the latest frame,
                in seconds. streams: all of the above per stream, keyed by its number as text. hint: the latest in the
                window. queued and dropped: frames by stage. Shares are of 1; unknown figures are None.
        """
        with self._turn:
            figures = self._of(self._all, now)
            figures["streams"] = {str(number): self._of(self._streams[number], now) for number in sorted(self._streams)}
            counters, hint = dict(self._counters), self._hint
            hints = [frame.hint for frame in self._all.frames if frame.hint]
        return figures | {
            "hint": hint or (hints[-1] if hints else None),
            "queued": _stages(counters, keys.QUEUED),
            "dropped": _stages(counters, keys.DROPPED),
        }

    def latest(self, stream_id: int | None = None) -> dict:
        """RATES and CHANNEL of the latest frame alone, of a stream or of all; unknown figures are None."""
        return self._means(self.frames(stream_id)[-1:])

    def _of(self, window: _Window, now: float) -> dict:
        """Compute the figures of a window that exist per stream."""
        frames = list(window.frames)
        return {
            "frames": window.count,
            "frames_missed": window.missed,
            "frames_per_second": window.per_second(now),
            **self._means(frames),
            "mcs": _histogram(frames),
            "rx_time": frames[-1].rx_time if frames else None,
        }

    def _means(self, frames: list[FrameFigures]) -> dict[str, float | None]:
        """Compute RATES and CHANNEL over frames."""
        opened = [frame for frame in frames if frame.packets_open is not None]
        cfo = _mean(frame.cfo for frame in frames)
        return {
            "per": _share(frames, "packets_lost"),
            "per_recovered": _share(opened, "packets_open"),
            "ter": _mean(frame.ter for frame in frames),
            "ter_expected": _mean(frame.ter_expected for frame in frames),
            "esn0_db": _mean(frame.esn0_db for frame in frames),
            "cfo_hz": None if cfo is None else cfo * self._hz,
            "clock_offset_ppm": _mean(frame.clock_offset_ppm for frame in frames),
            "evm_db": _mean(frame.evm_db for frame in frames),
        }


def _mean(values: object) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _share(frames: list[FrameFigures], name: str) -> float | None:
    packets = sum(frame.packets for frame in frames)
    return sum(getattr(frame, name) for frame in frames) / packets if packets else None


def _histogram(frames: list[FrameFigures]) -> dict[str, int]:
    """Count packets by name of MCS, in the order of the table."""
    names = {row.index: row.name for row in mcs_table()} | {MCS_NOT_SENT: NOT_SENT}
    used = [frame.mcs for frame in frames if frame.mcs is not None]
    counts = np.bincount(np.concatenate(used), minlength=MCS_NOT_SENT + 1) if used else np.zeros(MCS_NOT_SENT + 1, int)
    return {name: int(counts[index]) for index, name in names.items()}


def _stages(counters: dict[str, int], beginning: str) -> dict[str, int]:
    return {key.removeprefix(beginning): n for key, n in sorted(counters.items()) if key.startswith(beginning)}
