"""The figure of section V-C, made of a run: pictures as sent, superposed, and separated."""

from pathlib import Path

import numpy as np

from tokcom.multiple_access.frames import one_at_a_time
from tokcom_lab.multiple_access.report import TodmaBench

ROWS = 4
TITLES = ("sent", "superposed", "channels alone", "channels and context")


def draw_scenes(bench: TodmaBench, length: int, esn0_db: float, path: Path) -> None:
    """Some scenes of two transmitters, both pictures of each stage side by side.

    Args:
        bench: the photographs.
        length: carriers per slot.
        esn0_db: Es/N0 per transmitter in dB.
        path: of the PNG or SVG.

    Raises:
        BurstError: a burst is not found.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(TITLES), 1.45 * ROWS + 0.3), layout="constrained")
    columns = figure.subfigures(1, len(TITLES), wspace=0.02)
    axes = [column.subplots(ROWS, 2) for column in columns]
    for number in range(ROWS):
        scene = bench.scene("usual", 2, length, esn0_db, number)
        alone, together = (bench.receivers.receive(name, scene).tokens for name in ("pair", "todma"))
        stages = (scene.tokens, one_at_a_time(scene.observe())[:2], alone, together)
        for stage, tokens in zip(axes, stages, strict=True):
            grids = np.asarray(tokens).reshape(-1, *bench.tokenizer.grid)
            for axis, picture in zip(stage[number], bench.tokenizer.decode(grids), strict=True):
                axis.imshow(picture)
                axis.set_axis_off()
    for column, title in zip(columns, TITLES, strict=True):
        column.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=110)
