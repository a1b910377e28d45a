"""Frames of a video per second, end to end, by the time that each stage takes of a processor core."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from tokcom.channel.awgn import awgn
from tokcom.frame import TokenFrame
from tokcom.link.bursts import BurstLink, compile_kernels
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import LeftOver
from tokcom.link.steady_view import SteadyView
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom.tokenizers.video import VideoTokenizer
from tokcom_lab.curves.video_curve import MCS

SENDER, GAP = ("tokenize", "transmit"), 400
"""Stages of the sender; and samples of noise before and after a burst."""


@dataclass(frozen=True)
class VideoSpeed:
    """Time per frame of a video.

    Attributes:
        esn0_db: Es/N0.
        visits: search passes per frame.
        frames: number of frames that count.
        core_ms: mean time per frame by stage, of one core: time in which other programs run does not count.
        frames_per_s: what a core for the sender and one for the receiver do together.
        ter: share of wrong tokens.
    """

    esn0_db: float
    visits: int
    frames: int
    core_ms: dict[str, float]
    frames_per_s: float
    ter: float


def speed(
    pictures: np.ndarray, model: str, moving: VideoTokenizer, shown: PictureTokenizer, esn0_db: float, seed: int = 0,
    device: str = "auto", done: Callable[[int], None] = lambda _: None,
) -> VideoSpeed:  # fmt: skip
    """Send a video, uint8 (n, size, size, 3), in bursts of one frame at MCS through noise that the receiver has to
    estimate; the first frame does not count. Networks take one core."""
    link = BurstLink(Transmitter(TransmitConfig(MCS)), Receiver([codebook(model)]))
    streams, rng = StreamRecovery(load_recovery(model, "context", device)), np.random.default_rng(seed)
    view = SteadyView()
    before: TokenFrame | None = None
    rows: list[dict[str, float]] = []
    wrong, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    compile_kernels()
    try:
        for number, picture in enumerate(pictures):
            spent: dict[str, float] = {}
            with _timed(spent, "tokenize"):
                earlier = pictures[number - 1] if number else None
                frame = moving.tokenize(picture, before, frame_id=number, picture_before=earlier)
            with _timed(spent, "transmit"):
                burst = link.transmit(frame, number)
            heard = awgn(np.pad(burst, GAP), esn0_db - ESN0_OVER_SNR_DB, rng)
            with _timed(spent, "receive"):
                (came,) = link.receive(heard)
            with _timed(spent, "recover"):
                found = streams.recover(0, LeftOver(came.frame, came.received)).frame
            with _timed(spent, "detokenize"):
                view.show(found, shown.detokenize(found))
            before = frame
            if number:
                rows.append(spent)
                wrong.append(np.mean(found.tokens != frame.tokens))
            done(1)
    finally:
        torch.set_num_threads(threads)
    core_ms = {name: 1000 * float(np.mean([row[name] for row in rows])) for name in rows[0]}
    sender = sum(core_ms[name] for name in SENDER)
    slower = max(sender, sum(core_ms.values()) - sender)
    return VideoSpeed(esn0_db, moving.visits, len(rows), core_ms, 1000 / slower, float(np.mean(wrong)))


@contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    spent[name] = time.process_time() - start
