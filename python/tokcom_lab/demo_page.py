"""Page and report of the demo: the result of each mode of the receiver for every photograph and Es/N0."""

import json
import shlex
from importlib import resources
from pathlib import Path

import jinja2

from tokcom import __version__
from tokcom.link.modes import MODES
from tokcom.metrics.frame_report import mean_report
from tokcom.models.card import Card

WHERE = ("frame_id", "stream_id", "folder", "files")
"""Keys of a frame that only the page needs."""
WAYS = {
    "keep": "it keeps the decisions of the Viterbi decoder",
    "mask": "it discards failed packets and lets a masked transformer guess them",
    "list": "it treats the CRC as part of the code",
    "context": "channel, CRC and transformer decide jointly",
}
"""Description on the page of each of MODES."""
STAGES = {"sent": "sent", "tokenized": "tokenized, nothing lost", "lost": "received, losses in grey"}


def write_demo(out: Path, settings: dict, frames: list[dict], card: Card) -> Path:
    """Write report.json and index.html.

    Args:
        out: folder with the pictures of each frame, `folder`/`files`[STAGE].
        settings: settings of the demo.
        frames: figures of each frame as `metrics.frame_report` makes them, with mode, frame_id, folder and files.
        card: card of the model used.

    Returns:
        Path of index.html.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = [{key: value for key, value in frame.items() if key not in WHERE} for frame in frames]
    report = {"settings": settings | {"version": __version__}, "frames": figures, "mean": _means(figures, settings)}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    points = []
    for value in settings["esn0_db"]:
        here = [frame for frame in frames if frame["esn0_db"] == value]
        photographs = [
            {frame["mode"]: frame for frame in here if frame["frame_id"] == number}
            for number in dict.fromkeys(frame["frame_id"] for frame in here)
        ]
        points.append({"esn0_db": value, "photographs": photographs, "means": _means(here, settings)})
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "figure": _figure, "quoted": shlex.quote}
    template = environment.from_string(
        resources.files("tokcom_lab").joinpath("demo_page.html.j2").read_text(encoding="utf-8")
    )
    page = out / "index.html"
    shown = template.render(
        settings=settings, points=points, stages=STAGES, modes=MODES, ways=[WAYS[mode] for mode in settings["modes"]],
        card=card, version=__version__,
    )  # fmt: skip
    page.write_text(shown, encoding="utf-8")
    return page


def _means(frames: list[dict], settings: dict) -> dict[str, dict]:
    """Average the figures per mode."""
    return {mode: mean_report([f for f in frames if f["mode"] == mode]) for mode in settings["modes"]}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _figure(value: float | None, decimals: int = 1) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
