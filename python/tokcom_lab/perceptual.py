"""Perceptual and semantic similarity by large networks that are not part of this package: LPIPS and CLIP.

Both need a Python package and a file of weights, which the user provides; without them the reason is reported.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch.nn import functional as F

from tokcom.errors import ModelError

LPIPS_WEIGHTS = "lpips-alex.safetensors"
CLIP_WEIGHTS = "clip-ViT-B-32.safetensors"


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al., CVPR 2018), AlexNet; 0 for equal pictures.

    Args:
        folder: folder with LPIPS_WEIGHTS, lpips.LPIPS(net="alex") saved by safetensors.torch.save_model.

    Raises:
        ModelError: the package or the weights are missing or do not fit.
    """

    def __init__(self, folder: Path | None):
        lpips = _package("lpips")
        _require(folder, LPIPS_WEIGHTS)
        self._network = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()
        _load(self._network, folder, LPIPS_WEIGHTS)

    def __call__(self, sent: np.ndarray, received: np.ndarray) -> float:
        with torch.inference_mode():
            return float(self._network(*(_tensor(picture) * 2 - 1 for picture in (sent, received))))


class ClipScore:
    """Cosine of the pictures' embeddings by CLIP (Radford et al., 2021), ViT-B/32; 1 for equal pictures.

    Args:
        folder: folder with CLIP_WEIGHTS, open_clip's model "ViT-B-32" saved by safetensors.torch.save_model.

    Raises:
        ModelError: the package or the weights are missing or do not fit.
    """

    MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    SIDE = 224

    def __init__(self, folder: Path | None):
        open_clip = _package("open_clip")
        _require(folder, CLIP_WEIGHTS)
        self._network = open_clip.create_model("ViT-B-32", pretrained=None).eval()
        _load(self._network, folder, CLIP_WEIGHTS)

    def __call__(self, sent: np.ndarray, received: np.ndarray) -> float:
        pair = torch.cat([_tensor(picture) for picture in (sent, received)])
        pair = F.interpolate(pair, size=(self.SIDE, self.SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (self.MEAN, self.DEVIATION))
        with torch.inference_mode():
            features = self._network.encode_image((pair - mean) / deviation)
        return float(F.cosine_similarity(features[:1], features[1:]))


LIKENESSES = {"lpips": Lpips, "clip": ClipScore}
"""Measures by the name of their figure."""


def _tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise ModelError(f"{name} is not installed") from None
    except Exception as error:  # a package built for another PyTorch may fail with any exception
        raise ModelError(f"{name} cannot be imported: {error}") from None


def _require(folder: Path | None, name: str) -> None:
    if folder is None or not (folder / name).exists():
        raise ModelError("weights not installed")


def _load(network: torch.nn.Module, folder: Path, name: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(network, folder / name)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ModelError(f"{folder / name}: the weights do not fit: {error}") from None
