"""The figure of section V-C, made of a run: pictures as sent, superposed, and separated."""

from pathlib import Path

import numpy as np

from tokcom_lab.multiple_access.report import TodmaBench

ROWS = 4
TITLES = ("sent by A", "sent by B", "strongest words, no channels", "A without context", "B without", "A with context",
          "B with")  # fmt: skip


def draw_scenes(bench: TodmaBench, length: int, esn0_db: float, path: Path) -> None:
    """Some scenes of two transmitters as rows of pictures.

    Args:
        bench: the photographs.
        length: carriers per slot.
        esn0_db: Es/N0 per transmitter in dB.
        path: of the PNG or SVG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * len(TITLES), 1.6 * ROWS + 0.3), layout="constrained")
    axes = figure.subplots(ROWS, len(TITLES))
    for number in range(ROWS):
        scene = bench.scene("usual", 2, length, esn0_db, number)
        alone, separated = (bench.receivers.receive(name, scene).tokens for name in ("pair", "todma"))
        mixed = np.where(np.arange(scene.plan.n_slots) % 2 == 0, *scene.tokens)
        stacked = np.stack([*scene.tokens, mixed, *alone, *separated]).reshape(-1, *bench.tokenizer.grid)
        for axis, picture in zip(axes[number], bench.tokenizer.decode(stacked), strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=7)
    figure.savefig(path, dpi=120)
