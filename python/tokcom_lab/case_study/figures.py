"""Figure of the case study, after the paper's figure 4."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from tokcom.errors import TokcomError
from tokcom_lab.case_study.schemes import SCHEMES
from tokcom_lab.case_study.summary import of_scheme

STYLES = {
    "vqgan": ("#8a8f98", "s", "-"), "vqgan+r": ("#1d1f23", "s", "--"),
    "tokcom": ("#c2571a", "^", "-"), "tokcom-nocmi": ("#c2571a", "v", ":"),
    "list": ("#2f6fb7", "D", "-"), "context": ("#0b7a5f", "o", "-"), "context-nocmi": ("#0b7a5f", "o", ":"),
    "webp": ("#9a5fb5", "x", "-"), "webp+r": ("#9a5fb5", "x", "--"),
    "avif": ("#b3446c", "+", "-"), "avif+r": ("#b3446c", "+", "--"),
    "jpeg2000": ("#a88b1f", "1", "-"), "jpeg2000+r": ("#a88b1f", "1", "--"),
    "cheng2020": ("#5b8c2a", "*", "-"), "cheng2020+r": ("#5b8c2a", "*", "--"),
}  # fmt: skip
"""Colour, marker and line of each scheme; dashed lines repeat packets, dotted ones know no class."""
PANELS = {
    "tce": "TCE: pixels per bit sent", "psnr_db": "PSNR (dB)", "semantic": "semantic score: cosine of features",
    "ssim": "SSIM", "ter_recovered": "TER after recovery", "airtime_ms": "airtime per picture (ms)",
}  # fmt: skip
BETTER = {"lpips": ("ssim", "LPIPS"), "clip": ("semantic", "CLIP score")}
"""The paper's own measures, which replace ours if they were computed."""
FLOOR = 1e-5


def panels(summary: Sequence[dict]) -> dict[str, str]:
    """Choose the figures to draw, with their titles."""
    chosen = dict(PANELS)
    for name, (instead, title) in BETTER.items():
        if any(row.get(name) is not None for row in summary):
            chosen = {name if key == instead else key: title if key == instead else t for key, t in chosen.items()}
    return chosen


def lifted(name: str, value: float) -> float:
    """Return a value for drawing: a rate of zero has no logarithm and is drawn on the floor."""
    return max(value, FLOOR) if name == "ter_recovered" else value


def draw_figure(summary: Sequence[dict], path: Path) -> None:
    """Draw all schemes over Es/N0 as SVG, with 95% intervals.

    Raises:
        TokcomError: the file cannot be written.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    for axis, (name, title) in zip(figure.subplots(2, 3).flat, panels(summary).items(), strict=True):
        for scheme in SCHEMES:
            _line(axis, [row for row in of_scheme(summary, scheme) if row.get(name) is not None], scheme, name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("Es/N0 (dB)")
        if name == "ter_recovered":
            axis.set_yscale("log")
            axis.set_ylim(FLOOR, 1.2)
        if name == "airtime_ms":
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(True, color="#dfe2e7", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    try:
        figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise TokcomError(f"{path}: the figure cannot be written: {error.strerror}") from None


def _line(axis: Axes, rows: Sequence[dict], scheme: str, name: str) -> None:
    if not rows:
        return
    colour, marker, line = STYLES[scheme]
    rows = sorted(rows, key=lambda row: row["esn0_db"])
    places = [row["esn0_db"] for row in rows]
    axis.plot(
        places, [lifted(name, row[name]) for row in rows], color=colour, marker=marker, linestyle=line, markersize=5,
        linewidth=1.6, label=SCHEMES[scheme].label,
    )  # fmt: skip
    low, high = ([lifted(name, row["ci"][name][side]) for row in rows] for side in (0, 1))
    axis.fill_between(places, low, high, color=colour, alpha=0.1, linewidth=0)
