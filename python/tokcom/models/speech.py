"""Models of speech."""

from tokcom.errors import ModelError
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.speech import MODALITY, SpeechTokenizer

DEFAULT_SPEECH_MODEL = "speech8k"


def load_speech_tokenizer(model: str = DEFAULT_SPEECH_MODEL) -> SpeechTokenizer:
    """Load the tokenizer of a model of speech, on the CPU.

    Args:
        model: the model, by name or folder.

    Raises:
        ModelError: there is no such model, it is broken, or it is not of speech.
    """
    card = model_card(model)
    if card.content["modality"] != MODALITY:
        raise ModelError(
            f"model {card.name} is of modality {card.content['modality']!r}, not speech; there is "
            f"{DEFAULT_SPEECH_MODEL!r}"
        )
    return load_tokenizer(model, device="cpu")
