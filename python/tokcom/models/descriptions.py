"""Descriptions of pictures in the form that receivers with a model use: a point of the sentences' space, or words."""

from pathlib import Path

from tokcom.context.description import POINT, SENTENCE, of_sentence
from tokcom.errors import ModelError, ParameterError
from tokcom.models.card import CONDITIONS, CONTEXT, Card
from tokcom.models.description_points import SOUNDS, describe, describe_sound
from tokcom.models.families import family
from tokcom.models.installed import model_card

TOLD = ("tokenizer", CONTEXT)
"""Parts that may be told a sentence."""


def description_form(card: Card) -> int | None:
    """Return what receivers with a model use of descriptions.

    Args:
        card: the model's card.

    Returns:
        SENTENCE if an encoder of sentences belongs to the model, which is given the words; POINT if its context takes
        points of the sentences' space; None if it takes neither.

    Raises:
        ModelError: the family of a part is unknown.
    """
    if any(family(card.part(part)["family"]).told_by_sentences for part in TOLD if part in card.content):
        return SENTENCE
    points = CONDITIONS in card.content or "sentences" in card.content.get(CONTEXT, {})
    return POINT if points else None


def describe_for(model: str, sentence: str = "", sound: "str | Path" = "") -> bytes:
    """Describe pictures to receivers with a model.

    Args:
        model: the model, by name or folder.
        sentence: what the pictures show, in words; empty for none.
        sound: the file of a sound that belongs to them; empty for none.

    Returns:
        The description, for `TokenFrame.description`; empty without sentence and sound.

    Raises:
        ParameterError: both are given, or the sentence is empty, or longer than a header holds.
        ModelError: the model does not exist or takes no such description, or what encodes it is not installed.
        SpeechError: the file cannot be read, or is empty.
    """
    if not sentence and not sound:
        return b""
    if sentence and sound:
        raise ParameterError("a sentence and a sound are given; a picture has one description: leave one out")
    card = model_card(model)
    form = description_form(card)
    if form is None:
        raise ModelError(
            f"model {card.name} takes no {'sentences' if sentence else 'sounds'}: it has neither a part {CONDITIONS!r} "
            "nor a context model trained with sentences; leave it out, or take another model"
        )
    if sentence:
        return of_sentence(sentence) if form == SENTENCE else describe(sentence)
    if form == SENTENCE:
        raise ModelError(
            f"model {card.name} is told in words, by an encoder of its own; it takes no sounds: give a sentence"
        )
    try:
        model_card(SOUNDS)
    except ModelError as error:
        raise ModelError(f"a sound needs an encoder of sounds: {error}") from None
    return describe_sound(sound)
