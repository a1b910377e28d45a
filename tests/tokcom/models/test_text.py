"""Models of text: their folders, and texts that go from one end to the other."""

import json
import shutil

import numpy as np
import pytest

from tokcom.context.language_model import LanguageModel
from tokcom.errors import ModelError, ParameterError, TextError
from tokcom.link.recovery import FrameRecovery
from tokcom.link.text import RECEIVERS, TextLink
from tokcom.models.codebooks import codebook, word_frequencies
from tokcom.models.installed import model_card
from tokcom.models.text import load_text_link, load_text_recoveries, load_text_tokenizer
from tokcom.models.word_frequencies import expected_frequencies
from tokcom.models.zoo import load_context
from tokcom.packets.codebook import Codebook

TEXT = "the rain on the other train, here and there ñ 1"


@pytest.fixture(scope="module")
def model(tiny_text_model):
    return str(tiny_text_model)


def test_the_folder_is_a_model_of_the_zoo(model):
    book, prior = codebook(model), load_context(model)
    assert book.modality == "text" and book.size == prior.codebook_size == 300
    assert isinstance(prior, LanguageModel) and prior.codebook == book.name == load_text_tokenizer(model).codebook
    assert word_frequencies(model).sum() == pytest.approx(1, abs=1e-5)
    assert model_card(model).summary()["parts"] == ["tokenizer", "context"]


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_without_noise_every_receiver_shows_what_was_sent(model, receiver):
    link = load_text_link(model, [receiver])
    received = link.send(TEXT, 30.0, np.random.default_rng(0)).received(receiver)
    assert received.text == TEXT and not received.wrong.any()
    assert [is_wrong for _, is_wrong in received.shown()] == [False] * len(TEXT.split())
    assert all(word.sure for word in received.words)


def test_receivers_get_the_same_packets_and_what_is_wrong_is_counted(model):
    link = load_text_link(model)
    sent = link.send(TEXT, 2.0, np.random.default_rng(1))
    assert not sent.arrival.packets_ok.all()
    kept = sent.received("keep")
    shown = kept.shown()
    assert any(is_wrong for _, is_wrong in shown) and not any(word.sure for word, is_wrong in shown if is_wrong)
    bad = {place for word in kept.words if not word.sure for place in range(*word.tokens.indices(len(sent.tokens)))}
    assert set(np.flatnonzero(kept.wrong)) <= bad
    errors = [int(sent.received(name).wrong.sum()) for name in ("keep", "list", "frequencies", "context")]
    assert errors[1] <= errors[0] and errors[1] == errors[2]  # frequencies that are all alike


def test_a_check_that_holds_over_rare_words_by_chance_is_not_believed(model):
    sent = load_text_link(model, ["context"]).send(TEXT, 12.0, np.random.default_rng(3))
    assert sent.arrival.packets_ok.all()
    book, usual = codebook(model), np.unique(sent.tokens)
    frequencies = np.full(book.size, 1e-4)
    frequencies[usual] = (1 - frequencies.sum()) / len(usual) + 1e-4
    false = sent.tokens.copy()
    false[3:6] = np.setdiff1d(np.arange(book.size), usual)[:3]
    for known, expected in ((frequencies, sent.tokens), (None, false)):
        recovery = FrameRecovery("context", load_context(model), frequencies=known)
        found = recovery.recover(sent.arrival.frame.with_tokens(false), sent.arrival.received)
        assert np.array_equal(found.frame.tokens, expected) and found.packets_ok.all()


def test_a_text_is_decoded_alike_twice(model):
    link = load_text_link(model, ["context"])
    first, second = (link.send(TEXT, 2.0, np.random.default_rng(2)).received("context") for _ in range(2))
    assert np.array_equal(first.tokens, second.tokens) and first.words == second.words


def test_expected_frequencies_are_of_all_words(model):
    calls = []
    found = expected_frequencies(load_context(model), calls.append)
    assert found.sum() == pytest.approx(1, abs=1e-4) and (found > 0).all() and calls[-1] == 1


def test_pictures_are_no_text():
    with pytest.raises(ModelError, match="modality 'image', not text"):
        load_text_tokenizer("caltech64")


def test_a_folder_without_its_vocabulary_says_so(model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: no such file"):
        load_text_tokenizer(str(broken))
    (broken / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="not the card's"):
        load_text_tokenizer(str(broken))


def test_a_vocabulary_of_another_network_is_refused(model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model, other)
    card = json.loads((other / "card.json").read_text(encoding="utf-8"))
    card["context"]["tokenizer"] = "0" * 64
    (other / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="context was trained for another tokenizer"):
        load_context(str(other))


def test_what_cannot_be_sent_is_refused(model):
    link = load_text_link(model, ["keep"])
    with pytest.raises(TextError, match="is empty"):
        link.send("", 3.0, np.random.default_rng(0))
    with pytest.raises(ParameterError, match="receiver is 'guess'"):
        load_text_recoveries(model, ["guess"])
    with pytest.raises(ParameterError, match="the tokenizer is of"):
        TextLink(load_text_tokenizer(model), Codebook("other", 300), {})
