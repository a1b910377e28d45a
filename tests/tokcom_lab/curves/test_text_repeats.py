"""Repeat requests by CRC and by posterior."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.context.acceptance import Acceptance
from tokcom.context.joint_decoding import ContextSettings
from tokcom.models.recovery import load_recovery
from tokcom.models.text import load_text_tokenizer
from tokcom_lab.curves.text_repeats import ROUNDS, SCHEMES, Judge, deliver

PROSE = "The rain on the other train stays there, and the others are here."
JUDGE = Judge(0.99)


@pytest.fixture(scope="module")
def frame(tiny_text_model):
    return load_text_tokenizer(str(tiny_text_model)).tokenize(PROSE)


@pytest.fixture(scope="module")
def recovery(tiny_text_model):
    return load_recovery(str(tiny_text_model), "context", acceptance=Acceptance(), context=ContextSettings(beam=8))


@pytest.mark.parametrize("name", SCHEMES)
def test_without_noise_nothing_is_sent_twice(frame, recovery, name):
    found = deliver(frame, SCHEMES[name], recovery, JUDGE, 30.0, np.random.default_rng(0))
    packets = -(-len(frame.tokens) // 3)
    coded = 2 * (27 + (0 if name == "posterior" else 16) + 6)
    assert (found.symbols, found.wrong, found.rounds, found.open) == (packets * -(-coded // 4), 0, 1, 0)


@pytest.mark.parametrize("name", SCHEMES)
def test_noisy_packets_are_sent_until_they_are_good(frame, recovery, name):
    once = deliver(frame, SCHEMES[name], recovery, JUDGE, 30.0, np.random.default_rng(0)).symbols
    found = deliver(frame, SCHEMES[name], recovery, JUDGE, 4.0, np.random.default_rng(1))
    assert once < found.symbols < ROUNDS * once and 1 < found.rounds <= ROUNDS
    assert found.open == 0 and found.wrong <= (name == "posterior")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_receiver_gives_up(frame, recovery, name, monkeypatch):
    monkeypatch.setattr("tokcom_lab.curves.text_repeats.ROUNDS", 2)
    lost = deliver(frame, SCHEMES[name], recovery, JUDGE, -30.0, np.random.default_rng(1))
    assert lost.rounds == 2 and lost.open > 0


def test_parts_of_packets_take_less_airtime_than_whole_ones(frame, recovery):
    symbols = {
        name: sum(
            deliver(frame, SCHEMES[name], recovery, JUDGE, 3.0, np.random.default_rng(seed)).symbols
            for seed in range(10)
        )
        for name in ("arq", "crc", "crc-parts")
    }
    assert symbols["crc-parts"] < symbols["crc"] < symbols["arq"]


def test_a_judge_asks_for_more_of_what_it_is_less_sure_of_and_of_noisier_packets():
    log_odds = np.array([np.inf, 5.0, 4.5, 2.0, -3.0, -50.0])
    shares = JUDGE.share(log_odds, 54, 3.0)
    assert (shares[:2] == 0).all() and (np.diff(shares[1:]) >= 0).all() and shares[-1] == 1
    assert np.allclose(shares * JUDGE.parts, np.round(shares * JUDGE.parts)) and shares[2] > 0
    assert (JUDGE.share(log_odds, 54, 0.0) >= shares).all()


def test_the_command_writes_figures(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, figures = tmp_path / "prose.txt", tmp_path / "figures.json"
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(20)), encoding="utf-8")
    arguments = ["bench", "repeats", "--data", str(data), "--model", str(tiny_text_model), "--messages", "2"]
    arguments += ["--shortest", "10", "--longest", "10", "--esn0-db", "3,30", "--json", str(figures)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(figures.read_text(encoding="utf-8"))
    assert len(content["curve"]) == 2 * len(SCHEMES) and set(content["esn0_db_at_that_airtime"]) == set(SCHEMES)
    assert all(point["ter"] == 0 for point in content["curve"] if point["esn0_db"] == 30)
