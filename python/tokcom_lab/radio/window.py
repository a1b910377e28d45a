"""Processor time of Image View's window per frame, painting included."""

import os
import statistics
import time

import numpy as np
import pmt
from gnuradio import gr, tokcom

SIZE, GRID = 64, 16
WINDOW = (1120, 700)
"""Size of the window in pixels."""


def frame_ms(frames: int, rounds: int, seed: int) -> dict:
    """Show frames as fast as the window can, without a display.

    Parameters:
        frames: frames per round, at least 1.
        rounds: number of rounds, at least 1, of which the median is taken.
        seed: seed of the pictures.

    Returns:
        frames; ms_per_frame, processor time per frame of panels, figures and painting.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PyQt5.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    taken = [_round(frames, np.random.default_rng([seed, number])) for number in range(rounds)]
    # Not ended: it may be another's, whose event loops would never run again.
    application.processEvents()
    return {"frames": frames, "ms_per_frame": round(1000 * statistics.median(taken) / frames, 2)}


def _round(frames: int, rng: np.random.Generator) -> float:
    """Measure the processor time in seconds of `frames` frames."""
    view = tokcom.image_view(queue_size=frames)
    view.widget.resize(*WINDOW)
    top, relay = gr.top_block(catch_exceptions=False), gr.basic_block(name="Relay", in_sig=None, out_sig=None)
    relay.message_port_register_out(pmt.intern("out"))
    top.msg_connect(relay, "out", view, "recovered")
    for number in range(frames):
        for stage, message in _pictures(number, rng):
            view.to_basic_block()._post(pmt.intern(stage), message)
    for block in (relay, view):
        block.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    top.start()
    top.wait()
    started = time.process_time()
    while view.queue_length:
        view.widget.show_next()
        view.widget.show_figures()
        view.widget.grab()
    return time.process_time() - started


def _pictures(number: int, rng: np.random.Generator) -> list:
    """Make (port, PDU) of a frame's four pictures."""
    tokens = rng.integers(0, 1024, GRID**2, dtype=np.int32)
    known = {
        "frame_id": number, "name": "random", "height": SIZE, "width": SIZE, "grid": (GRID, GRID), "packets": 64,
        "packets_lost": 16, "packets_open": 0, "esn0_db": 6.0, "mode": "context", "cfo": 0.01,
        "mcs": np.full(64, 6, np.uint8), "confidence": rng.uniform(0.5, 1, GRID**2).astype(np.float32),
    }  # fmt: skip
    pictures = []
    for stage in ("sent", "tokenized", "lost", "recovered"):
        lost = np.where(np.arange(len(tokens)) < 64, -1, tokens) if stage == "lost" else tokens
        meta = pmt.to_pmt(known | {"tokens": lost})
        picture = rng.integers(0, 256, SIZE * SIZE * 3, dtype=np.uint8)
        pictures.append((stage, pmt.cons(meta, pmt.init_u8vector(len(picture), picture.tolist()))))
    return pictures
