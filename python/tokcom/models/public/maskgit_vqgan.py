"""Layout of MaskGIT's VQGAN, as converted to PyTorch; its quirks are folded into weights of diffusers' VQModel.

The network has no attention and few biases, halves pictures by 2 x 2 means, and where a block changes the width its
1 x 1 shortcut is applied to the block's output h, not to its input: h + W h.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from tokcom.models.public.layout import Converted, numbers, renamed


def from_muse(tensors: Mapping[str, Tensor], image_size: int = 256) -> Converted:
    """Convert the tensors of the file.

    Args:
        tensors: tensors of the file by name.
        image_size: side of its pictures in pixels.
    """
    widths, layers, decoder = decoder_of(tensors)
    words, code_dim = tensors["quantize.embedding.weight"].shape
    config = {
        "image_size": image_size, "patch_size": 2 ** (len(widths) - 1), "codebook_size": words, "code_dim": code_dim,
        "latent_dim": code_dim, "widths": widths, "layers": layers, "decoder_layers": layers,
        "attention": False, "middle_attention": False,
        "unit_vectors": False, "unit_range": True,
    }  # fmt: skip
    state = {"quantize.embedding.weight": tensors["quantize.embedding.weight"]} | _encoder(tensors, widths, layers)
    for name in ("quant_conv.", "post_quant_conv."):
        state[f"{name}weight"], state[f"{name}bias"] = torch.eye(code_dim)[:, :, None, None], torch.zeros(code_dim)
    return Converted("vq-model", config, {f"model.{name}": each for name, each in (state | decoder).items()})


def decoder_of(tensors: Mapping[str, Tensor]) -> tuple[list[int], int, dict[str, Tensor]]:
    """Convert the decoder alone.

    Args:
        tensors: tensors by name, those of the decoder begin with "decoder.".

    Returns:
        The widths of its levels from the largest, the blocks per level, and the weights of VQModel's decoder.
    """
    levels, layers = numbers(tensors, "decoder.up"), numbers(tensors, "decoder.up.0.block")
    widths = [len(tensors[f"decoder.up.{level}.block.0.conv2.weight"]) for level in range(levels)]
    state = _ends(tensors, "decoder") | _biased(tensors, "decoder.conv_out.", "decoder.conv_out.")
    for level in range(levels):
        old, new = f"decoder.up.{level}.", f"decoder.up_blocks.{levels - 1 - level}."
        for number in range(layers):
            state |= _block(tensors, f"{old}block.{number}.", f"{new}resnets.{number}.")
        if level:
            state |= _biased(tensors, f"{old}upsample_conv.", f"{new}upsamplers.0.conv.")
    return widths, layers, state


def _encoder(tensors: Mapping[str, Tensor], widths: list[int], layers: int) -> dict[str, Tensor]:
    state = _ends(tensors, "encoder") | renamed(tensors, {"encoder.conv_out.bias": "encoder.conv_out.bias"})
    state["encoder.conv_out.weight"] = functional.pad(tensors["encoder.conv_out.weight"], (1, 1, 1, 1))
    for level, width in enumerate(widths):
        old, new = f"encoder.down.{level}.", f"encoder.down_blocks.{level}."
        for number in range(layers):
            state |= _block(tensors, f"{old}block.{number}.", f"{new}resnets.{number}.")
        if level < len(widths) - 1:
            state |= _mean(width, f"{new}downsamplers.0.conv.")
    return state


def _ends(tensors: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    """Convert the common parts of encoder and decoder: the first convolution, the middle blocks, and the last norm."""
    state = _biased(tensors, f"{side}.conv_in.", f"{side}.conv_in.")
    state |= renamed(tensors, {f"{side}.norm_out.": f"{side}.conv_norm_out."})
    for number in (0, 1):
        state |= _block(tensors, f"{side}.mid.{number}.", f"{side}.mid_block.resnets.{number}.")
    return state


def _biased(tensors: Mapping[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    """A convolution, which has no bias in some places."""
    weight = tensors[f"{old}weight"]
    return {f"{new}weight": weight, f"{new}bias": tensors.get(f"{old}bias", torch.zeros(len(weight)))}


def _block(tensors: Mapping[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    """A residual block. One that changes the width is the output of its second convolution plus the shortcut of that,
    which is one convolution; VQModel's own shortcut becomes zero."""
    found = renamed(tensors, {f"{old}norm1.": f"{new}norm1.", f"{old}norm2.": f"{new}norm2."})
    found |= _biased(tensors, f"{old}conv1.", f"{new}conv1.") | _biased(tensors, f"{old}conv2.", f"{new}conv2.")
    shortcut = tensors.get(f"{old}nin_shortcut.weight")
    if shortcut is None:
        return found
    width, before = len(found[f"{new}conv2.weight"]), found[f"{new}conv1.weight"].shape[1]
    if shortcut.shape[:2] != (width, width):
        raise ValueError(f"{old}nin_shortcut.weight is {tuple(shortcut.shape)}; it must be applied to {width} channels")
    # In double precision, that every machine rounds to the same weights, whose hash is the codebook's.
    both = torch.eye(width, dtype=torch.float64) + shortcut[:, :, 0, 0].double()
    weight, bias = (found[f"{new}conv2.{kind}"].double() for kind in ("weight", "bias"))
    found[f"{new}conv2.weight"], found[f"{new}conv2.bias"] = torch.einsum("oi,ihkl->ohkl", both, weight), both @ bias
    found[f"{new}conv_shortcut.weight"] = torch.zeros(width, before, 1, 1)
    found[f"{new}conv_shortcut.bias"] = torch.zeros(width)
    return found


def _mean(width: int, new: str) -> dict[str, Tensor]:
    """The mean of 2 x 2 values, as a convolution of 3 x 3 that is padded at the right and below."""
    weight = torch.zeros(width, width, 3, 3)
    weight[range(width), range(width), :2, :2] = 0.25
    return {f"{new}weight": weight, f"{new}bias": torch.zeros(width)}
