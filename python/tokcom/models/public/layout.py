"""Layouts of public checkpoints: functions that turn a public file's tensors into the weights of a network of ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokcom.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_HERE = "tokcom.models.public"
LAYOUTS = {
    "amused": f"{_HERE}.amused:from_uvit2d",
    "amused-vq": f"{_HERE}.amused:from_diffusers_vq",
    "clap": f"{_HERE}.clap:from_clap",
    "dac": f"{_HERE}.codecs:from_dac",
    "encodec": f"{_HERE}.codecs:from_encodec",
    "clip-text": f"{_HERE}.amused:from_clip_text",
    "taming-vqgan": f"{_HERE}.vqgan:from_taming",
    "janus-vq": f"{_HERE}.vqgan:from_janus",
    "llamagen-vq": f"{_HERE}.vqgan:from_llamagen",
    "mimi": f"{_HERE}.codecs:from_mimi",
    "maskgit-vqgan": f"{_HERE}.maskgit_vqgan:from_muse",
    "maskgen": f"{_HERE}.titok:from_maskgen",
    "rar": f"{_HERE}.rar:from_rar",
    "titok": f"{_HERE}.titok:from_titok",
    "titok-bert": f"{_HERE}.titok:from_titok_bert",
    "titok-uvit": f"{_HERE}.titok:from_titok_uvit",
    "valeo-maskgit": f"{_HERE}.masked_transformers:from_valeo",
    "halton-maskgit": f"{_HERE}.masked_transformers:from_halton",
    "flax-maskgit": f"{_HERE}.masked_transformers:from_flax",
}
"""Place of each layout's function, "module:name", by the name that the catalogue uses."""


@dataclass(frozen=True)
class Converted:
    """A network of ours made of a public checkpoint.

    Attributes:
        family: name of its family.
        config: its configuration, for the card.
        state: its weights by name.
    """

    family: str
    config: dict
    state: "dict[str, Tensor]"


Layout = Callable[..., Converted]
"""Function of a table of tensors, and settings of the catalogue as keywords."""


def convert(layout: str, tensors: "Mapping[str, Tensor]", settings: Mapping[str, Any]) -> Converted:
    """Convert the tensors of a public checkpoint.

    Args:
        layout: one of LAYOUTS.
        tensors: tensors of the file by name.
        settings: what its tensors do not tell, such as the number of heads.

    Raises:
        ModelError: the tensors are not of that layout.
    """
    module, _, name = LAYOUTS[layout].partition(":")
    function = getattr(import_module(module), name)
    try:
        return function(tensors, **settings)
    except KeyError as error:
        raise ModelError(f"not a checkpoint of layout {layout}: it lacks {error.args[0]}") from None
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"not a checkpoint of layout {layout}: {error}") from None


def renamed(tensors: "Mapping[str, Tensor]", beginnings: Mapping[str, str]) -> "dict[str, Tensor]":
    """Select the tensors whose names begin with a key of `beginnings`, which its value replaces."""
    return {
        new + name.removeprefix(old): tensor
        for name, tensor in tensors.items()
        for old, new in beginnings.items()
        if name.startswith(old)
    }


def numbers(tensors: "Mapping[str, Tensor]", beginning: str) -> int:
    """Count the layers of a list, "beginning.0." to "beginning.n-1."."""
    found = {name.removeprefix(f"{beginning}.").split(".")[0] for name in tensors if name.startswith(f"{beginning}.")}
    return len({each for each in found if each.isdigit()})
