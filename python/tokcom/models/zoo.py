"""The model zoo: finds models by name and loads their parts. Weights are safetensors, never pickle."""

import math
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from torch import nn

from tokcom.adaptation.residual import ResidualModel
from tokcom.context.acceptance import Acceptance
from tokcom.context.classifier import Classifier
from tokcom.context.classifier_network import ClassifierConfig, ClassifierNetwork
from tokcom.context.efficientnet_lite import LiteClassifierNetwork, LiteConfig
from tokcom.context.maskgit import MaskGit
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.errors import ModelError, ParameterError
from tokcom.link.modes import DEFAULT_MODE
from tokcom.link.recovery import FrameRecovery
from tokcom.models.card import Card
from tokcom.models.folders import DEFAULT_MODEL as DEFAULT_MODEL
from tokcom.models.folders import list_models
from tokcom.models.weights import read_weights
from tokcom.packets.codebook import Codebook, codebook_name
from tokcom.packets.labels import CONTEXTUAL, SEMANTIC, TokenLabels
from tokcom.tokenizers.pyramid_network import PyramidConfig, PyramidVQNetwork
from tokcom.tokenizers.rate_distortion import RateDistortionSearch
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork

CONTEXT = "context"
"""Part of a model that predicts its tokens."""
CODED = "coded"
"""Use of the semantic labels that go into coded bits."""

FREQUENCIES = "frequencies"
"""Name in the file of labels of how often each word is sent."""

FAMILIES: dict[str, tuple[type, type[nn.Module]]] = {
    "vq": (VQConfig, VQNetwork),
    "pyramid": (PyramidConfig, PyramidVQNetwork),
    "maskgit": (MaskGitConfig, MaskGitNetwork),
    "classifier": (ClassifierConfig, ClassifierNetwork),
    "lite": (LiteConfig, LiteClassifierNetwork),
}
"""Families of networks by the name that cards use: the class of the configuration and that of the network."""


def model_card(model: str) -> Card:
    """The card of a model, given by its name or by the path of its folder.

    Raises:
        ModelError: there is no such model, or its card is broken.
    """
    models = list_models()
    if model in models:
        return Card.read(models[model])
    if os.sep in model or (Path(model) / "card.json").is_file():
        return Card.read(Path(model))
    raise ModelError(
        f"no model {model!r}; installed: {', '.join(models) or 'none'} ($TOKCOM_MODELS and the folder ./models are "
        "searched, too)"
    )


def codebook(model: str) -> Codebook:
    """The codebook of a model, from its card and its labels; raises as `load_tokenizer` does."""
    card = model_card(model)
    size = card.part("tokenizer")["config"]["codebook_size"]
    return Codebook(_name(card), size, card.content["modality"], coded_labels(model))


def _name(card: Card) -> str:
    """The name of a model's codebook: what its tokens mean follows from the tokenizer, and how they are sent from the
    labels."""
    tokenizer, labels = card.part("tokenizer"), card.content.get("labels", {})
    content = [tokenizer["family"], tokenizer["sha256"], str(labels.get("sha256", "no labels"))]
    return codebook_name(card.name, content)


def coded_labels(model: str) -> dict[str, TokenLabels]:
    """The labels of a model's tokens in coded bits by their kind, of `packets.labels.LABELS`; none where it has none.

    Raises:
        ModelError: they are of another tokenizer, or broken.
    """
    if "labels" not in model_card(model).content:
        return {}
    found = load_labels(model)
    return {kind: found[use] for kind, use in ((SEMANTIC, CODED), (CONTEXTUAL, CONTEXTUAL)) if use in found}


def word_frequencies(model: str) -> np.ndarray | None:
    """Share of each word of a model's codebook among the tokens of its training pictures: float32 (codebook_size,),
    none of them 0; None where it was not counted. Raises as `coded_labels` does."""
    return _labels_of(model)[1] if "labels" in model_card(model).content else None


def load_labels(model: str) -> dict[str, TokenLabels]:
    """The labels of a model by their use: semantic ones in CODED bits and for schemes of `modulation.direct`, and
    CONTEXTUAL ones.

    Raises:
        ModelError: the model has none, or they are of another tokenizer, or broken.
    """
    return _labels_of(model)[0]


def _labels_of(model: str) -> tuple[dict[str, TokenLabels], np.ndarray | None]:
    card = model_card(model)
    if "labels" not in card.content:
        raise ModelError(f"model {card.name} has no semantic labels; `./run models map {card.name}` makes them")
    entry = card.part("labels")
    card.require_bound("semantic labels are", entry, "tokenizer", f"./run models map {card.name}")
    return _labels(card.weights("labels"), entry["sha256"], card.part("tokenizer")["config"]["codebook_size"])


def load_tokenizer(model: str, visits: int | None = None, at_once: int | None = None) -> VQTokenizer:
    """The tokenizer of a model.

    Args:
        model: the model, by name or folder.
        visits: of the search for better tokens to every picture; 0: the encoder's tokens stay, which is faster; None:
            as the card says, 0 where it says nothing.
        at_once: visits each time that `tokenize` sees a picture, at least 1, until it has had all; None: all the first
            time.

    Raises:
        ModelError: there is no such model, or it is broken.
        ParameterError: visits that are none, or to a model whose card has no search.
    """
    card = model_card(model)
    network, settings = _network(card, "tokenizer"), card.part("tokenizer").get("search")
    if settings is None or CONTEXT not in card.content:
        return VQTokenizer(network, _name(card), visits=visits or 0, at_once=at_once)
    try:
        rate, usual = float(settings["rate"]), int(settings["visits"])
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"rate is {rate}")
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the search of its tokenizer: {error!r}") from None
    wanted = usual if visits is None else visits
    # Who only shows tokens need not load the context model.
    search = RateDistortionSearch(network, _network(card, CONTEXT).unlabelled, rate) if wanted else None
    return VQTokenizer(network, _name(card), search, wanted, at_once)


