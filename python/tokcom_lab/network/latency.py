"""Time of a whole picture over a path with losses: tokens with and without repeats, full ARQ, TCP."""

import time

import numpy as np

from tokcom.context.recovery import Recovery
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.repeat_requests import RepeatPolicy
from tokcom.protocol.repeat_risk import RepeatRisk
from tokcom_lab.network.material import Material, Progress
from tokcom_lab.network.simulated import DEADLINE_S, INTERVAL_S, send_all
from tokcom_lab.network.tcp import tcp_delays

LOSS, DELAY_S, ALPHA = 0.1, 0.025, 0.1
SEGMENT_BYTES = 372
"""A picture of 320 bytes with headers of IP and TCP."""


def latency_rows(
    material: Material, risk: RepeatRisk, seed: int, progress: Progress = lambda done: None
) -> list[dict]:  # fmt: skip
    """By scheme, 50th and 99th percentile of the milliseconds from a picture's offer until it can be shown.

    A picture can be shown when the receiver wants nothing more of it; with "full ARQ" and "TCP", when it is whole, or
    at the deadline. Time on the network is simulated; that of the model is not in it, but beside it.
    """
    path = PathSettings(LOSS, delay_s=DELAY_S)
    rows = []
    for scheme, repeats in (("tokens, no repeats", "none"), ("tokens, context-aware", "context"), ("full ARQ", "all")):
        policy = RepeatPolicy(material.prior, risk, ALPHA)
        got, sender, _ = send_all(
            material, path, path, repeats, seed, lambda question, p=policy: p.wanted(question.assembly)
        )
        progress(len(material.frames))
        delays = np.array([got[i][0] if i in got else DEADLINE_S for i in range(1, len(material.frames))])
        rows.append(_row(scheme, delays) | {"datagrams": sender.counters.datagrams})
    forward, backward = Path(path, seed), Path(path, seed + 1)
    delays = tcp_delays(len(material.frames), INTERVAL_S, SEGMENT_BYTES, forward, backward)
    return [*rows, _row("TCP", delays)]


def model_ms(material: Material, count: int = 20) -> float:
    """Median milliseconds that the model takes to guess a tenth of a picture's tokens, on this machine now."""
    taken = []
    for frame in material.frames[:count]:
        lost = np.random.default_rng(frame.frame_id).random(len(frame.tokens)) < LOSS
        left = frame.with_tokens(np.where(lost, -1, frame.tokens))
        started = time.perf_counter()
        Recovery(material.prior).recover(left)
        taken.append(time.perf_counter() - started)
    return 1000 * float(np.median(taken))


def _row(scheme: str, delays: np.ndarray) -> dict:
    p50, p99 = np.percentile(delays, [50, 99]) * 1000
    return {"scheme": scheme, "p50_ms": float(p50), "p99_ms": float(p99)}
