"""Figure of the transmitter's policies."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tokcom.errors import TokcomError

COLOURS = {
    "fixed": "#b9bec6", "cqi": "#8a8f98", "cqi-context": "#2f6fb7", "semantic": "#0b7a5f", "semantic-power": "#c2571a",
    "semantic-strict": "#5a3d8a",
}  # fmt: skip
LABELS = {
    "fixed": "fixed: best single MCS", "cqi": "cqi: channel alone, Viterbi",
    "cqi-context": "cqi-context: the same, decoded with context", "semantic": "semantic, at the errors of cqi",
    "semantic-power": "semantic-power", "semantic-strict": "semantic, at the errors of cqi-context",
}  # fmt: skip
TITLES = {"awgn": "AWGN", "epa": "Rayleigh block fading (EPA)"}
LEFT_OUT = ("semantic-power",)
"""Policies that are not drawn: by design it is not shorter than cqi."""
FLOOR = 1e-5


def draw_airtime(rows: Sequence[dict], path: Path) -> None:
    """Draw airtime, and token error rates beneath, over Es/N0 by policy and channel, as SVG.

    Args:
        rows: `adaptation_bench.as_row`.
        path: file to write.

    Raises:
        TokcomError: the file cannot be written.
    """
    channels = list(dict.fromkeys(row["channel"] for row in rows))
    figure = Figure(figsize=(5.2 * len(channels), 6.6), layout="constrained")
    axes = figure.subplots(2, len(channels), sharex=True, squeeze=False, gridspec_kw={"height_ratios": (3, 2)})
    for column, channel in enumerate(channels):
        above, below = axes[:, column]
        for policy in dict.fromkeys(row["policy"] for row in rows):
            line = [row for row in rows if (row["channel"], row["policy"]) == (channel, policy)]
            if not line or policy in LEFT_OUT:
                continue
            values = [row["esn0_db"] for row in line]
            style = {"color": COLOURS.get(policy, "#111"), "marker": "o", "markersize": 4.5, "linewidth": 1.8}
            # With equal MCS the curves coincide: keep the lower one visible.
            style |= {"linewidth": 5, "markersize": 8} if policy == "cqi" else {}
            above.plot(values, [row["airtime_ms"] for row in line], label=LABELS.get(policy, policy), **style)
            below.semilogy(values, [max(row["ter"], FLOOR) for row in line], **style)
        above.set_title(TITLES.get(channel, channel), fontsize=10)
        above.set_ylim(bottom=0)
        below.set_xlabel("mean Es/N0 (dB)")
        for axis in (above, below):
            axis.grid(True, which="major", color="#d9dde3", linewidth=0.8)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("airtime per picture (ms at 1 MS/s)")
    axes[1, 0].set_ylabel("TER after recovery")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    try:
        figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise TokcomError(f"{path} cannot be written: {error}") from None
