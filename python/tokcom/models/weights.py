"""Reading of networks' weights from safetensors files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tokcom.errors import ModelError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name, floating-point ones as float32.

    Raises:
        ModelError: the file cannot be read, or holds numbers that are not finite.
    """
    tensors = load_tensors(path)
    names = not_finite(tensors)
    if names:
        raise ModelError(
            f"{path}: the weights are not finite: {', '.join(names[:3])}{' …' * (len(names) > 3)}; its training has "
            "diverged: retrain that part, or use an older file"
        )
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file as they are.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: the weights do not fit the card: {error}") from None


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """List the names of tensors that contain NaN or infinity."""
    return [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
