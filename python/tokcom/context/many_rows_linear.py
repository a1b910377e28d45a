"""The layer before a vocabulary, of networks that predict many tokens at once on processors.

PyTorch multiplies 32-bit matrices by MKL, and by oneDNN only in networks that it compiles. With many rows and a
vocabulary of outputs, oneDNN takes about a quarter less time (measured on an AMD EPYC); with one, both wait for the
weights. Its rounding errors are larger than MKL's, so that it is not for the layers between, where it gains little.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

MANY = 32
"""Least number of rows that oneDNN is given."""


class ManyRowsLinear(nn.Linear):
    """A linear layer whose products of many rows are oneDNN's where PyTorch offers it, within rounding errors."""

    def forward(self, x: Tensor) -> Tensor:
        taken = x.dim() == 2 and len(x) >= MANY and x.device.type == "cpu" and x.dtype == torch.float32
        product = onednn_linear() if taken and not torch.is_grad_enabled() else None
        return super().forward(x) if product is None else product(x, self.weight, self.bias)


@cache
def onednn_linear() -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """oneDNN's counterpart of `torch.nn.functional.linear`; None if this PyTorch lacks it.

    It is a function that PyTorch keeps for its own compiler, and is therefore tried before it is relied on.
    """

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], None)

    x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
    try:
        with torch.inference_mode():
            right = torch.equal(linear(x, weight, None), torch.tensor([[11.0, 17.0]]))
    except (AttributeError, RuntimeError, TypeError):  # NotImplementedError is a RuntimeError
        return None
    return linear if right else None
