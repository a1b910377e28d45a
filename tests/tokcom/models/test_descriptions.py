"""Descriptions in the form that a model's receivers use."""

from pathlib import Path

import pytest

from tokcom.context.description import POINT, SENTENCE, of_point, point_of
from tokcom.errors import ModelError, ParameterError, SpeechError
from tokcom.models import descriptions
from tokcom.models.card import Card
from tokcom.models.description_points import load_sounds
from tokcom.models.descriptions import describe_for, description_form
from tokcom.models.installed import model_card
from tokcom.models.public.catalogue import public_model
from tokcom.tokenizers.sounds import SAMPLE, read_sound


def published(name):
    """Card of a model of the catalogue."""
    parts = {part: {"family": entry.family, "config": {}, "weights": "", "sha256": ""}
             for part, entry in public_model(name).parts.items()}  # fmt: skip
    return Card(Path(name), {"name": name} | parts)


@pytest.mark.parametrize(
    ("card", "form"),
    [
        (model_card("caltech64"), POINT), (model_card("photo256"), POINT), (model_card("speech8k"), None),
        (published("amused-256"), SENTENCE), (published("maskgen-l"), SENTENCE), (published("vqgan-maskgit"), None),
        (published("titok-b64"), None), (published("encodec-24khz"), None),
    ],
    ids=lambda each: each.name if isinstance(each, Card) else None,
)  # fmt: skip
def test_what_models_take(card, form):
    assert description_form(card) == form


def test_nothing_is_said_of_a_picture():
    assert describe_for("no model is looked for") == b""


def test_a_sound_is_described_by_its_point():
    found = describe_for("caltech64", sound=SAMPLE)
    assert found == of_point(load_sounds().embed(read_sound(SAMPLE))) and point_of(found) is not None


def test_a_sentence_is_described_by_its_point_or_its_words(monkeypatch):
    monkeypatch.setattr(descriptions, "describe", lambda said: b"\1" + said[:1].encode())
    assert describe_for("photo256", "a dog") == b"\1a"
    monkeypatch.setattr(descriptions, "model_card", lambda model: published(model))
    assert describe_for("maskgen-xl", " a  dog") == b"\2a dog"


@pytest.mark.parametrize(
    ("model", "told", "error", "message"),
    [
        ("caltech64", {"sentence": "a dog", "sound": "dog.wav"}, ParameterError, "leave one out"),
        ("caltech64", {"sentence": " "}, ParameterError, "the sentence is empty; say what the picture shows"),
        ("caltech64", {"sound": "none.wav"}, SpeechError, "none.wav: No such file"),
        ("amused-256", {"sentence": "x" * 240}, ParameterError, "takes 240 bytes; it must be 1 to 239 bytes"),
        ("amused-256", {"sentence": "  "}, ParameterError, "takes 0 bytes; it must be 1 to 239 bytes"),
        ("amused-256", {"sound": "dog.wav"}, ModelError, "amused-256 is told in words.*; it takes no sounds"),
        ("vqgan-maskgit", {"sound": "dog.wav"}, ModelError, "vqgan-maskgit takes no sounds: it has neither a part 'c"),
        ("vqgan-maskgit", {"sentence": "a dog"}, ModelError, "vqgan-maskgit takes no sentences: .* another model"),
    ],
)
def test_what_cannot_be_said_is_named(model, told, error, message, monkeypatch):
    if model != "caltech64":
        monkeypatch.setattr(descriptions, "model_card", published)
    with pytest.raises(error, match=message):
        describe_for(model, **told)


def test_a_missing_encoder_of_sounds_is_named(monkeypatch):
    monkeypatch.setattr(descriptions, "SOUNDS", "ears")
    with pytest.raises(ModelError, match="a sound needs an encoder of sounds: no model 'ears'; installed: "):
        describe_for("caltech64", sound=SAMPLE)
