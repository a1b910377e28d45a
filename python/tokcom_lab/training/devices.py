"""Where training runs: on the processors, or on a GPU that is at hand, perhaps for minutes only."""

import re

import torch

from tokcom.errors import ParameterError


def find_device(name: str) -> torch.device:
    """A device by its name.

    Args:
        name: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        ParameterError: it is no such name, or the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise ParameterError(f"device is {name!r}; it is auto, cpu, cuda or cuda:N")
    number = name.partition(":")[2]
    if name != "cpu" and not torch.cuda.is_available():
        raise ParameterError(
            f"device is {name!r}, but PyTorch {torch.__version__} finds no GPU; take --device cpu, or install a "
            "PyTorch for CUDA"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise ParameterError(f"device is {name!r}; the GPUs of this machine are 0 to {torch.cuda.device_count() - 1}")
    if name != "cpu":
        # Pictures of one size alone: what cuDNN tries out once pays ever after.
        torch.backends.cudnn.benchmark = True
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What a model's card calls a device: a GPU by its product name, processors by their number."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} processors"