def load_context(model: str) -> MaskGit:
    """The context model of a model; raises as `load_tokenizer` does."""
    card = model_card(model)
    return MaskGit(_network(card, "context"), _name(card) if "tokenizer" in card.content else card.name)


def load_acceptance(model: str) -> Acceptance:
    """The calibration of posteriors under a model's context, from its card; the identity where it has none.

    Raises:
        ModelError: there is no such model, or its card is broken.
    """
    card = model_card(model)
    curve = card.part("context").get("acceptance", {})
    if curve:
        command = f"./run calibrate --model {card.name} --data DIR"
        card.require_bound("calibration is", _table(card, "acceptance", curve), CONTEXT, command)
    try:
        return Acceptance(tuple(curve.get("log_odds", ())), tuple(curve.get("calibrated", ())))
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the acceptance of its context is no curve: {error}") from None


def load_residual(model: str) -> ResidualModel:
    """What is expected of a model's context decoding, from its card.

    Raises:
        ModelError: there is no such model, its card is broken, or it has no such table.
    """
    card = model_card(model)
    entry = card.part("context").get("residual")
    if entry is None:
        raise ModelError(f"{card.folder / 'card.json'}: its context has no residual errors; ./run residual fits them")
    command = f"./run residual --model {card.name} --data DIR"
    card.require_bound("residual errors are", _table(card, "residual", entry), CONTEXT, command)
    values = {name: value for name, value in entry.items() if name != CONTEXT}
    try:
        return ResidualModel(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the residual errors of its context: {error}") from None


def load_recovery(model: str, mode: str = DEFAULT_MODE, **settings: object) -> FrameRecovery:
    """What makes frames of a model whole; raises as `load_tokenizer` does.

    Args:
        model: the model, by name or folder.
        mode: one of `link.modes.MODES`.
        settings: further arguments of `FrameRecovery`.
    """
    settings = {"labels": coded_labels(model)} | settings
    if mode == "context":
        settings = {"acceptance": load_acceptance(model)} | settings
    if mode in ("list", "context"):
        settings = {"frequencies": word_frequencies(model)} | settings
    return FrameRecovery(mode, load_context(model), **settings)


def load_classifier(model: str) -> Classifier:
    """The classifier of a model; raises as `load_tokenizer` does."""
    card = model_card(model)
    unsure_below = card.part("classifier").get("unsure_below", 0.0)
    if not isinstance(unsure_below, int | float) or not 0 <= unsure_below <= 1:
        raise ModelError(f"{card.folder / 'card.json'}: unsure_below is {unsure_below!r}; it is a probability")
    return Classifier(_network(card, "classifier"), card.classes, unsure_below)


def _network(card: Card, part: str) -> nn.Module:
    entry = card.part(part)
    if part == CONTEXT:
        command = f"./run train maskgit --model {card.name} --data DIR"
        card.require_bound("context is", entry, "tokenizer", command)
    return _build(card.folder, part, entry["sha256"])


def _table(card: Card, name: str, entry: object) -> dict:
    """An object inside the card's context, which must be one."""
    if not isinstance(entry, dict):
        raise ModelError(f"{card.folder / 'card.json'}: the {name} of its context is {entry!r}, not an object")
    return entry


@lru_cache(maxsize=8)
def _labels(path: Path, sha256: str, size: int) -> tuple[dict[str, TokenLabels], np.ndarray | None]:
    """The labels in a file of that hash, and the frequencies of words."""
    try:
        arrays = load_arrays(path)
        frequencies = arrays.pop(FREQUENCIES, None)
        labels = {use: TokenLabels(each) for use, each in arrays.items()}
    except (SafetensorError, OSError, ParameterError) as error:
        raise ModelError(f"{path}: the labels cannot be read: {error}") from None
    if CODED not in labels or any(len(each) != size for each in labels.values()):
        raise ModelError(f"{path}: the labels are not those of a codebook of {size} words")
    if frequencies is not None and (
        frequencies.shape != (size,) or not ((frequencies > 0) & np.isfinite(frequencies)).all()
    ):
        raise ModelError(f"{path}: the frequencies of words are not positive ones of a codebook of {size} words")
    return labels, frequencies


@lru_cache(maxsize=8)
def _build(folder: Path, part: str, sha256: str) -> nn.Module:
    """The network of one part; one copy serves all who ask for weights of that hash."""
    card = Card.read(folder)
    entry, path = card.part(part), card.weights(part)
    if entry["family"] not in FAMILIES:
        raise ModelError(
            f"{card.folder / 'card.json'}: {part} is of family {entry['family']!r}; not {', '.join(FAMILIES)}"
        )
    config_class, network_class = FAMILIES[entry["family"]]
    weights = read_weights(path)
    try:
        config = config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry["config"].items()})
        with torch.device("meta"):
            network = network_class(config)
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"{path}: the weights do not fit the card: {error}") from None
    return network.eval().requires_grad_(False)
