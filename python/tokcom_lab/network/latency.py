"""Time of a whole picture over a path with losses: tokens with and without repeats, full ARQ, TCP."""

import numpy as np

from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.repeat_requests import RepeatPolicy
from tokcom.protocol.repeat_risk import RepeatRisk
from tokcom_lab.network.material import Material, Progress
from tokcom_lab.network.simulated import DEADLINE_S, INTERVAL_S, send_all
from tokcom_lab.network.tcp import tcp_delays

LOSS, DELAY_S, ALPHA = 0.1, 0.025, 0.1
TOKEN_DEADLINE_S = 0.09
"""Time from the first packet of a token frame until missing packets are predicted."""
SEGMENT_BYTES = 372
"""Picture of 320 bytes with IP and TCP headers."""


def latency_rows(
    material: Material, risk: RepeatRisk, seed: int, progress: Progress = lambda done: None
) -> list[dict]:  # fmt: skip
    """Measure for each scheme the 50th and 99th percentile of the ms from a picture's offer until it can be shown.

    A picture can be shown when the receiver requests no more of its packets; with "full ARQ" and "TCP", when it is
    complete, or at the deadline. Time on the network is simulated; computing time of the model is not included.
    "predicted" is the share of packets that the model had to predict.
    """
    path = PathSettings(LOSS, delay_s=DELAY_S)
    rows = []
    schemes = (
        ("tokens, no repeats", "none", TOKEN_DEADLINE_S), ("tokens, context-aware", "context", TOKEN_DEADLINE_S),
        ("full ARQ", "all", DEADLINE_S),
    )  # fmt: skip
    for scheme, repeats, deadline_s in schemes:
        policy = RepeatPolicy(material.prior, risk, ALPHA)
        got, sender, _ = send_all(
            material, path, path, repeats, seed, lambda question, p=policy: p.wanted(question.assembly),
            WaitSettings(deadline_s=deadline_s),
        )  # fmt: skip
        progress(len(material.frames))
        numbers = range(1, len(material.frames))
        delays = np.array([got[i][0] if i in got else DEADLINE_S for i in numbers])
        predicted = np.mean([1 - got[i][1].packets_ok.mean() if i in got else 1 for i in numbers])
        rows.append(_row(scheme, delays) | {"datagrams": sender.counters.datagrams, "predicted": float(predicted)})
    forward, backward = Path(path, seed), Path(path, seed + 1)
    delays = tcp_delays(len(material.frames), INTERVAL_S, SEGMENT_BYTES, forward, backward)
    return [*rows, _row("TCP", delays)]


def _row(scheme: str, delays: np.ndarray) -> dict:
    p50, p99 = np.percentile(delays, [50, 99]) * 1000
    return {"scheme": scheme, "p50_ms": float(p50), "p99_ms": float(p99)}
