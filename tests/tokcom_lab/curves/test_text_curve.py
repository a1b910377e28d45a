"""Curves of text: what is counted, and that what was measured is not measured again."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.context.acceptance import Acceptance
from tokcom.errors import DatasetError, ModelError, ParameterError
from tokcom.link.text import TextLink
from tokcom.models.fits import load_acceptance, load_certainty
from tokcom.models.text import load_text_link
from tokcom_lab.curves.calibration import wilson
from tokcom_lab.curves.sentence_blocks import BlockErrors, block_errors, block_figures, esn0_at_bler, sentences_of
from tokcom_lab.curves.text_curve import Message, TextBench, esn0_at_ter, summary
from tokcom_lab.text_messages import TRAINING_SHARE, MessageDraw, cut_messages, paragraphs, split, text_files

PROSE = "The rain on the other train stays there, and the others are here."


def message(esn0_db, receiver, wrong, sure=0, seconds=1.0):
    """A message of 50 tokens and 40 words, some of them wrong, the first of these certain."""
    confidence = (0.9995,) * sure + (0.5,) * (wrong - sure) + (1.0,) * (40 - wrong)
    return Message(esn0_db, receiver, 50, wrong, confidence, tuple(range(wrong)), (), seconds)


def test_a_summary_counts_tokens_words_and_messages():
    found = summary(
        [
            message(1.0, "context", 10, sure=1),
            message(1.0, "context", 0, seconds=3.0),
            message(2.0, "context", 1),
            message(2.0, "context", 0),
        ]
    )
    first = found["curve"][0]
    assert (first["ter"], first["word_errors"], first["exact_messages"]) == (0.1, 10 / 80, 0.5)
    assert first["sure_and_wrong"] == 1 / 80 and first["marked_unsure"] == pytest.approx(9 / 80)
    assert first["exact_messages_ci"] == pytest.approx(wilson(1, 2)) and first["words"] == 80
    low, high = first["ter_ci"]
    assert (low, high) == (0, 0.2)
    assert found["seconds_per_message"] == {"1": 2.0, "2": 1.0}
    assert found["esn0_db_at_ter_10"]["context"] == pytest.approx(1.0)


def test_certainty_is_calibrated_after_the_measurement():
    found = [message(1.0, name, 10, sure=1) for name in ("context", "list")]
    doubtful = Acceptance((6.0, 9.0), (5.0, 8.0))
    shares = {point["receiver"]: point for point in summary(found, doubtful)["curve"]}
    assert shares["context"]["sure_and_wrong"] == 0 and shares["list"]["sure_and_wrong"] == 1 / 40
    assert shares["context"]["marked_unsure"] == pytest.approx(10 / 40)


def test_intervals_of_where_a_curve_falls_hold_its_value():
    rng = np.random.default_rng(0)
    rates = {0.0: 0.4, 1.0: 0.2, 2.0: 0.05, 3.0: 0.01}
    found = [message(value, "context", int(rng.binomial(40, rate))) for value, rate in rates.items() for _ in range(50)]
    told = summary(found)
    low, high = told["esn0_db_at_ter_10_ci"]["context"]
    assert low < told["esn0_db_at_ter_10"]["context"] < high < low + 0.5


def test_where_a_curve_falls_to_a_rate():
    points = [{"esn0_db": 0.0, "ter": 0.4}, {"esn0_db": 2.0, "ter": 0.025}]
    assert esn0_at_ter(points) == pytest.approx(1.0)
    assert esn0_at_ter(points, 0.01) is None


def test_what_is_measured_stays_so(tiny_text_model, tmp_path, monkeypatch):
    model, receivers = str(tiny_text_model), ["keep", "frequencies"]
    texts = [PROSE[:20], PROSE[20:]]
    first = TextBench(model, receivers, kept=tmp_path).messages(texts, [3.0, 30.0])
    assert len(first) == 8 and sum(each.wrong for each in first if each.esn0_db == 30) == 0
    again = TextBench(model, receivers, kept=tmp_path)
    sent, send = [], TextLink.send

    def counted(link, text, *arguments):
        sent.append(text)
        return send(link, text, *arguments)

    monkeypatch.setattr(TextLink, "send", counted)
    assert again.messages(texts, [3.0, 30.0]) == first
    assert again.messages(texts[:1], [3.0]) == first[:2]
    assert not sent
    # Another order is another noise; a receiver that is missing gets the packets of the others.
    again.messages(texts[::-1], [3.0])
    assert sent == texts[::-1]
    more = TextBench(model, ["keep", "list"], kept=tmp_path).messages(texts[:1], [3.0])
    assert more[0] == first[0] and sent[2:] == texts[:1]
    for other in ({"seed": 1}, {"mcs": "qpsk-1/2"}, {"tokens_per_packet": 4}):
        TextBench(model, receivers, kept=tmp_path, **other).messages(texts[:1], [3.0])
    assert sent[3:] == 3 * texts[:1]


def test_messages_are_prose_of_the_length_asked_for(tiny_text_model, tmp_path):
    file = tmp_path / "prose.md"
    file.write_text(
        f"# Heading\n\n{PROSE}\n\n| a | table |\n\n```\n{PROSE}\n```\n\n{PROSE}\n{PROSE}\n", encoding="utf-8"
    )
    found = paragraphs(text_files([tmp_path]))
    assert found == [PROSE, f"{PROSE} {PROSE}"]
    tokenizer = load_text_link(str(tiny_text_model), ["keep"]).tokenizer
    messages = cut_messages(found * 4, tokenizer, MessageDraw(3, 20, 30, 0))
    assert all(20 <= len(tokenizer.tokenize(each).tokens) <= 30 for each in messages) and len(messages) == 3
    with pytest.raises(DatasetError, match="messages of 20 to 30 tokens, not 30"):
        cut_messages(found, tokenizer, MessageDraw(30, 20, 30, 0))
    with pytest.raises(ParameterError, match="shortest is 30, longest 20"):
        MessageDraw(3, 30, 20, 0)
    file.write_bytes(b"\xff")
    with pytest.raises(DatasetError, match="byte 0 is not UTF-8"):
        paragraphs([file])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match=r"no \.txt, \.md or \.py files"):
        text_files([empty])


def test_docstrings_are_prose_and_training_is_kept_apart(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(f'"""{PROSE}\n\n{PROSE}\n    {PROSE}"""\ndef short():\n    """{PROSE}"""\n', encoding="utf-8")
    assert paragraphs(text_files([tmp_path])) == [" ".join([PROSE] * 3)]
    file.write_text("def", encoding="utf-8")
    with pytest.raises(DatasetError, match="not a Python file"):
        paragraphs([file])
    texts = [f"{number}. {PROSE}" for number in range(1000)]
    training, test = (split(texts, which) for which in (True, False))
    assert sorted(training + test) == sorted(texts) and not set(training) & set(test)
    assert len(training) == pytest.approx(1000 * TRAINING_SHARE, abs=50)
    assert split(texts[::-1], True) == training[::-1]


def test_the_command_writes_its_figures(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, figures = tmp_path / "prose.txt", tmp_path / "figures.json"
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(12)))
    arguments = ["bench", "text", "--data", str(data), "--model", str(tiny_text_model), "--messages", "2"]
    arguments += ["--shortest", "10", "--longest", "12", "--esn0-db", "3,30", "--sentences", "0"]
    arguments += ["--json", str(figures)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(figures.read_text(encoding="utf-8"))
    reached = {"esn0_db_at_ter_10", "esn0_db_at_ter_10_ci"}
    assert {"command", "curve", "seconds_per_message"} | reached == set(content)
    assert len(content["curve"]) == 8 and set(content["seconds_per_message"]) == {"3", "30"}


def test_whole_sentences_are_blocks(tiny_text_model, tmp_path):
    drawn = sentences_of([f"{PROSE} {PROSE[:45]}!"], 2, 0)
    assert sorted(map(len, drawn)) == [46, len(PROSE)]
    bench = TextBench(str(tiny_text_model), ["context"], kept=tmp_path)
    clean, noisy = found = block_errors(bench, drawn, [15.0, -12.0])
    assert (clean.ascii_viterbi, clean.tokens_viterbi, clean.context) == (0, 0, 0)
    assert (noisy.ascii_viterbi, noisy.tokens_viterbi, noisy.context) == (1, 1, 1)
    again = TextBench(str(tiny_text_model), ["context"], kept=tmp_path)
    again.link = None
    assert block_errors(again, drawn, [15.0, -12.0]) == found
    points = [BlockErrors(0.0, 0.4, 1, 1, 10), BlockErrors(1.0, 0.0, 1, 1, 10)]
    assert esn0_at_bler(points, "ascii_viterbi") == pytest.approx(0.75)
    assert esn0_at_bler(points, "context") is None
    told = block_figures(points)
    assert told["esn0_db_at_bler_10"] == {name: esn0_at_bler(points, name) for name in told["curve"][0]["ci"]}
    assert told["curve"][0]["ci"]["ascii_viterbi"] == pytest.approx(wilson(4, 10))
    with pytest.raises(DatasetError, match="2 sentences of 40 to 100 characters are here, not 5"):
        sentences_of([f"{PROSE} {PROSE[:45]}!"], 5, 0)


def test_calibration_goes_into_the_card(tiny_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, data = tmp_path / "model", tmp_path / "prose.txt"
    shutil.copytree(tiny_text_model, folder)
    data.write_text("\n\n".join(f"{PROSE} {number}" for number in range(60)), encoding="utf-8")
    arguments = ["calibrate-text", "--data", str(data), "--model", str(folder), "--messages", "3", "--esn0-db", "2,3"]
    arguments += ["--shortest", "10", "--longest", "12", "--json", str(tmp_path / "rows.json")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    for name, load in (("acceptance", load_acceptance), ("certainty", load_certainty)):
        assert card["context"][name]["command"].startswith("./run calibrate-text")
        assert load(str(folder)).calibrated == tuple(card["context"][name]["calibrated"]) != ()
    assert {"posterior", "right"} <= set(json.loads((tmp_path / "rows.json").read_text())["reliability"][0])
    card["context"]["certainty"]["context"] = "another"
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"calibration was made for another context; run `./run calibrate-text"):
        load_certainty(str(folder))
