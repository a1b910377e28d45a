"""Devices and precision of networks; names of devices are resolved only here."""

import re

import torch

from tokcom.errors import ParameterError

AUTO = "auto"
"""Name of the default device: a GPU if there is one, else the CPU."""


def find_device(name: str | torch.device = AUTO) -> torch.device:
    """Resolve a device by its name.

    Args:
        name: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        ParameterError: the name is invalid, or the device does not exist.
    """
    name = str(name)
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise ParameterError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N")
    number = name.partition(":")[2]
    if name != "cpu" and not torch.cuda.is_available():
        raise ParameterError(
            f"device is {name!r}, but PyTorch {torch.__version__} finds no GPU; use cpu, or install a PyTorch with CUDA"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise ParameterError(f"device is {name!r}; the GPUs of this machine are 0 to {torch.cuda.device_count() - 1}")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Describe a device for a model's card: product name of a GPU, or number of processors."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} processors"


def precision(device: str | torch.device = "cpu") -> torch.dtype:
    """Choose the precision of training and of the search for tokens: bfloat16 if the device multiplies it natively,
    else float32."""
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def weights_dtype(device: torch.device) -> torch.dtype:
    """Choose the type of a receiver's weights: half precision on a GPU that computes in it, else float32."""
    return torch.float16 if device.type == "cuda" and precision(device) != torch.float32 else torch.float32


def autocast(device: str | torch.device = "cpu") -> torch.autocast:
    """Make the context in which networks run in the `precision()` of a device."""
    dtype = precision(device)
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)
