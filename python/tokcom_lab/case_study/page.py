"""Page of the case study: plots whose legend toggles schemes, pictures, all figures, and the command to rerun it."""

import base64
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from tokcom.errors import TokcomError
from tokcom_lab.case_study.cells import Cell, Job, png
from tokcom_lab.case_study.figures import STYLES, lifted, panels
from tokcom_lab.case_study.schemes import SCHEMES
from tokcom_lab.case_study.summary import of_scheme

DASHES = {"-": "solid", "--": "dash", ":": "dot"}
EVERYWHERE = "everywhere"
"""Text in place of an Es/N0 for a target that is met at every point."""
LOGARITHMIC = ("ter_recovered", "airtime_ms")
TABLE = {
    "per": ("PER", 3), "ter_channel": ("TER decoded", 4), "ter_recovered": ("TER recovered", 5),
    "exact_recovery": ("exact recovery", 3), "tce": ("TCE", 3), "psnr_db": ("PSNR dB", 2), "ssim": ("SSIM", 3),
    "semantic": ("semantic", 3), "label_kept": ("label kept", 3), "lpips": ("LPIPS", 3), "clip": ("CLIP", 3),
    "delivered": ("delivered", 3), "transmissions": ("times sent", 2), "airtime_ms": ("airtime ms", 1),
    "ms_encode": ("encode ms", 1), "ms_link": ("link ms", 1), "ms_recover": ("recover ms", 1),
    "ms_decode": ("decode ms", 1),
}  # fmt: skip
"""Columns: title and decimals."""


def write_page(
    path: Path, study: dict, summary: Sequence[dict], cells: Sequence[tuple[Job, Cell]], command: Sequence[str]
) -> None:
    """Write index.html, a self-contained page.

    Args:
        path: the file.
        study: settings, versions and results, as in study.json.
        summary: the rows of `summary.summarise`.
        cells: cells, some with pictures.
        command: the command that makes the page.

    Raises:
        TokcomError: the file cannot be written.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": _figure, "reach": _reach}
    template = environment.from_string(
        resources.files("tokcom_lab.case_study").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    points = sorted({row["esn0_db"] for row in summary})
    content = template.render(
        study=study, command=shlex.join(command), schemes=SCHEMES, points=points, columns=TABLE,
        plots=Markup(_plots(summary)), pictures=_pictures(cells), sent=_sent(cells),
        rows={name: sorted(of_scheme(summary, name), key=lambda row: row["esn0_db"]) for name in SCHEMES},
    )  # fmt: skip
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise TokcomError(f"{path}: the page cannot be written: {error.strerror}") from None


def _plots(summary: Sequence[dict]) -> str:
    chosen = panels(summary)
    figure = make_subplots(2, 3, subplot_titles=list(chosen.values()), vertical_spacing=0.12, horizontal_spacing=0.06)
    for number, name in enumerate(chosen):
        row, column = number // 3 + 1, number % 3 + 1
        for scheme, (colour, _, line) in STYLES.items():
            found = sorted(of_scheme(summary, scheme), key=lambda row: row["esn0_db"])
            found = [row for row in found if row.get(name) is not None]
            if not found:
                continue
            below, above = zip(*((r[name] - r["ci"][name][0], r["ci"][name][1] - r[name]) for r in found), strict=True)
            figure.add_trace(
                go.Scatter(
                    x=[row["esn0_db"] for row in found], y=[lifted(name, row[name]) for row in found],
                    name=SCHEMES[scheme].label, legendgroup=scheme, showlegend=number == 0, mode="lines+markers",
                    line={"color": colour, "dash": DASHES[line], "width": 2}, marker={"size": 6},
                    error_y={"array": above, "arrayminus": below, "thickness": 1, "width": 2},
                    hovertemplate="%{y:.4g} at %{x:g} dB",
                ),
                row, column,
            )  # fmt: skip
        figure.update_xaxes(title_text="Es/N0 (dB)", row=row, col=column, gridcolor="#e4e7eb")
        kind = "log" if name in LOGARITHMIC else "linear"
        figure.update_yaxes(type=kind, row=row, col=column, gridcolor="#e4e7eb", exponentformat="power")
    figure.update_layout(
        height=820, margin={"l": 40, "r": 20, "t": 40, "b": 40}, template="plotly_white", hovermode="closest",
        legend={"orientation": "h", "y": -0.1, "groupclick": "togglegroup"},
    )  # fmt: skip
    return figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True})


def _pictures(cells: Sequence[tuple[Job, Cell]]) -> dict[str, dict[str, dict[float, str]]]:
    """Collect received pictures as data URIs by photograph, scheme and Es/N0."""
    found: dict[str, dict[str, dict[float, str]]] = {}
    for job, cell in cells:
        if cell.picture is not None:
            found.setdefault(job.image, {}).setdefault(cell.scheme, {})[job.esn0_db] = _uri(cell.picture)
    return found


def _sent(cells: Sequence[tuple[Job, Cell]]) -> dict[str, str]:
    jobs = {job.image: job for job, cell in cells if cell.picture is not None}
    return {image: _uri(png(job.picture)) for image, job in jobs.items()}


def _uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _figure(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _reach(value: float | str | None) -> str:
    if value is None:
        return "not reached"
    return value if value == EVERYWHERE else f"{value:.1f} dB"
