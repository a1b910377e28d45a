import json

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from tokcom.cli.main import main
from tokcom_lab.case_study import schedule
from tokcom_lab.case_study.cells import measure
from tokcom_lab.case_study.report import write_report
from tokcom_lab.case_study.store import CellStore


def test_the_files_hold_every_cell_and_say_how_they_were_made(tmp_path, settings, jobs):
    cells = [(job, cell) for job in jobs for cell in measure(settings, job)]
    command = ["./run", "case-study", "--data", "my photographs"]
    absent = {"cheng2020": "weights not installed", "lpips": "lpips is not installed"}
    results = write_report(tmp_path, settings, cells, absent, [*jobs[0].schemes, "cheng2020"], "random", command)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert len(results) == 2 * len(jobs[0].schemes) + 1
    for row in results[:-1]:
        assert {"scheme", "cmi", "link", "esn0_db", "images", "per", "ter_channel", "ter_recovered", "exact_recovery",
                "tce", "psnr_db", "ssim", "semantic", "ci"} <= row.keys()  # fmt: skip
        low, high = row["ci"]["psnr_db"]
        assert low <= row["psnr_db"] <= high and row["images"] == 2
        assert row["not_computed"] == {"lpips": "lpips is not installed"}
    assert results[-1]["not_computed"] == {"scheme": "weights not installed"}
    table = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert len(table) == len(cells) and table[0]["scheme"] == "vqgan" and table[0]["image"] == "one"
    page = (tmp_path / "index.html").read_text()
    assert "./run case-study --data &#39;my photographs&#39;" in page
    assert page.count("<img ") == 1 + 2 * len(jobs[0].schemes) and "http://" not in page.split("<h2>From which")[1]
    assert (tmp_path / "figure4.svg").read_text().startswith("<?xml")
    study = json.loads((tmp_path / "study.json").read_text())
    assert study["settings"]["link"] == "k7" and "numpy" in study["versions"] and study["packets"] == 4


@pytest.fixture
def alone(monkeypatch):
    """Jobs are computed in this process."""

    def run_jobs(settings, jobs, store, *, progress, **_):
        for job in store.missing(jobs):
            store.add(job, measure(settings, job))
            progress(len(job.schemes))

    monkeypatch.setattr(schedule, "run_jobs", run_jobs)


def arguments(tiny_model, out, *more):
    return ["case-study", "--model", str(tiny_model), "--images", "2", "--esn0-db", "5,9", "--schemes", "vqgan,tokcom",
            "--out", str(out), *more]  # fmt: skip


def test_the_command_measures_and_continues(tmp_path, tiny_model, alone, monkeypatch):
    first = CliRunner().invoke(main, arguments(tiny_model, tmp_path / "out"))
    assert first.exit_code == 0, first.output
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 4
    monkeypatch.setattr(CellStore, "add", lambda *_: pytest.fail("computed twice"))
    again = CliRunner().invoke(main, arguments(tiny_model, tmp_path / "out"))
    assert again.exit_code == 0, again.output


def test_stopped_it_says_how_to_go_on(tmp_path, tiny_model, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(schedule, "run_jobs", stop)
    result = CliRunner().invoke(main, arguments(tiny_model, tmp_path / "out"))
    assert result.exit_code == 130 and "the same command continues" in result.output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--schemes", "jpg"], "scheme is 'jpg'"),
        (["--esn0-db", "6,nan"], "esn0_db is nan"),
        (["--esn0-db", "6,inf"], "esn0_db is inf"),
        (["--link", "burst", "--channel", "moon"], "moon"),
        (["--channel", "moon"], "channel is 'moon'; the link 'k7' has no multipath"),
        (["--link", "paper", "--channel", "epa"], "channel is 'epa'; the link 'paper' has no multipath"),
        (["--seeds", "nan"], "seeds is nan"),
        (["--seeds", "0,1.5"], "1.5 is out of range; it must be integers from 0"),
        (["--seeds=-1"], "-1 is out of range"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--model", "nobody"], "no model 'nobody'"),
    ],
)
def test_wrong_options_get_one_line(tmp_path, tiny_model, more, message):
    result = CliRunner().invoke(main, arguments(tiny_model, tmp_path / "out", *more))
    assert result.exit_code in (1, 2) and message in result.output and result.exception.__class__ is SystemExit
    assert not (tmp_path / "out").exists()
