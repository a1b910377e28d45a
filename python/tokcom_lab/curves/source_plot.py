"""Figures of source coding: the link of compressed and raw tokens, and what relevance keeps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tokcom_lab.curves.context_plot import save

LEAST_DB = 15.0
"""PSNR at which its axis begins."""
COLOURS = ("#8a8f98", "#111", "#2f6fb7", "#0b7a5f", "#c2571a", "#5a3d8a", "#b9bec6")


def draw_link(rows: Sequence[dict], path: Path) -> None:
    """Draw airtime over Es/N0 where each scheme chooses its MCS, and PSNR with one MCS for all, as SVG.

    Args:
        rows: part "link" of the figures of `bench compress`.
        path: file to write.

    Raises:
        TokcomError: the file cannot be written.
    """
    figure = Figure(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    schemes = list(dict.fromkeys(row["scheme"] for row in rows))
    for axis, chosen, name in ((left, True, "airtime_ms"), (right, False, "psnr_db")):
        for scheme, colour in zip(schemes, COLOURS, strict=False):
            line = [row for row in rows if (row["scheme"], row["chosen"]) == (scheme, chosen)]
            if line:
                values = [row["esn0_db"] for row in line]
                axis.plot(values, [row[name] for row in line], color=colour, marker="o", markersize=4, label=scheme)
        axis.set_xlabel("Es/N0 (dB)")
        axis.grid(True, color="#d9dde3", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    left.legend(loc="lower left", ncols=2, frameon=False, fontsize=8)
    right.legend(loc="lower right", frameon=False, fontsize=8)
    left.set_ylim(bottom=0)
    left.set_ylabel("airtime per picture (ms at 1 MS/s)")
    left.set_title("fastest MCS at equal quality", fontsize=10)
    right.set_ylabel("PSNR (dB)")
    right.set_title("QPSK 1/2 for all", fontsize=10)
    save(figure, path)


def draw_relevance(rows: Sequence[dict], path: Path) -> None:
    """Draw accuracy over PSNR of each rule, by share, as SVG.

    Args:
        rows: the figures of `bench relevance`.
        path: file to write.

    Raises:
        TokcomError: the file cannot be written.
    """
    quiet = [row for row in rows if row["esn0_db"] is None and row["rule"] != "photographs"]
    shares = sorted({row["share_sent"] for row in quiet if row["share_sent"] < 1}, reverse=True)
    figure = Figure(figsize=(8.4, 0.6 + 0.42 * len({row["rule"] for row in quiet})), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = [row["rule"] for row in quiet if row["share_sent"] == shares[0]][::-1]
    everything = next(row for row in quiet if row["rule"] == "all tokens")
    for axis, name, label, start in zip(
        axes, ("accuracy", "psnr_db"), ("judge's accuracy", "PSNR (dB)"), (0.0, LEAST_DB), strict=True
    ):
        for number, share in enumerate(shares):
            found = {row["rule"]: row[name] for row in quiet if row["share_sent"] == share}
            height = 0.8 / len(shares)
            places = np.arange(len(names)) + (0.5 * (len(shares) - 1) - number) * height
            values = [max(found[rule] - start, 0.0) for rule in names]
            axis.barh(places, values, height, left=start, color=COLOURS[2 + number], label=f"{share:.0%} of the tokens")
        axis.axvline(everything[name], color="#111", linewidth=1, linestyle="--", label="all tokens")
        axis.set_xlabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(np.arange(len(names)), names)
    axes[1].set_xlim(left=LEAST_DB)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save(figure, path)


def draw_examples(columns: Sequence[tuple[str, Sequence[np.ndarray]]], path: Path) -> None:
    """Draw pictures side by side, one row per picture, as PNG.

    Args:
        columns: titles, and uint8 pictures (size, size, 3) of each.
        path: file to write.

    Raises:
        TokcomError: the file cannot be written.
    """
    count = len(columns[0][1])
    figure = Figure(figsize=(1.35 * len(columns), 1.35 * count + 0.3), layout="constrained")
    axes = figure.subplots(count, len(columns), squeeze=False)
    for column, (title, pictures) in enumerate(columns):
        axes[0, column].set_title(title, fontsize=7)
        for row, picture in enumerate(pictures):
            axes[row, column].imshow(picture, interpolation="nearest")
            axes[row, column].axis("off")
    save(figure, path)
