"""Devices, precision and memory of networks; names of devices are resolved only here."""

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tokcom.errors import ParameterError

if TYPE_CHECKING:
    import torch
    from torch import nn

AUTO, ONNX = "auto", "onnx"
"""A GPU where there is one, else the processors; without PyTorch, ONNX Runtime. And ONNX Runtime in any case, which
computes on the processors what `models export` has written: enough to receive, and to send without search."""


def receiving_device(name: "str | torch.device" = AUTO) -> "torch.device | str":
    """Device for a network that is only evaluated, not trained or searched with: a device of PyTorch, or ONNX.

    Args:
        name: "auto" (a GPU where there is one; without PyTorch, ONNX Runtime), "cpu", "cuda", "cuda:N" or "onnx".

    Raises:
        ParameterError: it is no such name, the device is not there, or what runs networks is not installed.
    """
    if str(name) == ONNX or (str(name) == AUTO and not _installed("torch") and _installed("onnxruntime")):
        return ONNX
    return _torch_device(str(name), "auto, cpu, cuda, cuda:N or onnx")


def find_device(name: "str | torch.device" = AUTO) -> "torch.device":
    """A device of PyTorch's by its name.

    Args:
        name: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        ParameterError: it is no such name, the device is not there, or PyTorch is not installed.
    """
    if str(name) == ONNX:
        raise ParameterError("device is 'onnx', which runs no classifier, search or training; take auto, cpu or cuda")
    return _torch_device(str(name), "auto, cpu, cuda or cuda:N")


def _torch_device(name: str, allowed: str) -> "torch.device":
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise ParameterError(f"device is {name!r}; it must be {allowed}")
    if not _installed("torch"):
        raise ParameterError(
            f"device is {name!r}, which needs PyTorch, and that is not installed: pip install torch; or install "
            "onnxruntime and take onnx, with a model that `./run models export` has written"
        )
    import torch

    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    number = name.partition(":")[2]
    if name != "cpu" and not torch.cuda.is_available():
        raise ParameterError(
            f"device is {name!r}, but PyTorch {torch.__version__} finds no GPU; use cpu, or install a PyTorch with CUDA"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise ParameterError(f"device is {name!r}; the GPUs of this machine are 0 to {torch.cuda.device_count() - 1}")
    return torch.device(name)


def device_name(device: "torch.device | str") -> str:
    """Name of a device in cards and reports: the product name of a GPU, the number of processors of a CPU."""
    if device == ONNX:
        return "ONNX Runtime"
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} processors"


def precision(device: "str | torch.device" = "cpu") -> "torch.dtype":
    """Choose the precision of training and of the search for tokens: bfloat16 if the device multiplies it natively,
    else float32."""
    import torch

    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def weights_dtype(device: "torch.device") -> "torch.dtype":
    """Choose the type of a receiver's weights: half precision on a GPU that computes in it, else float32."""
    import torch

    return torch.float16 if device.type == "cuda" and precision(device) != torch.float32 else torch.float32


def network_bytes(network: "nn.Module") -> int:
    """Count the bytes of a network's weights in memory."""
    return sum(each.numel() * each.element_size() for each in network.state_dict().values())


def autocast(device: "str | torch.device" = "cpu") -> "torch.autocast":
    """Make the context in which networks run in the `precision()` of a device."""
    import torch

    dtype = precision(device)
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # somebody put None in its place
        return False
