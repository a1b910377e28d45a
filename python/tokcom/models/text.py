"""Models of text: their tokenizers, and what is sent where nothing is said."""

from tokcom.errors import ModelError
from tokcom.models.zoo import codebook, model_card
from tokcom.tokenizers.text import MODALITY, TextTokenizer

DEFAULT_TEXT_MODEL = "smollm2"
TEXT_FAMILY = "text"


def load_text_tokenizer(model: str = DEFAULT_TEXT_MODEL) -> TextTokenizer:
    """The tokenizer of a model of text.

    Args:
        model: the model, by name or folder.

    Raises:
        ModelError: there is no such model, it is broken, or it is not of text.
    """
    card = model_card(model)
    part = card.part("tokenizer")
    if card.content["modality"] != MODALITY or part["family"] != TEXT_FAMILY:
        raise ModelError(
            f"model {card.name} is of modality {card.content['modality']!r}, not text; there is {DEFAULT_TEXT_MODEL!r}"
        )
    known = codebook(model)
    return TextTokenizer(card.weights("tokenizer").read_bytes(), known.name, known.size)
