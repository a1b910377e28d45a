"""Figures of decoding with context."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tokcom.errors import TokcomError
from tokcom.link.modes import MODES
from tokcom.metrics.pictures import psnr_db
from tokcom.models.recovery import load_recovery
from tokcom_lab.curves.context_curve import Bench, ContextPoint
from tokcom_lab.curves.finite_length import packet_error_bound

COLOURS = {"keep": "#8a8f98", "mask": "#c2571a", "list": "#2f6fb7", "context": "#0b7a5f"}
MARKERS = {"keep": "s", "mask": "^", "list": "D", "context": "o"}
SYMBOLS = 31
"""16-QAM symbols per packet of 40 bits, CRC-16 and tail at rate 1/2."""
BOUNDS = {40: (0, (1, 1)), 56: (0, (4, 2))}
FLOOR = 1e-4


def draw_context_curve(points: Sequence[ContextPoint], path: Path) -> None:
    """Draw PER and TER over Es/N0 as SVG, with bounds on codes of this length that ignore the source.

    Lines are thin and dashed if the receiver had no label; error rates of zero are left out.

    Raises:
        TokcomError: the file cannot be written.
    """
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    values = sorted({point.esn0_db for point in points})
    for key, axis in zip(("per", "ter"), axes, strict=True):
        for mode in dict.fromkeys(point.mode for point in points):
            for told in (True, False):
                line = [p for p in points if p.mode == mode and p.cmi == told and getattr(p, key) >= FLOOR / 3]
                if not line or (not told and mode in ("keep", "list") and any(p.cmi for p in points)):
                    continue
                axis.semilogy(
                    [p.esn0_db for p in line], [getattr(p, key) for p in line], color=COLOURS[mode],
                    marker=MARKERS[mode] if told else None, markersize=4.5, linewidth=1.8 if told else 1.0,
                    linestyle="-" if told else "--", label=f"{mode}: {MODES[mode]}" + ("" if told else ", no label"),
                )  # fmt: skip
        axis.set_xlabel("Es/N0 (dB)")
        axis.set_ylim(FLOOR, 1.15)
        axis.grid(True, which="major", color="#d9dde3", linewidth=0.8)
        axis.grid(True, which="minor", axis="y", color="#eef0f3", linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    if len(values) > 1:
        dense = np.linspace(values[0], values[-1], 60)
        for bits, dashes in BOUNDS.items():
            bound = [packet_error_bound("16qam", value, SYMBOLS, bits) for value in dense]
            axes[0].semilogy(
                dense, bound, color="#111", linewidth=1.0, linestyle=dashes,
                label=f"best code of this length, {bits} bits, source ignored",
            )  # fmt: skip
    axes[0].set_ylabel("packet error rate")
    axes[1].set_ylabel("token error rate after recovery")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    save(figure, path)


def draw_reliability(before: Sequence[dict], after: Sequence[dict], path: Path) -> None:
    """Draw rows of `calibration.reliability`, raw and calibrated, as SVG: observed over predicted share of wrong
    packets.

    Raises:
        TokcomError: the file cannot be written.
    """
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axis = figure.subplots()
    axis.loglog([1e-5, 1], [1e-5, 1], color="#111", linewidth=1, linestyle=(0, (4, 2)), label="ideal")
    for rows, name, colour, marker in (
        (before, "before calibration", COLOURS["mask"], "^"), (after, "calibrated", COLOURS["context"], "o"),
    ):  # fmt: skip
        said = [max(1 - row["posterior"], 1e-5) for row in rows]
        seen = [max(1 - row["right"], 1e-5) for row in rows]
        ends = [[max(0.0, s - max(1 - row["high"], 1e-5)) for s, row in zip(seen, rows, strict=True)],
                [max(0.0, 1 - row["low"] - s) for s, row in zip(seen, rows, strict=True)]]  # fmt: skip
        axis.errorbar(said, seen, yerr=ends, color=colour, marker=marker, linewidth=1.2, capsize=2, label=name)
    axis.set_xlim(1e-5, 1.2)
    axis.set_ylim(1e-5, 1.2)
    axis.set_xlabel("probability of a wrong packet, as predicted by the decoder")
    axis.set_ylabel("share of wrong packets (95% interval)")
    axis.grid(True, color="#d9dde3", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    save(figure, path)


def draw_received(bench: Bench, esn0_db: Sequence[float], path: Path, photographs: int = 3) -> None:
    """Draw the first photographs as sent, as tokenized, and as received in each mode, one row per Es/N0, as PNG.

    Raises:
        TokcomError: the file cannot be written.
    """
    recoveries = {mode: load_recovery(bench.model, mode) for mode in MODES}
    rows = [(number, value) for number in range(min(photographs, len(bench.frames))) for value in esn0_db]
    figure = Figure(figsize=(9.6, 1.72 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2 + len(MODES), squeeze=False)
    for axis, title in zip(axes[0], ("sent", "tokenized", "keep", "mask (the paper)", "list", "context"), strict=True):
        axis.set_title(title, fontsize=10)
    for line, (number, value) in zip(axes, rows, strict=True):
        sent = bench.photographs.pictures[number]
        whole, got = bench.tokenizer.detokenize(bench.frames[number]), bench.received(number, value, True)
        line[0].set_ylabel(f"{value:g} dB", fontsize=10)
        for axis, picture in zip(line, (sent, whole), strict=False):
            axis.imshow(picture, interpolation="nearest")
        line[1].set_xlabel(f"{psnr_db(sent, whole):.1f} dB", fontsize=8)
        for axis, mode in zip(line[2:], MODES, strict=True):
            if got is None:
                axis.text(0.5, 0.5, "burst lost", ha="center", transform=axis.transAxes)
                continue
            recovered = recoveries[mode].recover(got.frame, got.received)
            picture = bench.shown(mode, recovered)
            wrong = np.mean(recovered.frame.tokens != bench.frames[number].tokens)
            axis.imshow(picture, interpolation="nearest")
            axis.set_xlabel(f"{psnr_db(sent, picture):.1f} dB, {100 * wrong:.1f}% wrong", fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure without a date.

    Raises:
        TokcomError: the file cannot be written.
    """
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    try:
        figure.savefig(path, dpi=110, metadata=metadata)
    except (OSError, ValueError) as error:
        raise TokcomError(f"{path}: the figure cannot be saved: {getattr(error, 'strerror', None) or error}") from None
