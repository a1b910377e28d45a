"""Summary of cells: means over photographs with 95% intervals, and results derived from them."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy import stats

from tokcom_lab.case_study.cells import Cell, Job
from tokcom_lab.case_study.schemes import SCHEMES

CONFIDENCE = 0.95
SHARE = 0.98
"""Share of the reference's best value from which a scheme counts as reaching it."""
REFERENCE = "vqgan+r"


def cell_rows(cells: Iterable[tuple[Job, Cell]], link: str) -> list[dict]:
    """Make one row per cell, for results.parquet."""
    rows = []
    for job, cell in cells:
        scheme = SCHEMES[cell.scheme]
        key = {
            "scheme": scheme.plain, "cmi": scheme.cmi, "link": link, "esn0_db": job.esn0_db, "image": job.image,
            "seed": job.seed,
        }  # fmt: skip
        rows.append(key | cell.figures)
    return rows


def summarise(rows: Sequence[dict], absent: dict[str, str]) -> list[dict]:
    """Average over photographs: one row per scheme and Es/N0.

    Seeds of one photograph are averaged first, so that the intervals, by Student's t, are over photographs. `tce` is
    the ratio of pixels to all bits sent, not a mean over pictures; `tce_closed_form` is the same with 1 / (1 - PER).

    Args:
        rows: rows from `cell_rows`.
        absent: figures that were not computed, with the reasons.

    Returns:
        Rows with the figures, `images`, and under `ci` the interval [low, high] of each figure.
    """
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["scheme"], row["cmi"], row["link"], row["esn0_db"]), []).append(row)
    summary = []
    for (scheme, cmi, link, esn0_db), group in groups.items():
        images = list(dict.fromkeys(row["image"] for row in group))
        out = {"scheme": scheme, "cmi": cmi, "link": link, "esn0_db": esn0_db, "images": len(images)}
        intervals = {}
        for figure in dict.fromkeys(key for row in group for key in row):
            if figure in ("scheme", "cmi", "link", "esn0_db", "image", "seed"):
                continue
            by_image: dict[str, list[float]] = {image: [] for image in images}
            for row in group:
                if row.get(figure) is not None:
                    by_image[row["image"]].append(1 / row[figure] if figure == "tce" else row[figure])
            values = np.array([np.mean(found) for found in by_image.values() if found])
            mean, interval = _interval(values)
            if figure == "tce" and mean is not None:
                # With few photographs the interval may extend to impossible numbers of bits.
                mean, interval = 1 / mean, [1 / interval[1], 1 / max(interval[0], values.min())]
            out[figure], intervals[figure] = mean, interval
        if out.get("tce") is not None and scheme.endswith("+r"):
            whole = out["tce"] * out["transmissions"]
            out["tce_closed_form"] = whole * (1 - out["per"])
        summary.append(
            out | {"ci": intervals, "not_computed": {name: why for name, why in absent.items() if name not in SCHEMES}}
        )
    return summary


def absent_rows(link: str, absent: dict[str, str], wanted: Sequence[str]) -> list[dict]:
    """Make one row per requested scheme that could not be computed."""
    return [
        {"scheme": scheme.plain, "cmi": scheme.cmi, "link": link, "not_computed": {"scheme": absent[scheme.name]}}
        for scheme in map(SCHEMES.__getitem__, wanted)
        if scheme.name in absent
    ]


def reaches(summary: Sequence[dict], figure: str) -> dict[str, float | None]:
    """Find the Es/N0 in dB from which each scheme's figure stays at `SHARE` of the best of `REFERENCE`, interpolated;
    None if it never does, minus infinity if it does at every point."""
    target = max((row[figure] for row in summary if row["scheme"] == REFERENCE and row[figure]), default=math.inf)
    found = {}
    for name in SCHEMES:
        points = sorted((row["esn0_db"], row[figure]) for row in of_scheme(summary, name) if row[figure] is not None)
        if points:
            found[name] = _crossing(points, SHARE * target)
    return found


def gain_at_per(summary: Sequence[dict], scheme: str, per: float) -> float | None:
    """Compute the relative gain in TCE of a scheme over `REFERENCE` where the channel's PER is `per`; None outside the
    measured range. Between points the ratio of both, which is linear in PER, is interpolated."""
    own = {row["esn0_db"]: row for row in of_scheme(summary, scheme)}
    points = sorted(
        (row["per"], row["tce"] / own[row["esn0_db"]]["tce"])
        for row in of_scheme(summary, REFERENCE)
        if row["esn0_db"] in own
    )
    ratio = at(points, per)
    return None if ratio is None else 1 / ratio - 1


def cmi_effect(rows: Sequence[dict], figures: Sequence[str]) -> list[dict]:
    """Compute the effect of the class label: differences, with minus without label, on the same photographs and noise.

    Args:
        rows: rows from `cell_rows`.
        figures: keys of figures to compare.

    Returns:
        One row per Es/N0 and per scheme that exists both ways: `scheme`, `esn0_db`, and for each figure [mean, low,
        high] of the difference, with the 95% interval.
    """
    found: dict[tuple, dict[bool, dict[str, list[dict]]]] = {}
    for row in rows:
        if row["cmi"] is not None:
            by_image = found.setdefault((row["scheme"], row["esn0_db"]), {True: {}, False: {}})[row["cmi"]]
            by_image.setdefault(row["image"], []).append(row)
    effect = []
    for (scheme, esn0_db), sides in found.items():
        shared = [image for image in sides[True] if image in sides[False]]
        if not shared:
            continue
        out = {"scheme": scheme, "esn0_db": esn0_db}
        for figure in figures:
            means = [
                [np.mean([row[figure] for row in sides[told][image]]) for image in shared] for told in (True, False)
            ]
            mean, interval = _interval(np.subtract(*means))
            out[figure] = [mean, *interval]
        effect.append(out)
    return effect


def at(points: Sequence[tuple[float, float]], place: float) -> float | None:
    """Interpolate between sorted points (place, value); None outside."""
    if not points or not points[0][0] <= place <= points[-1][0]:
        return None
    return float(np.interp(place, *zip(*points, strict=True)))


def of_scheme(summary: Sequence[dict], name: str) -> list[dict]:
    """Select the rows of a scheme by its name in SCHEMES."""
    scheme = SCHEMES[name]
    return [row for row in summary if row["scheme"] == scheme.plain and row["cmi"] == scheme.cmi and "per" in row]


def _interval(values: np.ndarray) -> tuple[float | None, list[float] | None]:
    if not len(values):
        return None, None
    mean = float(values.mean())
    if len(values) == 1:
        return mean, [mean, mean]
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return mean, [mean - float(half), mean + float(half)]


def _crossing(points: Sequence[tuple[float, float]], target: float) -> float | None:
    if points[-1][1] < target:
        return None
    for (low, below), (high, above) in reversed(list(pairwise(points))):
        if below < target <= above:
            return low + (high - low) * (target - below) / (above - below)
    return -math.inf
