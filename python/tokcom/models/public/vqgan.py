"""Layout of taming-transformers' VQGAN: the names of its tensors, and those of diffusers' VQModel."""

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers

PARTS = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
"""Beginnings of the names of the network's tensors; others are of its training."""
VQMODEL = "vqmodel."
"""Beginning of the names of Janus's tokenizer's tensors, in a file that holds other networks, too."""
_NAMES = (
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", ".mid_block.attentions.0."),
    (r"\.block\.(\d+)\.", r".resnets.\1."),
    (r"\.attn\.(\d+)\.", r".attentions.\1."),
    (r"\.(down|up)sample\.conv\.", r".\1samplers.0.conv."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
)
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def from_taming(tensors: Mapping[str, Tensor], image_size: int = 256) -> Converted:
    """Convert the tensors of a VQGAN that attends at its smallest level.

    Args:
        tensors: tensors of the file by name.
        image_size: side of its pictures in pixels.
    """
    own = {name: each for name, each in tensors.items() if name.startswith(PARTS)}
    levels = numbers(own, "encoder.down")
    widths = [len(own[f"encoder.down.{level}.block.0.conv2.weight"]) for level in range(levels)]
    words, code_dim = own["quantize.embedding.weight"].shape
    config = {
        "image_size": image_size, "patch_size": 2 ** (levels - 1), "codebook_size": words, "code_dim": code_dim,
        "latent_dim": len(own["encoder.conv_out.weight"]), "widths": widths,
        "layers": numbers(own, "encoder.down.0.block"), "decoder_layers": numbers(own, "decoder.up.0.block"),
        "attention": f"encoder.down.{levels - 1}.attn.0.q.weight" in own,
        "middle_attention": "encoder.mid.attn_1.q.weight" in own, "unit_vectors": False, "unit_range": False,
    }  # fmt: skip
    state = {f"model.{_name(name, levels)}": _flat(name, each) for name, each in own.items()}
    return Converted("vq-model", config, state)


def from_llamagen(tensors: Mapping[str, Tensor], image_size: int = 256) -> Converted:
    """Convert the tensors of LlamaGen's VQ tokenizer: a VQGAN under other names, with words of length 1.

    Args:
        tensors: tensors of the file by name.
        image_size: side of its pictures in pixels.
    """
    last = numbers(tensors, "decoder.conv_blocks") - 1
    middle = ("block_1", "attn_1", "block_2")

    def taming(name: str) -> str:
        name = re.sub(r"^encoder\.conv_blocks\.", "encoder.down.", name)
        name = re.sub(r"^decoder\.conv_blocks\.(\d+)", lambda found: f"decoder.up.{last - int(found[1])}", name)
        name = re.sub(r"\.mid\.([012])\.", lambda found: f".mid.{middle[int(found[1])]}.", name)
        return re.sub(r"^((?:encoder|decoder)\.(?:down|up)\.\d+)\.res\.", r"\1.block.", name)

    own = {taming(name): each for name, each in tensors.items() if name != "quantize.codebook_used"}
    converted = from_taming(own, image_size)
    return replace(converted, config=converted.config | {"unit_vectors": True})


def from_janus(tensors: Mapping[str, Tensor], image_size: int = 384) -> Converted:
    """Convert the tensors of Janus's VQ tokenizer as transformers keeps it: LlamaGen's, with the names of VQGAN, but
    with the decoder's levels counted from the smallest.

    Args:
        tensors: tensors of the file by name, those of Janus's other networks among them.
        image_size: side of its pictures in pixels.
    """
    found = {name.partition(VQMODEL)[2]: each for name, each in tensors.items() if VQMODEL in name}
    last = numbers(found, "decoder.up") - 1

    def taming(name: str) -> str:
        return re.sub(r"^decoder\.up\.(\d+)", lambda level: f"decoder.up.{last - int(level[1])}", name)

    converted = from_taming({taming(name): each for name, each in found.items()}, image_size)
    return replace(converted, config=converted.config | {"unit_vectors": True})


def _name(name: str, levels: int) -> str:
    """Name of a tensor in VQModel, which counts the decoder's levels from the smallest."""
    name = re.sub(r"^encoder\.down\.(\d+)", r"encoder.down_blocks.\1", name)
    name = re.sub(r"^decoder\.up\.(\d+)", lambda found: f"decoder.up_blocks.{levels - 1 - int(found[1])}", name)
    for old, new in _NAMES:
        name = re.sub(old, new, name)
    return re.sub(r"(\.attentions\.\d+\.)(norm|q|k|v|proj_out)\.", lambda m: f"{m[1]}{_ATTENTION[m[2]]}.", name)


def _flat(name: str, tensor: Tensor) -> Tensor:
    """Matrices of the attention, which the file keeps as 1 x 1 convolutions."""
    attends = re.search(r"\.attn(?:_1|\.\d+)\.(?:q|k|v|proj_out)\.weight$", name)
    return tensor[:, :, 0, 0] if attends and tensor.ndim == 4 else tensor
