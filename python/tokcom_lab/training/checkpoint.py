"""Checkpoints: the state of a training run in one safetensors file (weights, optimizer, progress)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from tokcom.errors import CheckpointError
from tokcom.models.weights import not_finite
from tokcom_lab.training.optimizers import MuonAdamW


@dataclass
class Progress:
    """Progress of a run."""

    step: int = 0
    seconds: float = 0.0


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer | MuonAdamW, progress: Progress, settings: dict
) -> None:
    """Write a checkpoint atomically: an interruption leaves the previous one intact."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    metadata = {"step": progress.step, "seconds": progress.seconds, "settings": settings}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished, {"json": json.dumps(metadata)}
    )
    os.replace(unfinished, path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer | MuonAdamW, settings: dict) -> Progress:
    """Continue from a checkpoint, or start over without one.

    Raises:
        CheckpointError: the file is corrupt, or was written by a run with other settings.
    """
    if not path.exists():
        return Progress()
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads(file.metadata()["json"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the checkpoint cannot be read ({error}); delete it to start again") from None
    if names := not_finite(tensors):
        raise CheckpointError(
            f"{path}: the checkpoint is not finite ({', '.join(names[:3])}); delete it to start again"
        )
    settings = json.loads(json.dumps(settings))
    differing = {
        name for name in settings | metadata["settings"] if settings.get(name) != metadata["settings"].get(name)
    }
    if differing:
        raise CheckpointError(
            f"{path}: written by a run that differs in {', '.join(sorted(differing))}; "
            "repeat that run's options to continue it, or choose another --work folder"
        )
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state: dict[int, dict] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(metadata["step"], metadata["seconds"])
