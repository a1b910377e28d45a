"""Linear layers in 8 bits, for processors: weights with one scale per output, activations with one per row."""

import warnings

import torch
from torch import Tensor, nn

SMALLEST = 1e-9


class Int8Linear(nn.Module):
    """A linear layer whose weights are 8 bits each.

    The largest number of every row of activations is scaled to 1 before they are quantized together: single words of a
    language model have activations a hundred times as large as all others, which would else lose their digits.

    Args:
        linear: the layer that it takes the place of.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(1) / 127).clamp(min=SMALLEST).double()
        zero = torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch will drop such tensors some day; requirements/ pins its version
            quantized = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
        bias = None if linear.bias is None else linear.bias.detach().float()
        self._packed, self._bias = torch.ops.quantized.linear_prepack(quantized, None), bias
        self.n_bytes = weight.numel()

    def forward(self, x: Tensor) -> Tensor:
        top = x.abs().amax(-1, keepdim=True).clamp(min=SMALLEST)
        product = torch.ops.quantized.linear_dynamic(x / top, self._packed) * top
        return product if self._bias is None else product + self._bias


def to_int8(network: nn.Module) -> nn.Module:
    """The network itself, its linear layers replaced by those of 8 bits."""
    for name, child in network.named_children():
        if isinstance(child, nn.Linear):
            setattr(network, name, Int8Linear(child))
        else:
            to_int8(child)
    return network
