"""Files of the case study: results.parquet, results.json, study.json, figure4.svg and index.html."""

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import pyarrow
from pyarrow import parquet

from tokcom import __version__
from tokcom.errors import TokcomError
from tokcom.models.codebooks import codebook
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_tokenizer
from tokcom.packets.bits import bits_per_token
from tokcom_lab.case_study.cells import Cell, Job, StudySettings
from tokcom_lab.case_study.figures import draw_figure
from tokcom_lab.case_study.links import LINKS, TOKENS_PER_PACKET
from tokcom_lab.case_study.page import EVERYWHERE, write_page
from tokcom_lab.case_study.summary import absent_rows, cell_rows, cmi_effect, gain_at_per, reaches, summarise

PACKAGES = ("numpy", "torch", "numba", "pillow")
CMI_FIGURES = ("ter_recovered", "psnr_db", "semantic", "label_kept")
PER = 0.2
"""PER at which the paper states its gain."""


def write_report(
    out: Path, settings: StudySettings, cells: Sequence[tuple[Job, Cell]], absent: dict[str, str],
    wanted: Sequence[str], source: str, command: Sequence[str],
) -> list[dict]:  # fmt: skip
    """Write the study's files.

    Args:
        out: an existing folder.
        settings: settings of the study.
        cells: all cells.
        absent: schemes and figures that could not be computed, with the reasons.
        wanted: schemes requested.
        source: origin of the photographs.
        command: the command line.

    Returns:
        The rows of results.json.

    Raises:
        TokcomError: a file cannot be written.
    """
    rows = cell_rows(cells, settings.link)
    summary = summarise(rows, absent)
    card, tokenizer = model_card(settings.model), load_tokenizer(settings.model)
    n_tokens = tokenizer.grid[0] * tokenizer.grid[1]
    study = {
        "settings": asdict(settings),
        "link": LINKS[settings.link],
        "images": len({job.image for job, _ in cells}),
        "seeds": sorted({job.seed for job, _ in cells}),
        "source": source,
        "token_bits": bits_per_token(codebook(settings.model).size),
        "packets": -(-n_tokens // TOKENS_PER_PACKET),
        "reaches": {figure: _in_words(reaches(summary, figure)) for figure in ("semantic", "psnr_db")},
        "cmi_effect": cmi_effect(rows, CMI_FIGURES),
        "tce_gain_at_per_20": gain_at_per(summary, "tokcom", PER),
        "not_computed": {name: why for name, why in absent.items() if name in wanted or name in ("lpips", "clip")},
        "versions": {"gr-tokcom": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES}
        | {f"{card.name}, {part}": card.part(part)["sha256"][:16] for part in card.parts},
        "command": " ".join(command),
    }
    results = [*summary, *absent_rows(settings.link, absent, wanted)]
    try:
        parquet.write_table(pyarrow.Table.from_pylist(_even(rows)), out / "results.parquet")
        for name, content in (("results", results), ("study", study)):
            (out / f"{name}.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise TokcomError(f"{out}: the results cannot be written: {error}") from None
    draw_figure(summary, out / "figure4.svg")
    write_page(out / "index.html", study, summary, cells, command)
    return results


def _in_words(found: dict[str, float | None]) -> dict[str, float | str | None]:
    """Convert values of Es/N0 for JSON, which has no infinity."""
    return {name: EVERYWHERE if value == -math.inf else value for name, value in found.items()}


def _even(rows: Sequence[dict]) -> list[dict]:
    """Give all rows the union of their keys, so that each becomes a column."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]
