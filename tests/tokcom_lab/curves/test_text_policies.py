"""Text by policy: the errors that are expected of it, and airtime."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.errors import ModelError
from tokcom.link.adaptation import AdaptationConfig
from tokcom.mcs import find_mcs, mcs_table
from tokcom.models.fits import load_residual
from tokcom.models.text import load_text_link
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.curves.residual_fit import OFFSETS_DB, SCHEMES, levels
from tokcom_lab.curves.text_curve import TextBench
from tokcom_lab.curves.text_policies import POLICIES, policy_rows
from tokcom_lab.curves.text_residual import PACKETS, measure_text_residual

PROSE = "The rain on the other train stays there, and the others are here."


def test_every_level_is_measured_in_turn():
    scheme = find_mcs("16qam-1/2")
    found = [levels(scheme, number, 1) for number in range(len(OFFSETS_DB))]
    assert sorted(number for ((number, _),) in found) == list(range(len(OFFSETS_DB)))
    assert {value for ((_, value),) in found} == {scheme.per10_esn0_db + offset for offset in OFFSETS_DB}


def test_residual_errors_are_measured_once_and_go_into_the_card(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, data = tmp_path / "model", tmp_path / "prose.txt"
    shutil.copytree(tiny_text_model, folder)
    with pytest.raises(ModelError, match=r"no residual errors; \./run residual-text fits them"):
        load_residual(str(folder))
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(20)), encoding="utf-8")
    arguments = ["residual-text", "--data", str(data), "--model", str(folder), "--messages", "1"]
    done = CliRunner().invoke(main, [*arguments, "--json", str(tmp_path / "rows.json")])
    assert done.exit_code == 0, done.output
    assert load_residual(str(folder)).command.startswith("./run residual-text")
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))["rows"]
    assert [row["mcs"] for row in rows] == sorted(SCHEMES, key=lambda name: find_mcs(name).index)
    bench = TextBench(str(folder), ["context"], kept=tmp_path / "kept")
    found = measure_text_residual(bench, [PROSE])
    bench.link.link.receive = None  # what was measured is not measured again
    again = measure_text_residual(bench, [PROSE])
    assert np.array_equal(found.wrong, again.wrong) and found.wrong.shape == (1 + len(SCHEMES), PACKETS)
    assert (found.tokens, found.payload_bits) == (3, 27)


def test_policies_are_compared_on_the_same_texts(adaptive_text_model, tmp_path):
    bench = TextBench(str(adaptive_text_model), ["keep", "context"], kept=tmp_path)
    residual, texts = load_residual(str(adaptive_text_model)), [PROSE, f"On the other train. {PROSE}"]
    clean = policy_rows(bench, residual, 0.02, texts, [34.0])
    assert [row["policy"] for row in clean] == list(POLICIES)
    assert all(row["ter"] == 0 and row["exact_messages"] == 1 for row in clean[:2])
    assert clean[0]["airtime_over_cqi"] == clean[1]["airtime_over_cqi"] == 1
    assert clean[0]["airtime_samples"] == clean[1]["airtime_samples"] and clean[0]["packets_left_out"] == 0
    bench.link = None  # what was measured is not measured again
    assert policy_rows(bench, residual, 0.02, texts, [34.0]) == clean


def test_packets_that_the_receiver_can_guess_may_stay_unsent(adaptive_text_model):
    link = load_text_link(str(adaptive_text_model), ["context"], adaptation=AdaptationConfig("semantic", bound=0.9))
    sent = link.send(PROSE, 20.0, np.random.default_rng(0))
    received = sent.received("context")
    unsent = sent.choice.mcs == MCS_NOT_SENT
    assert unsent.any() and sent.choice.feasible and len(received.tokens) == len(sent.tokens)
    positions = sent.arrival.positions
    assert not sent.arrival.received.sent[unsent].any()
    wrong = (received.wrong[positions] & (positions >= 0)).any(axis=1)
    # Whatever is not sent is guessed; no other packet is the worse for it.
    robust = ~unsent & (np.array([mcs_table()[min(each, 14)].per1_esn0_db for each in sent.choice.mcs]) < 15)
    assert not wrong[robust].any()


def test_the_command_tells_what_was_chosen(adaptive_text_model):
    done = CliRunner().invoke(
        main, ["text", PROSE, "--model", str(adaptive_text_model), "--esn0-db", "12", "--policy", "cqi"]
    )
    assert done.exit_code == 0, done.output
    assert "policy cqi: " in done.output and " samples at 0.0 dB\n" in done.output
    done = CliRunner().invoke(
        main, ["text", PROSE, "--model", str(adaptive_text_model), "--esn0-db", "12", "--policy", "semantic"]
    )
    assert done.exit_code == 0 and "% of tokens wrong\n" in done.output
