import json
from dataclasses import replace

import pytest

from tokcom.errors import ParameterError
from tokcom_lab.air import report, section

SETTINGS = section.Settings(packets=64, bursts=3, draws=4, noise_samples=1, esn0_db=(20.0,), photographs=2)


@pytest.fixture
def counting(monkeypatch):
    """A section that counts at once, and what was asked of it."""
    asked = []

    def count(settings, row, draws):
        asked.append((row["kind"], draws))
        return {"bursts": len(draws), "sum": sum(draws)}

    rows = [{"kind": "none"}, {"kind": "CW"}]
    fake = section.Section(
        "fake", lambda settings: rows, lambda settings, row: settings.draws, 3, count, lambda row, counts: dict(counts)
    )
    monkeypatch.setitem(report.SECTIONS, "fake", fake)
    return asked


def test_pieces_of_a_row_add_up(counting):
    done = []
    rows = report.run(SETTINGS, ["fake"], report.Store(SETTINGS, None), progress=lambda name, n: done.append((name, n)))
    assert rows == {"fake": [{"kind": kind, "bursts": 4, "sum": 6} for kind in ("none", "CW")]}
    assert counting == [(kind, draws) for kind in ("none", "CW") for draws in (range(3), range(3, 4))]
    assert done == [("fake", 3), ("fake", 1)] * 2


def test_a_run_that_was_stopped_goes_on_where_it_was(counting, tmp_path):
    calls = []

    def stop(name, done):
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report.run(SETTINGS, ["fake"], report.Store(SETTINGS, tmp_path), progress=stop)
    rows = report.run(SETTINGS, ["fake"], report.Store(SETTINGS, tmp_path))
    assert len(counting) == 4 and rows["fake"][1]["sum"] == 6
    # A larger run uses what a smaller one measured; another seed does not.
    report.run(replace(SETTINGS, draws=6), ["fake"], report.Store(replace(SETTINGS, draws=6), tmp_path))
    assert [draws for _, draws in counting[4:]] == [range(3, 6)] * 2
    report.run(replace(SETTINGS, seed=1), ["fake"], report.Store(replace(SETTINGS, seed=1), tmp_path))
    assert len(counting) == 10


def test_rows_stand_beside_those_of_another_report(counting):
    rows = report.run(SETTINGS, ["fake"], report.Store(SETTINGS, None))
    before = {"fake": [{"kind": "CW", "bursts": 9, "sum": 1, "more": 2}]}
    joined = report.beside(rows, before, SETTINGS)["fake"]
    assert joined[0]["baseline"] is None and joined[1]["baseline"] == {"bursts": 9, "sum": 1, "more": 2}
    titles = report.tables("fake", joined)
    assert [list(own[0]) for _, own in titles] == [
        ["kind", "bursts", "sum"],
        ["kind", "bursts", "sum", "bursts (baseline)", "sum (baseline)"],
    ]


def test_static_figures_are_grouped_and_found_again():
    rows = [{"figure": "header", "profile": "robust", "esn0_db": -2.0, "bursts": 2, "success": 1.0}]
    told = json.loads(json.dumps(report.report({"static": rows}, SETTINGS, "./run bench air")))
    assert told["static"] == {"header": [{"profile": "robust", "esn0_db": -2.0, "bursts": 2, "success": 1.0}]}
    assert told["seed"] == 0 and told["settings"]["bursts"] == 3 and told["command"] == "./run bench air"
    every = report.SECTIONS["static"].rows(SETTINGS)
    joined = report.beside({"static": every}, told, SETTINGS)["static"]
    found = [row["baseline"] for row in joined if row["baseline"]]
    assert found == [{"bursts": 2, "success": 1.0}]


def test_what_is_accepted_and_wrong_is_pooled():
    rows = [
        {"fault": fault, "esn0_db": esn0_db, "mode": "list", "packets": 100, "accepted": 50, "wrong": wrong}
        for fault, esn0_db, wrong in (("a", 8, 1), ("a", 20, 2), ("b", 8, 0))
    ]
    pooled = report.pooled(rows)
    assert [(row["fault"], row["packets"], row["wrong"]) for row in pooled] == [
        ("all", 300, 3),
        ("a", 200, 3),
        ("b", 100, 0),
    ]
    assert pooled[1]["share"] == pytest.approx(0.015)


def test_a_section_that_is_none_is_named():
    with pytest.raises(ParameterError, match="'echos'"):
        report.pieces(SETTINGS, ["echos"])
