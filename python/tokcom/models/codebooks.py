"""Codebooks of models, with the labels and frequencies of their words."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays

from tokcom.errors import ModelError, ParameterError
from tokcom.models.card import Card
from tokcom.models.folders import list_models
from tokcom.models.installed import model_card, model_names
from tokcom.packets.codebook import Codebook, codebook_name
from tokcom.packets.labels import CONTEXTUAL, SEMANTIC, TokenLabels

CODED = "coded"
"""Name of the semantic labels for coded bits."""
FREQUENCIES = "frequencies"
"""Name of the words' frequencies in the file of labels."""


def codebook(model: str) -> Codebook:
    """Read the codebook of a model from its card and its labels; raises as `load_tokenizer` does."""
    card = model_card(model)
    size = card.part("tokenizer")["config"]["codebook_size"]
    return Codebook(codebook_name_of(card), size, card.content["modality"], coded_labels(model))


def codebooks(models: str | Sequence[str]) -> list[Codebook]:
    """Read the codebooks of several models; raises as `codebook` does."""
    return [codebook(name) for name in model_names(models)]


def model_of(codebook: str) -> str:
    """Find the folder of the installed model with a codebook, whatever the model's local name.

    Args:
        codebook: name of the codebook, of which only the hash of the content matters.

    Raises:
        ModelError: no installed model has it.
    """
    known = {}
    for folder in list_models().values():
        try:
            known[codebook_name_of(Card.read(folder))] = folder
        except ModelError:  # a model with other parts, or a broken one, is not the one searched for
            continue
    wanted = codebook.rpartition("@")[2]
    for name, folder in known.items():
        if name.rpartition("@")[2] == wanted:
            return str(folder)
    raise ModelError(
        f"no model with codebook {codebook!r}; installed: {', '.join(known) or 'none'}; $TOKCOM_MODELS names more "
        "folders"
    )


def codebook_name_of(card: Card) -> str:
    """Build the name of a model's codebook: tokenizer and labels determine the meaning of a token on the air."""
    tokenizer, labels = card.part("tokenizer"), card.content.get("labels", {})
    content = [tokenizer["family"], tokenizer["sha256"], str(labels.get("sha256", "no labels"))]
    return codebook_name(card.name, content)


def coded_labels(model: str) -> dict[str, TokenLabels]:
    """Load the labels of a model's tokens for coded bits by kind, of `packets.labels.LABELS`; empty if it has none.

    Raises:
        ModelError: they belong to another tokenizer, or are corrupt.
    """
    if "labels" not in model_card(model).content:
        return {}
    found = load_labels(model)
    return {kind: found[use] for kind, use in ((SEMANTIC, CODED), (CONTEXTUAL, CONTEXTUAL)) if use in found}


def word_frequencies(model: str) -> np.ndarray | None:
    """Load the share of each word of a model's codebook among the tokens of its training pictures, float32
    (codebook_size,), all above 0; None if not counted. Raises as `coded_labels` does."""
    return _labels_of(model)[1] if "labels" in model_card(model).content else None


def load_labels(model: str) -> dict[str, TokenLabels]:
    """Load the labels of a model by purpose: semantic ones for CODED bits and for schemes of `modulation.direct`, and
    CONTEXTUAL ones.

    Raises:
        ModelError: the model has none, or they belong to another tokenizer, or are corrupt.
    """
    return _labels_of(model)[0]


def _labels_of(model: str) -> tuple[dict[str, TokenLabels], np.ndarray | None]:
    card = model_card(model)
    if "labels" not in card.content:
        raise ModelError(f"model {card.name} has no semantic labels; run `./run models map {card.name}`")
    entry = card.part("labels")
    card.require_bound("semantic labels were made", entry, "tokenizer", f"./run models map {card.name}")
    return _labels(card.weights("labels"), entry["sha256"], card.part("tokenizer")["config"]["codebook_size"])


@lru_cache(maxsize=8)
def _labels(path: Path, sha256: str, size: int) -> tuple[dict[str, TokenLabels], np.ndarray | None]:
    """Load the labels, and the frequencies of words, from a file with a given hash."""
    try:
        arrays = load_arrays(path)
        frequencies = arrays.pop(FREQUENCIES, None)
        labels = {use: TokenLabels(each) for use, each in arrays.items()}
    except (SafetensorError, OSError, ParameterError) as error:
        raise ModelError(f"{path}: the labels cannot be read: {error}") from None
    known = CODED in labels or (not labels and frequencies is not None)
    if not known or any(len(each) != size for each in labels.values()):
        raise ModelError(f"{path}: the labels are not those of a codebook of {size} words")
    if frequencies is not None and (
        frequencies.shape != (size,) or not ((frequencies > 0) & np.isfinite(frequencies)).all()
    ):
        raise ModelError(f"{path}: the frequencies of words are not {size} positive numbers")
    return labels, frequencies
