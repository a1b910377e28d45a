"""Source coding and choice of tokens with a model's parts."""

from typing import TYPE_CHECKING

from tokcom.models.codebooks import codebook
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer

if TYPE_CHECKING:
    from tokcom.source.chooser import TokenChooser
    from tokcom.source.frame_coder import FrameCoder


def load_frame_coder(model: str, turns: int, blocks: int | None = None) -> "FrameCoder":
    """Load the source coder of a model, on the CPU, whose precision decoding relies on.

    Args:
        model: a model of the zoo, by name or folder.
        turns: evaluations of the context model per block, 1 to 255.
        blocks: blocks per frame, 1 to 255; None for a decoder, which takes any number.

    Raises:
        ModelError: there is no such model, or its context model has no grid of its own.
        ParameterError: a number is out of its range.
        SourceError: constriction is not installed.
    """
    from tokcom.source.blocks import SourceSettings
    from tokcom.source.frame_coder import FrameCoder

    settings = SourceSettings(turns=turns) if blocks is None else SourceSettings(turns=turns, blocks=blocks)
    coder = FrameCoder(load_context(model, "cpu"), codebook(model).modality, settings)
    if blocks is not None:
        coder.require_packets()
    return coder


def load_chooser(model: str, choice: str) -> "TokenChooser":
    """Load what chooses the tokens of a model's frames that are sent, on the CPU.

    Args:
        model: a model of the zoo, by name or folder.
        choice: one of `source.choices.CHOICES`.

    Raises:
        ModelError: there is no such model, or it lacks a part that the choice needs.
        ParameterError: there is no such choice.
    """
    from tokcom.source.choices import CHECKERBOARD, CHOICES, DISTORTION, SPREAD, SURPRISE
    from tokcom.source.chooser import TokenChooser

    if choice in (SPREAD, CHECKERBOARD) or choice not in CHOICES:
        return TokenChooser(choice)
    prior = load_context(model, "cpu")
    if choice == SURPRISE:
        return TokenChooser(choice, prior)
    tokenizer = load_tokenizer(model, 0, "cpu")
    return TokenChooser(choice, prior, tokenizer, None if choice == DISTORTION else load_classifier(model, "cpu"))
