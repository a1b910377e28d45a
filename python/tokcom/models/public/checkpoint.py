"""Reading of public checkpoints: files of unknown origin, in a process of their own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 1800
"""Time for reading a file, after which it is given up."""
SPARE_BYTES = 1 << 30
"""Memory of the process beside three times the size of its file."""
MAX_BYTES = 32 << 30
"""Size of the largest file that is read."""


def read_checkpoint(path: Path, kept: Sequence[str] = (), scratch: Path | None = None) -> "dict[str, Tensor]":
    """Read the tensors of a checkpoint: a PyTorch pickle, safetensors, or Flax's MessagePack.

    Args:
        path: the file.
        kept: beginnings of the names of tensors to keep; all, if empty.
        scratch: folder for an intermediate file as large as the weights; None for the system's.

    Raises:
        ModelError: the file is missing, too large, or no such checkpoint, or takes more memory or time than allowed.
    """
    from tokcom.models.weights import load_tensors

    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    if not path.is_file() or size > MAX_BYTES:
        raise ModelError(f"{path}: {size} bytes; it must be a file of at most {MAX_BYTES >> 30} GiB")
    if path.suffix == ".safetensors":  # which holds nothing but arrays
        return {name: each for name, each in load_tensors(path).items() if not kept or name.startswith(tuple(kept))}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        target = Path(folder) / "tensors.safetensors"
        limit = str(3 * size + SPARE_BYTES)
        command = [sys.executable, "-m", "tokcom.models.public.unpack", path, target, limit, json.dumps(list(kept))]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ModelError(f"{path}: reading it takes more than {SECONDS // 60} minutes; is it damaged?") from None
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"its reader ended with status {done.returncode}"])[-1]
            raise ModelError(f"{path}: the weights cannot be read: {why}")
        return load_tensors(target)
