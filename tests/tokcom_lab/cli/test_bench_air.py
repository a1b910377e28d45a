import contextlib
import json

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom_lab.cache import Table

FEW = "--quick --packets 64 --bursts 2 --draws 1 --noise-samples 1000 --modes list".split()
COLUMNS = {
    "tracking": {"channel", "doppler_hz", "sample_rate", "mcs", "packets", "per", "per_genie"},
    "found": {"echo_samples", "draws", "share"},
    "echo": {"samples", "level_db", "mcs", "esn0_db", "ideal_db"},
    "interference": {"kind", "level_db", "per", "found"},
    "accepted_wrong": {"fault", "esn0_db", "mode", "packets", "accepted", "wrong"},
    "faults": {"fault", "level", "mcs", "esn0_db"},
}


def air(folder, *arguments):
    with contextlib.chdir(folder):
        return CliRunner().invoke(main, ["bench", "air", *FEW, *arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("air")
    done = air(folder, "--sections", "accepted_wrong,tracking,found,interference,faults", "--json", "first.json")
    assert done.exit_code == 0, done.output
    return folder, json.loads((folder / "first.json").read_text())


def test_the_report_has_the_rows_that_it_promises(measured):
    _, report = measured
    for name in ("accepted_wrong", "tracking", "found", "interference", "faults"):
        assert report[name] and all(COLUMNS[name] <= set(row) for row in report[name])
    assert {row["fault"] for row in report["accepted_wrong"]} == {
        row["fault"] for row in report["pooled"] if row["fault"] != "all"
    }
    assert all(row["wrong"] <= row["accepted"] <= row["packets"] == 64 for row in report["accepted_wrong"])
    assert [row["echo_samples"] for row in report["found"]] == list(range(15))
    assert report["command"].startswith("./run bench air --sections accepted_wrong") and report["seed"] == 0
    assert report["settings"]["bursts"] == 2 and report["settings"]["modes"] == ["list"]


def test_what_was_measured_is_not_measured_again_and_stands_beside_a_baseline(measured):
    folder, report = measured
    kept = Table(folder / ".cache" / "lab" / "results.sqlite", "air")
    before = kept.keys()
    arguments = ["--sections", "found,interference", "--baseline", "first.json", "--json", "-"]
    done = air(folder, *arguments)
    assert done.exit_code == 0, done.output
    again = json.loads(done.stdout)
    assert kept.keys() == before and before
    for name in ("found", "interference"):
        for row, first in zip(again[name], report[name], strict=True):
            baseline = row.pop("baseline")
            assert row == first and baseline and set(baseline) < set(first)
            assert all(first[key] == value for key, value in baseline.items())
    assert "--baseline first.json" in again["command"]


def test_two_processes_measure_the_same(measured):
    folder, report = measured
    other = folder / "two"
    other.mkdir()
    done = air(other, "--sections", "interference", "--jobs", "2", "--json", "-")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["interference"] == report["interference"]


def test_wrong_uses_are_refused_before_anything_is_measured(tmp_path):
    for arguments, said in (
        (["--sections", "echos"], "section is 'echos'"), (["--modes", "best"], "'best' is not one of"),
        (["--baseline", __file__], "is not a report"),
    ):  # fmt: skip
        done = air(tmp_path, *arguments)
        assert done.exit_code and said in done.output and "Traceback" not in done.output


def test_without_a_file_there_are_tables(tmp_path):
    done = air(tmp_path, "--sections", "found")
    assert done.exit_code == 0 and "echo_samples" in done.stdout and "share" in done.stdout
