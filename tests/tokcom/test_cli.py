import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tokcom.cli import main


def test_link_prints_json():
    command = [sys.executable, "-m", "tokcom.cli", "link", "--code", "k3", "--esn0-db", "6,30", "--packets", "500"]
    points = json.loads(subprocess.run([*command, "--json", "-"], capture_output=True, text=True, check=True).stdout)
    assert [set(point) for point in points] == 2 * [{"esn0_db", "packets", "per", "per_genie", "ter", "undetected"}]
    assert points[0]["packets"] == 500 and points[0]["per"] > points[1]["per"] == 0


def test_link_prints_a_table():
    result = CliRunner().invoke(main, ["link", "--esn0-db", "30", "--packets", "64"])
    assert result.exit_code == 0 and "per_genie" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["link", "--code", "k4"], "code is 'k4'; it must be one of k7, k3"),
        (["link", "--esn0-db", "six"], "'six' is not a list of numbers"),
        (["link", "--esn0-db", "nan", "--packets", "10"], "esn0_db is nan"),
        (["link", "--packets", "0"], "packets is 0"),
        (["link", "--esn0-db=-5000"], "esn0_db is -5000"),
        (["link", "--seed", "-1"], "--seed"),
        (["link", "--codebook-size", "0"], "--codebook-size"),
        (["train", "tokenizer", "--data", "/no/where"], "/no/where: no such folder or archive"),
        (["train", "maskgit", "--data", "/no/where", "--model", "none"], "/no/where"),
    ],
)
def test_errors_are_one_line_without_a_traceback(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
