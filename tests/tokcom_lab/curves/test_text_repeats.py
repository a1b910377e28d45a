"""Repeat requests by CRC and by posterior."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.context.joint_decoding import ContextSettings
from tokcom.models.recovery import load_recovery
from tokcom.models.text import load_text_tokenizer
from tokcom_lab.curves.text_repeats import CODES, TRANSMISSIONS, deliver

PROSE = "The rain on the other train stays there, and the others are here."


@pytest.fixture(scope="module")
def frame(tiny_text_model):
    return load_text_tokenizer(str(tiny_text_model)).tokenize(PROSE)


@pytest.fixture(scope="module")
def recovery(tiny_text_model):
    return load_recovery(str(tiny_text_model), "context", context=ContextSettings(accept=0.99))


@pytest.mark.parametrize("scheme", CODES)
def test_without_noise_nothing_is_sent_twice(frame, recovery, scheme):
    found = deliver(frame, scheme, recovery, 30.0, np.random.default_rng(0))
    packets = -(-len(frame.tokens) // 3)
    coded = 2 * (27 + (16 if scheme == "crc" else 0) + 6)
    assert (found.symbols, found.wrong, found.rounds, found.open) == (packets * -(-coded // 4), 0, 1, 0)


@pytest.mark.parametrize("scheme", CODES)
def test_noisy_packets_are_sent_until_they_are_good(frame, recovery, scheme):
    once = deliver(frame, scheme, recovery, 30.0, np.random.default_rng(0)).symbols
    found = deliver(frame, scheme, recovery, 3.0, np.random.default_rng(1))
    assert once < found.symbols < TRANSMISSIONS * once and 1 < found.rounds <= TRANSMISSIONS
    assert found.open == 0 and found.wrong <= (scheme == "posterior")
    lost = deliver(frame, scheme, recovery, -30.0, np.random.default_rng(1))
    assert lost.rounds == TRANSMISSIONS and lost.open > 0 and lost.symbols > 0.9 * TRANSMISSIONS * once


def test_the_command_writes_figures(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, figures = tmp_path / "prose.txt", tmp_path / "figures.json"
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(20)), encoding="utf-8")
    arguments = ["bench", "repeats", "--data", str(data), "--model", str(tiny_text_model), "--messages", "2"]
    arguments += ["--shortest", "10", "--longest", "10", "--esn0-db", "3,30", "--json", str(figures)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(figures.read_text(encoding="utf-8"))
    assert len(content["curve"]) == 4 and set(content["esn0_db_at_that_airtime"]) == set(CODES)
    assert all(point["ter"] == 0 for point in content["curve"] if point["esn0_db"] == 30)
