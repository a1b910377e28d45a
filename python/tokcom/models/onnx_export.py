"""Models as ONNX files, for receivers without PyTorch."""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tokcom.context import onnx_prior
from tokcom.context.condition import Condition
from tokcom.context.maskgit import MaskGit
from tokcom.context.picture_or_video import PictureOrVideo
from tokcom.device import ONNX
from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.models.card import CONTEXT, LABELS, SMALL_CONTEXT, file_hash
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.onnx_runtime import METADATA
from tokcom.tokenizers import onnx_tokenizer
from tokcom.tokenizers.vq import VQTokenizer

TOKENIZER = "tokenizer"
TOLERANCE = 1e-3
"""Difference of log-probabilities from which an export is taken for broken; rounding makes a hundredth of it."""


class _Everywhere(nn.Module):
    """Network with logits at all positions: a graph of fixed shape."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        return self.network.everywhere(tokens, labels)


class _Encoder(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network.encode(pictures)


class _Decoder(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        return self.network.decode(tokens)


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        folder: the new model's folder.
        megabytes: size of its files.
        difference: greatest difference of a log-probability from PyTorch's, on frames of random tokens.
    """

    folder: Path
    megabytes: float
    difference: float


def export_model(model: str, to: Path) -> Exported:
    """Write a model's tokenizer and context model as ONNX files, with its card and labels, into a folder of its name.

    Codebook, calibration and residual errors are those of the model: what the one sends, the other receives. The
    classifier stays behind, and so do sentences as conditions.

    Args:
        model: name or folder of the model.
        to: the folder that the new folder is made in.

    Raises:
        ModelError: the model is missing or broken, the packages onnx, onnxscript or onnxruntime are not installed, the
            folder holds the model itself, or ONNX Runtime computes something else than PyTorch.
    """
    card = model_card(model)
    folder = to / card.name
    if folder.resolve() == card.folder.resolve():
        raise ModelError(f"{folder} is the model itself; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in card.content.items() if key not in card.parts}
    contexts = [(part, partial(_export_context, part=part)) for part in (CONTEXT, SMALL_CONTEXT)]
    for part, write in ((TOKENIZER, _export_tokenizer), *contexts):
        if part in card.content:
            files = {name: {"file": path.name, "sha256": file_hash(path)} for name, path in write(model, folder)}
            content[part] = card.part(part) | {ONNX: files}
    if LABELS in card.content:
        shutil.copyfile(card.weights(LABELS), folder / card.part(LABELS)["weights"])
    (folder / "card.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return Exported(folder, megabytes, _difference(model, folder) if CONTEXT in card.content else 0.0)


def _export_tokenizer(model: str, folder: Path) -> list[tuple[str, Path]]:
    tokenizer = load_tokenizer(model, 0, "cpu")
    if not isinstance(tokenizer, VQTokenizer):
        raise ModelError(f"{model}: its tokenizer is a {type(tokenizer).__name__}, which has no export to ONNX")
    outline = {"codebook_size": tokenizer.codebook_size, "image_size": tokenizer.image_size, "grid": tokenizer.grid}
    side, files = tokenizer.image_size, {"encoder": folder / "encoder.onnx", "decoder": folder / "decoder.onnx"}
    _write(
        _Encoder(tokenizer.network), (torch.zeros(1, 3, side, side),), ["pictures"], "tokens",
        outline | {"what": onnx_tokenizer.ENCODER}, files["encoder"],
    )  # fmt: skip
    _write(
        _Decoder(tokenizer.network), (torch.zeros(1, *tokenizer.grid, dtype=torch.int64),), ["tokens"], "pictures",
        outline | {"what": onnx_tokenizer.DECODER}, files["decoder"],
    )  # fmt: skip
    return list(files.items())


def _export_context(model: str, folder: Path, part: str) -> list[tuple[str, Path]]:
    path = folder / f"{part}.onnx"
    export_context(model, path, part)
    return [("logits", path)]


def export_context(model: str, path: Path, part: str = CONTEXT) -> None:
    """Write a model's context model alone, for one frame at a time, to be read by `context.onnx_prior.OnnxPrior`.

    Inputs `tokens`, int64 (1, places), [MASK] where unknown, and `label`, int64 (1,); output `logits`, float32 (1,
    places, words).

    Args:
        model: name or folder of the model.
        path: the file.
        part: `card.CONTEXT` or `card.SMALL_CONTEXT`.

    Raises:
        ModelError: the model is missing, broken or of another family, or onnx or onnxscript is not installed.
    """
    prior = load_context(model, "cpu", part)
    if isinstance(prior, PictureOrVideo):
        prior = prior.alone
    if not isinstance(prior, MaskGit):
        raise ModelError(f"{model}: its context model is a {type(prior).__name__}, which has no export to ONNX")
    example = torch.full((1, prior.grid[0] * prior.grid[1]), prior.codebook_size), torch.tensor([prior.num_classes])
    outline = {
        "what": onnx_prior.WHAT, "codebook_size": prior.codebook_size, "grid": prior.grid,
        "num_classes": prior.num_classes,
    }  # fmt: skip
    _write(_Everywhere(prior.network), example, ["tokens", "label"], "logits", outline, path)


def _write(
    network: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[str], output: str, outline: dict, path: Path
) -> None:
    """A network of one output as an ONNX file, for arguments of the example's shapes."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it, and its own message is less clear
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed: pip install tokcom[onnx]") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nothing here needs
    program = torch.onnx.export(
        network.eval(), example, input_names=list(inputs), output_names=[output], dynamo=True, verbose=False
    )
    graph = program.model_proto
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(outline)})
    path.write_bytes(graph.SerializeToString())


def _difference(model: str, folder: Path) -> float:
    """Greatest difference of the exported log-probabilities, on frames of random tokens.

    Raises:
        ModelError: it is larger than rounding explains.
    """
    ours, theirs = load_context(model, "cpu"), load_context(str(folder), ONNX)
    rng, count = np.random.default_rng(0), 4
    tokens = rng.integers(0, ours.codebook_size, (count, ours.grid[0] * ours.grid[1])).astype(np.int32)
    tokens[rng.random(tokens.shape) < np.linspace(0.1, 1, count)[:, None]] = LOST
    conditions = [Condition(label=None if number % 2 or not ours.num_classes else 0) for number in range(count)]
    found = [prior.log_probabilities(tokens, tokens == LOST, conditions) for prior in (ours, theirs)]
    difference = float(np.abs(found[0] - found[1]).max())
    if not difference < TOLERANCE:
        raise ModelError(f"{folder}: ONNX Runtime's log-probabilities differ from PyTorch's by {difference:.3g}")
    return difference
