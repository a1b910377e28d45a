import json

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main

pytest.importorskip("zmq")


def test_a_server_serves_until_its_time_is_over_and_reports(tiny_model, tmp_path):
    command = ["serve", "--models", str(tiny_model), "--address", "tcp://127.0.0.1:0", "--seconds", "0.05"]
    assert CliRunner().invoke(main, [*command, "--json", str(tmp_path / "counters")]).exit_code == 0
    assert json.loads((tmp_path / "counters").read_text(encoding="utf-8"))["all_answered"]


def test_other_machines_are_served_with_a_key_alone(tiny_model, tmp_path):
    command = ["serve", "--models", str(tiny_model), "--address", "tcp://0.0.0.0:0", "--seconds", "0.05"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code and "open to other machines" in refused.output + str(refused.exception)
    CliRunner().invoke(main, ["keys", "new", "--private", str(tmp_path / "own")])
    assert CliRunner().invoke(main, [*command, "--key", str(tmp_path / "own")]).exit_code == 0
    alone = CliRunner().invoke(main, [*command, "--trust", "tokcom-public-1:" + "00" * 32])
    assert alone.exit_code and "--trust goes with --key" in alone.output + str(alone.exception)
