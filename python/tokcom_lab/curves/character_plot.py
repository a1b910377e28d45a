"""Figure of message errors over energy per character."""

from collections.abc import Sequence
from pathlib import Path

from tokcom_lab.curves.characters import OURS, RIVALS


def draw_characters(curve: Sequence[dict], path: Path) -> None:
    """Draw the points of `characters.character_figures` as SVG."""
    from matplotlib import pyplot as plt

    plt.switch_backend("Agg")
    with plt.rc_context({"svg.hashsalt": "tokcom", "font.size": 9}):
        figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
        for name, label in (RIVALS | OURS).items():
            own = sorted((each for each in curve if each["scheme"] == name), key=lambda each: each["esn0_db"])
            axis.plot(
                [each["es_per_character_db"] for each in own], [each["message_errors"] for each in own],
                "--" if name in RIVALS else "-", marker="o", markersize=3, label=label,
            )  # fmt: skip
        axis.set_xlabel("energy per character over N0 in dB")
        axis.set_ylabel("messages not received word for word")
        axis.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
        figure.savefig(path, facecolor="white", metadata={"Date": None})
        plt.close(figure)
