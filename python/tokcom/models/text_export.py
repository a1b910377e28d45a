"""Folders of models of text, written from their parts."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from torch import Tensor, nn

from tokcom.models.card import FORMAT, file_hash
from tokcom.tokenizers.text import MODALITY


def write_text_model(
    folder: Path, about: Mapping[str, str], vocabulary: str, network: nn.Module, frequencies: np.ndarray,
    family: str = "llama",
) -> None:  # fmt: skip
    """Write a model's folder, whole or not at all.

    Args:
        folder: of the model, which is not there yet.
        about: what its card says: name, description, licence, data.
        vocabulary: content of its tokenizer.json.
        network: whose weights are kept in half precision, and whose `config` has its `codebook_size`.
        frequencies: float32 (codebook_size,), share of each word among all that are expected to be sent.
        family: of the network, as `models.families` names it.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)

    def part(family: str, file: str, config: dict, **bound: str) -> dict:
        return {"family": family, "config": config, "weights": file, "sha256": file_hash(unfinished / file), **bound}

    (unfinished / "tokenizer.json").write_text(vocabulary, encoding="utf-8")
    halves = {name: _half(each) for name, each in network.state_dict().items()}
    save_file(halves, unfinished / "context.safetensors")
    save_arrays({"frequencies": frequencies.astype(np.float32)}, unfinished / "labels.safetensors")
    config = network.config
    tokenizer = part("text", "tokenizer.json", {"codebook_size": config.codebook_size})
    bound = {"tokenizer": tokenizer["sha256"]}
    card = {
        "format": FORMAT,
        **about,
        "modality": MODALITY,
        "classes": [],
        "tokenizer": tokenizer,
        "context": part(family, "context.safetensors", dict(vars(config)), **bound),
        "labels": part("labels", "labels.safetensors", {}, **bound),
    }
    (unfinished / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(folder)


def _half(tensor: Tensor) -> Tensor:
    return (tensor.half() if tensor.is_floating_point() else tensor).clone().contiguous()
