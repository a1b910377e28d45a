"""Points of sentences and of sounds, which describe frames."""

from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.context.description import POINT_BYTES, of_point
from tokcom.device import AUTO, find_device
from tokcom.errors import ParameterError
from tokcom.models.families import family
from tokcom.models.installed import model_card
from tokcom.models.networks import network_of

if TYPE_CHECKING:
    import torch

    from tokcom.context.sound_encoder import Sounds

SOUNDS = "sounds10"
"""Model whose encoder of sounds is used if no other is named."""


def describe(sentence: str, n_bytes: int = POINT_BYTES) -> bytes:
    """Describe a frame by the point of a sentence.

    Args:
        sentence: the sentence, or a few words.
        n_bytes: bytes of the point's code, 1 to 8.

    Raises:
        ModelError: all-MiniLM-L6-v2 is not installed.
        ParameterError: the sentence is empty, or no such number.
    """
    if not sentence.strip():
        raise ParameterError("the sentence is empty; say what the picture shows")
    from tokcom.models.published import load_sentences

    return of_point(load_sentences().embed([sentence])[0].numpy(), n_bytes)


def describe_sound(path: "str | Path", model: str = SOUNDS, n_bytes: int = POINT_BYTES) -> bytes:
    """Describe a frame by the point of a sound that belongs to it.

    Args:
        path: the file of the sound.
        model: the model with the encoder of sounds, by name or folder.
        n_bytes: bytes of the point's code, 1 to 8.

    Raises:
        ModelError: the model does not exist, is corrupt, or encodes no sounds.
        SpeechError: the file cannot be read, or is empty.
        ParameterError: there is no such number of bytes.
    """
    from tokcom.context.sound_encoder import LONGEST_S
    from tokcom.tokenizers.sounds import read_sound

    return of_point(load_sounds(model).embed(read_sound(path, LONGEST_S)), n_bytes)


def load_sounds(model: str = SOUNDS, device: "str | torch.device" = AUTO) -> "Sounds":
    """Load the encoder of sounds of a model, on a device of PyTorch's; raises as `load_tokenizer` does."""
    card = model_card(model)
    return family(card.part("sounds")["family"]).user()(network_of(card, "sounds", find_device(device)), card.name)
