"""From cells to a table: means over photographs with 95% intervals, and what follows from them."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy import stats

from tokcom_lab.case_study.cells import Cell, Job
from tokcom_lab.case_study.schemes import SCHEMES

CONFIDENCE = 0.95
SHARE = 0.98
"""Of what the reference reaches, at least this much counts as reaching it."""
REFERENCE = "vqgan+r"


def cell_rows(cells: Iterable[tuple[Job, Cell]], link: str) -> list[dict]:
    """A row for every cell: what results.parquet holds."""
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
    """Means over photographs, a row for every scheme and Es/N0.

    Seeds of one photograph are averaged first, so that the intervals, by Student's t, are those of photographs. `tce`
    is pixels over all bits sent, not the mean of each picture's; `tce_closed_form` the same by 1 / (1 - PER).

    Args:
        rows: from `cell_rows`.
        absent: figures that were not computed, and why.

    Returns:
        Rows with the keys of figures, `images`, and under `ci` the interval [low, high] of each.
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
                # Of few photographs the interval may reach where no number of bits is.
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
    """A row for every wanted scheme that could not be computed."""
    return [
        {"scheme": scheme.plain, "cmi": scheme.cmi, "link": link, "not_computed": {"scheme": absent[scheme.name]}}
        for scheme in map(SCHEMES.__getitem__, wanted)
        if scheme.name in absent
    ]


def reaches(summary: Sequence[dict], figure: str) -> dict[str, float | None]:
    """Es/N0 in dB from which each scheme's figure stays at `SHARE` of the best of `REFERENCE`, interpolated; None where
    it never does, minus infinity where it does all along."""
    target = max((row[figure] for row in summary if row["scheme"] == REFERENCE and row[figure]), default=math.inf)
    found = {}
    for name in SCHEMES:
        points = sorted((row["esn0_db"], row[figure]) for row in of_scheme(summary, name) if row[figure] is not None)
        if points:
            found[name] = _crossing(points, SHARE * target)
    return found


def gain_at_per(summary: Sequence[dict], scheme: str, per: float) -> float | None:
    """How much more TCE a scheme has than `REFERENCE`, as a share, where the channel's PER is `per`; None outside of
    what was measured. Between points the ratio of both is interpolated, which falls with PER in a straight line."""
    own = {row["esn0_db"]: row for row in of_scheme(summary, scheme)}
    points = sorted(
        (row["per"], row["tce"] / own[row["esn0_db"]]["tce"])
        for row in of_scheme(summary, REFERENCE)
        if row["esn0_db"] in own
    )
    ratio = at(points, per)
    return None if ratio is None else 1 / ratio - 1


def cmi_effect(rows: Sequence[dict], figures: Sequence[str]) -> list[dict]:
    """What the class label is worth: differences, with label less without, on the same photographs and noise.

    Args:
        rows: from `cell_rows`.
        figures: keys of figures to compare.

    Returns:
        A row for every scheme that comes both ways and every Es/N0: `scheme`, `esn0_db`, and for each figure
        [mean, low, high] of the difference, with the 95% interval.
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
    """The value between sorted points (place, value); None outside."""
    if not points or not points[0][0] <= place <= points[-1][0]:
        return None
    return float(np.interp(place, *zip(*points, strict=True)))


def of_scheme(summary: Sequence[dict], name: str) -> list[dict]:
    """The rows of a scheme given by its name in SCHEMES."""
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
