"""Model zoo: finds models by name and loads their parts. Weights are safetensors, never pickle."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays

from tokcom.adaptation.residual import ResidualModel
from tokcom.bounded_cache import BoundedCache
from tokcom.context.acceptance import Acceptance
from tokcom.context.description import POINT_BYTES, of_point
from tokcom.context.picture_or_video import PictureOrVideo
from tokcom.context.prior import Prior
from tokcom.device import AUTO, ONNX, find_device, network_bytes, receiving_device, weights_dtype
from tokcom.errors import ModelError, ParameterError
from tokcom.link.modes import DEFAULT_MODE, require_mode
from tokcom.link.recovery import FrameRecovery
from tokcom.link.recovery_set import MAX_BYTES, RecoverySet
from tokcom.models.card import Card
from tokcom.models.families import family
from tokcom.models.folders import DEFAULT_MODEL as DEFAULT_MODEL
from tokcom.models.folders import PUBLISHED, list_models
from tokcom.models.packages import has_sentences
from tokcom.models.shipped_fits import with_fits
from tokcom.packets.by_codebook import ByCodebook
from tokcom.packets.codebook import Codebook, codebook_name
from tokcom.packets.labels import CONTEXTUAL, SEMANTIC, TokenLabels
from tokcom.protocol.repeat_risk import TABLES, RepeatRisk
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tokcom.context.clap import Clap
    from tokcom.context.classifier import Classifier
    from tokcom.context.clip_text import ClipText
    from tokcom.context.sound_encoder import Sounds
    from tokcom.offload.escalation import EscalatingRecovery
    from tokcom.source.chooser import TokenChooser
    from tokcom.source.frame_coder import FrameCoder
    from tokcom.tokenizers.video import VideoTokenizer

CONTEXT = "context"
"""Name of the part that predicts tokens."""
TEXT = "text"
"""Name of the part that encodes the sentences that the context model is told."""
FOLLOWING = "following"
"""Name of the part that predicts tokens of a frame from those of the frame before."""
CONDITIONS = "conditions"
"""Name of the part that maps sentences to what the context is told, if that was trained with labels."""
SMALL_CONTEXT = "small_context"
"""Name of the part that predicts them on a device too small for CONTEXT."""
SOUNDS = "sounds10"
"""Model whose encoder of sounds is used if no other is named."""
CODED = "coded"
"""Name of the semantic labels for coded bits."""

TRAINED_BY = {CONTEXT: "maskgit", SMALL_CONTEXT: "maskgit --small", FOLLOWING: "following"}
"""Trainings of the parts that predict tokens."""

FREQUENCIES = "frequencies"
"""Name of the words' frequencies in the file of labels."""

MADE = {"smollm2": "tokcom.models.smollm2:make_smollm2"}
"""Models that are made from published ones when they are first wanted: what makes their folders."""

KEPT_BYTES = 1 << 30
"""Limit on the bytes of unused networks that are kept in memory for reuse."""


def model_names(models: str | Sequence[str]) -> list[str]:
    """Split names of models, given as a list or separated by commas, without duplicates."""
    given = models.split(",") if isinstance(models, str) else models
    return list(dict.fromkeys(name.strip() for name in map(str, given) if name.strip()))


def model_card(model: str) -> Card:
    """Read the card of a model, given by its name or by the path of its folder.

    Raises:
        ModelError: the model does not exist, or its card is invalid.
    """
    models = list_models()
    if model in models:
        return with_fits(Card.read(models[model]))
    if os.sep in model or (Path(model) / "card.json").is_file():
        return with_fits(Card.read(Path(model)))
    if model in MADE:
        make_missing(model)
        return with_fits(Card.read(list_models()[model]))
    raise ModelError(
        f"no model {model!r}; installed: {', '.join(models) or 'none'} ($TOKCOM_MODELS and the folder ./models are "
        "searched, too)"
    )


def codebook(model: str) -> Codebook:
    """Read the codebook of a model from its card and its labels; raises as `load_tokenizer` does."""
    card = model_card(model)
    size = card.part("tokenizer")["config"]["codebook_size"]
    return Codebook(_name(card), size, card.content["modality"], coded_labels(model))


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
            known[_name(Card.read(folder))] = folder
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


def _name(card: Card) -> str:
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


def load_tokenizer(
    model: str, visits: int | None = None, device: "str | torch.device" = AUTO
) -> PictureTokenizer:  # fmt: skip
    """Load the tokenizer of a model.

    Args:
        model: the model, by name or folder.
        visits: search passes per picture; 0 keeps the encoder's tokens, which is faster; None for the card's value. If
            the card has no search, the encoder's tokens are kept in any case.
        device: as in `device.receiving_device`; ONNX Runtime does not search.

    Raises:
        ModelError: the model does not exist, or is corrupt.
        ParameterError: visits below 0, or no such device, or one that does not search.
    """
    card, where = model_card(model), receiving_device(device)
    if visits is not None and visits < 0:
        raise ParameterError(f"visits is {visits}; it must be at least 0")
    settings = card.part("tokenizer").get("search") if CONTEXT in card.content else None
    if where == ONNX:
        if settings is not None and visits != 0:
            raise ParameterError("the search for tokens needs PyTorch: with device onnx, visits must be 0")
        return _onnx_tokenizer(card)
    kind = family(card.part("tokenizer")["family"])
    network, use = _network(card, "tokenizer", where), kind.user()
    if kind.told_by_sentences:
        return use(network, _name(card), encoder=load_text_encoder(model, where))
    if settings is None:
        return use(network, _name(card))
    try:
        rate, usual = float(settings["rate"]), int(settings["visits"])
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"rate is {rate}")
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the search of its tokenizer: {error!r}") from None
    wanted = usual if visits is None else visits
    search = None
    if wanted:  # who only shows tokens need not load the context model
        from tokcom.tokenizers.rate_distortion import RateDistortionSearch

        search = RateDistortionSearch(network, _network(card, CONTEXT, where).unlabelled, rate)
    return use(network, _name(card), search, wanted)


def load_video_tokenizer(
    model: str, visits: int | None = None, device: "str | torch.device" = AUTO
) -> "VideoTokenizer":  # fmt: skip
    """Load the tokenizer of a model for the frames of videos; arguments and errors as for `load_tokenizer`.

    Raises:
        ModelError: the model has no prior of videos, or no search.
        ParameterError: the device is onnx.
    """
    from tokcom.tokenizers.video import VideoTokenizer

    card, where = model_card(model), receiving_device(device)
    if where == ONNX:
        raise ParameterError("tokens of videos need PyTorch: device must not be onnx")
    if "search" not in card.part("tokenizer"):
        raise ModelError(f"model {card.name} has no search for tokens, which those of videos need")
    alone, following = load_tokenizer(model, visits, where), _network(card, FOLLOWING, where)
    rate = float(card.part("tokenizer")["search"]["rate"])
    return VideoTokenizer(alone, following.unlabelled_after, rate, alone.visits)


def _onnx_tokenizer(card: Card) -> PictureTokenizer:
    from tokcom.tokenizers.onnx_tokenizer import OnnxTokenizer

    files = card.onnx("tokenizer")
    try:
        return OnnxTokenizer(files["encoder"], files["decoder"], _name(card))
    except KeyError as error:
        raise ModelError(f"{card.folder / 'card.json'}: its tokenizer has no ONNX file for the {error}") from None


def load_detokenizers(
    models: str | Sequence[str], device: "str | torch.device" = AUTO
) -> ByCodebook[PictureTokenizer]:  # fmt: skip
    """Load the tokenizers of several models by codebook, on demand and without a search, to decode tokens; raises as
    `load_tokenizer` does."""
    where = receiving_device(device)
    return ByCodebook(
        _loaders(models, lambda name: load_tokenizer(name, 0, where)), lambda tokenizer: tokenizer.n_bytes, MAX_BYTES
    )


def load_context(
    model: str, device: "str | torch.device" = AUTO, part: str = CONTEXT, *, exact: bool = False
) -> Prior:  # fmt: skip
    """Load the context model of a model on a `receiving_device`; raises as `load_tokenizer` does.

    Args:
        model: name or folder of the model.
        device: where it computes.
        part: CONTEXT, or SMALL_CONTEXT.
        exact: keep a language model's weights in full precision instead of 8 bits: its probabilities then hardly depend
            on how many tokens are computed together, which lossless coding relies on.
    """
    card, where = model_card(model), receiving_device(device)
    entry, name = card.part(part), _name(card) if "tokenizer" in card.content else card.name
    if where == ONNX:
        from tokcom.context.onnx_prior import OnnxPrior

        return OnnxPrior(next(iter(card.onnx(part).values())), name)
    told: dict[str, object] = {"encoder": _embed} if "sentences" in entry else {}
    if family(entry["family"]).told_by_sentences:
        told = {"encoder": load_text_encoder(model, where)}
    if entry["family"] == "speech-prior" and "tokenizer" in card.content:
        told = {"codes": _network(card, "tokenizer", where).codebooks.float().cpu().numpy()}
    if exact and entry["family"] == "llama":
        told["int8"] = False
    if part == CONTEXT and CONDITIONS in card.content:
        told = {"encoder": _embed} if has_sentences() else {}
        told["mapping"] = _network(card, CONDITIONS, where)
    alone = family(entry["family"]).user()(_network(card, part, where), name, **told)
    if part != CONTEXT or FOLLOWING not in card.content:
        return alone
    return PictureOrVideo(alone, partial(_following, card, where, name))


def load_network(model: str, part: str) -> "nn.Module":
    """Load the network of one part on the CPU, without what belongs to it; raises as `load_tokenizer` does."""
    import torch

    return _network(model_card(model), part, torch.device("cpu"))


def _following(card: Card, device: "torch.device", name: str) -> Prior:
    return family(card.part(FOLLOWING)["family"]).user()(_network(card, FOLLOWING, device), name)


def load_text_encoder(model: str, device: "str | torch.device" = AUTO) -> "ClipText | Clap":
    """Load the encoder of sentences of a model, on a device of PyTorch's; raises as `load_tokenizer` does. CLAP encodes
    sounds, too."""
    card = model_card(model)
    return family(card.part(TEXT)["family"]).user()(_network(card, TEXT, find_device(device)), card.name)


def describe(sentence: str, n_bytes: int = POINT_BYTES) -> bytes:
    """Describe a frame by the point of a sentence.

    Args:
        sentence: the sentence, or a few words.
        n_bytes: bytes of the point's code, 1 to 8.

    Raises:
        ModelError: all-MiniLM-L6-v2 is not installed.
        ParameterError: the sentence is empty, or no such number.
    """
    if not sentence.strip():
        raise ParameterError("the sentence is empty; say what the picture shows")
    return of_point(_embed([sentence])[0].numpy(), n_bytes)


def describe_sound(path: "str | Path", model: str = SOUNDS, n_bytes: int = POINT_BYTES) -> bytes:
    """Describe a frame by the point of a sound that belongs to it.

    Args:
        path: the file of the sound.
        model: the model with the encoder of sounds, by name or folder.
        n_bytes: bytes of the point's code, 1 to 8.

    Raises:
        ModelError: the model does not exist, is corrupt, or encodes no sounds.
        SpeechError: the file cannot be read, or is empty.
        ParameterError: there is no such number of bytes.
    """
    from tokcom.context.sound_encoder import LONGEST_S
    from tokcom.tokenizers.sounds import read_sound

    return of_point(load_sounds(model).embed(read_sound(path, LONGEST_S)), n_bytes)


def load_sounds(model: str = SOUNDS, device: "str | torch.device" = AUTO) -> "Sounds":
    """Load the encoder of sounds of a model, on a device of PyTorch's; raises as `load_tokenizer` does."""
    card = model_card(model)
    return family(card.part("sounds")["family"]).user()(_network(card, "sounds", find_device(device)), card.name)


def _embed(texts: Sequence[str]) -> "torch.Tensor":
    from tokcom.models.published import load_sentences

    return load_sentences().embed(texts)


def load_frame_coder(model: str, turns: int, blocks: int | None = None) -> "FrameCoder":
    """Load the source coder of a model, on the CPU, whose precision decoding relies on.

    Args:
        model: a model of the zoo, by name or folder.
        turns: evaluations of the context model per block, 1 to 255.
        blocks: blocks per frame, 1 to 255; None for a decoder, which takes any number.

    Raises:
        ModelError: there is no such model, or its context model has no grid of its own.
        ParameterError: a number is out of its range.
        SourceError: constriction is not installed.
    """
    from tokcom.source.blocks import SourceSettings
    from tokcom.source.frame_coder import FrameCoder

    settings = SourceSettings(turns=turns) if blocks is None else SourceSettings(turns=turns, blocks=blocks)
    coder = FrameCoder(load_context(model, "cpu"), codebook(model).modality, settings)
    if blocks is not None:
        coder.require_packets()
    return coder


def load_chooser(model: str, choice: str) -> "TokenChooser":
    """Load what chooses the tokens of a model's frames that are sent, on the CPU.

    Args:
        model: a model of the zoo, by name or folder.
        choice: one of `source.choices.CHOICES`.

    Raises:
        ModelError: there is no such model, or it lacks a part that the choice needs.
        ParameterError: there is no such choice.
    """
    from tokcom.source.choices import CHECKERBOARD, CHOICES, SPREAD, SURPRISE
    from tokcom.source.chooser import TokenChooser

    if choice in (SPREAD, CHECKERBOARD) or choice not in CHOICES:
        return TokenChooser(choice)
    prior = load_context(model, "cpu")
    if choice == SURPRISE:
        return TokenChooser(choice, prior)
    return TokenChooser(choice, prior, load_tokenizer(model, 0, "cpu"), load_classifier(model, "cpu"))


def load_acceptance(model: str, part: str = CONTEXT) -> Acceptance:
    """Load the calibration of packets' posteriors under a model's context, or its SMALL_CONTEXT, from its card; the
    identity if it has none.

    Raises:
        ModelError: the model does not exist, or its card is invalid.
    """
    command = "calibrate" if part == CONTEXT else "escalation"
    return _curve(model, "acceptance", part, f"./run {command} --model {{}} --data DIR")


def load_certainty(model: str) -> Acceptance:
    """Load the same of tokens' posteriors under its context."""
    return _curve(model, "certainty", CONTEXT, "./run calibrate-text --model {}")


def _curve(model: str, name: str, part: str, command: str) -> Acceptance:
    card = model_card(model)
    curve = card.part(part).get(name, {})
    if curve:
        card.require_bound("calibration was made", _table(card, name, curve), part, command.format(card.name))
    try:
        return Acceptance(tuple(curve.get("log_odds", ())), tuple(curve.get("calibrated", ())))
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{card.folder / 'card.json'}: the {name} of its context is not a valid curve: {error}"
        ) from None


def load_residual(model: str) -> ResidualModel:
    """Load the residual model of a model's context decoding from its card, with that of frames of videos if it has one.

    Raises:
        ModelError: the model does not exist, its card is invalid, or it has no such table.
    """
    card = model_card(model)
    if card.content["modality"] == "text":
        return _residual(card, CONTEXT, "residual-text")
    following = None
    if "residual" in card.content.get(FOLLOWING, {}):
        following = _residual(card, FOLLOWING, "residual --videos")
    return replace(_residual(card, CONTEXT, "residual"), following=following)


def _residual(card: Card, part: str, command: str) -> ResidualModel:
    entry = _fitted(card, "residual", "residual errors", command, part)
    values = {name: value for name, value in entry.items() if name != part}
    try:
        return ResidualModel(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the residual errors of its {part}: {error}") from None


def load_recovery(
    model: str, mode: str = DEFAULT_MODE, device: "str | torch.device" = AUTO, *, server: str = "",
    told: Callable[[str], None] = lambda said: None, **settings: object,
) -> "FrameRecovery | EscalatingRecovery":  # fmt: skip
    """Load the recovery of a model's frames; raises as `load_tokenizer` does.

    Args:
        model: the model, by name or folder.
        mode: one of `link.modes.MODES`; "keep" and "list" load no network unless a packet was not sent.
        device: as in `device.receiving_device`.
        server: address of an edge server that has the model's context, as in `models.edge.load_edge_recovery`; empty
            for none.
        told: called with a sentence when that server fails, and when it answers again.
        settings: further arguments of `FrameRecovery`.
    """
    if server:
        from tokcom.models.edge import load_edge_recovery

        return load_edge_recovery(model, mode, receiving_device(device), server, told, **settings)
    settings = {"codebook": codebook(model).name} | settings
    if mode == "context":
        settings = {"acceptance": load_acceptance(model), "certainty": load_certainty(model)} | settings
    if mode in ("list", "context"):
        settings = {"frequencies": word_frequencies(model)} | settings
    return FrameRecovery(mode, partial(load_context, model, receiving_device(device)), **settings)


def load_recoveries(
    models: str | Sequence[str], mode: str = DEFAULT_MODE, device: "str | torch.device" = AUTO,
    max_bytes: int = MAX_BYTES, **settings: object,
) -> RecoverySet:  # fmt: skip
    """Load the recovery of several models' frames, each on demand.

    Args:
        models: names or folders, as a list or separated by commas.
        mode, device, settings: as in `load_recovery`, `server` and `told` among them.
        max_bytes: see `RecoverySet`.

    Raises:
        ModelError: the model does not exist, or is corrupt.
        ParameterError: no model is named, two have the same id on the air, or a setting is out of its range.
    """
    where = receiving_device(device)
    require_mode(mode)
    return RecoverySet(_loaders(models, lambda name: load_recovery(name, mode, where, **settings)), max_bytes)


def load_expectations(
    models: str | Sequence[str], device: "str | torch.device" = AUTO
) -> ByCodebook[tuple[Prior, ResidualModel]]:
    """Load a transmitter's expectations of receivers with several models, their priors and residual models, on demand;
    raises as `load_tokenizer` and `load_residual` do."""
    where = receiving_device(device)
    return ByCodebook(
        _loaders(models, lambda name: (load_context(name, where), load_residual(name))),
        lambda expected: expected[0].n_bytes, MAX_BYTES,
    )  # fmt: skip


def load_repeat_risk(model: str) -> RepeatRisk:
    """Largest doubt at which a model's packet is accepted rather than requested again, from the model's card.

    Raises:
        ModelError: the model does not exist, its card is invalid, or it has no such table.
    """
    card = model_card(model)
    entry = _fitted(card, "repeats", "risks of repeats", "repeat-risk")
    try:
        tables = (tuple(tuple(map(float, row.split())) for row in entry[name]) for name in TABLES)
        return RepeatRisk(tuple(entry["frames"]), *tables)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the risk of repeats of its context: {error!r}") from None


def load_classifier(model: str, device: "str | torch.device" = AUTO) -> "Classifier":
    """The classifier of a model, on a device of PyTorch's; raises as `load_tokenizer` does."""
    card = model_card(model)
    entry = card.part("classifier")
    unsure_below = entry.get("unsure_below", 0.0)
    if not isinstance(unsure_below, int | float) or not 0 <= unsure_below <= 1:
        raise ModelError(f"{card.folder / 'card.json'}: unsure_below is {unsure_below!r}; it must be a probability")
    network = _network(card, "classifier", find_device(device))
    return family(entry["family"]).user()(network, card.classes, unsure_below)


def _loaders(
    models: str | Sequence[str], load: Callable[[str], object]
) -> list[tuple[Codebook, Callable[[], object]]]:  # fmt: skip
    """Return the codebooks of several models, each with a function that loads a part.

    Raises:
        ParameterError: no model is named.
    """
    names = model_names(models)
    if not names:
        raise ParameterError(f"models is {models!r}; it must name at least one, by name or folder, separated by commas")
    return [(codebook(name), partial(load, name)) for name in names]


def _network(card: Card, part: str, device: "torch.device") -> "nn.Module":
    """Load the network of one part; a process holds one copy per hash of weights and device."""
    entry = card.part(part)
    if part in TRAINED_BY:
        command = f"./run train {TRAINED_BY[part]} --model {card.name} --data DIR"
        card.require_bound(f"{part} was trained", entry, "tokenizer", command)
    if part == CONDITIONS:
        command = f"./run train conditions --model {card.name} --data DIR"
        card.require_bound("map of sentences was trained", entry, CONTEXT, command)
    key = str(entry["sha256"]), str(entry["family"]), repr(entry["config"]), str(device)

    def in_use() -> "nn.Module":
        network = _in_use.get(key)
        if network is None:
            network = _in_use[key] = _build(card, part, device)
        return network

    return _kept.get(key, in_use)


_in_use: "WeakValueDictionary[tuple, nn.Module]" = WeakValueDictionary()
_kept: "BoundedCache[nn.Module]" = BoundedCache(KEPT_BYTES, network_bytes)


def make_missing(model: str, progress: Callable[[float], None] = lambda share: None) -> None:
    """Make the folder of a model of MADE, unless it is there.

    Args:
        model: name of the model; of others nothing is made.
        progress: called with the share that is done, 0 to 1.

    Raises:
        ModelError: what it is made from is not installed.
    """
    if model in MADE and model not in list_models():
        module, _, name = MADE[model].partition(":")
        getattr(import_module(module), name)(Path.cwd() / PUBLISHED / model, progress)


def _fitted(card: Card, name: str, what: str, command: str, part: str = CONTEXT) -> dict:
    """Return an entry of one of the card's parts that a command fitted to its present weights."""
    entry = card.part(part).get(name)
    if entry is None:
        raise ModelError(f"{card.folder / 'card.json'}: its {part} has no {what}; ./run {command} fits them")
    command = f"./run {command} --model {card.name} --data DIR"
    card.require_bound(f"{what} were fitted", _table(card, name, entry, part), part, command)
    return entry


def _table(card: Card, name: str, entry: object, part: str = CONTEXT) -> dict:
    """Check that an entry of one of the card's parts is an object, and return it."""
    if not isinstance(entry, dict):
        raise ModelError(f"{card.folder / 'card.json'}: the {name} of its {part} is {entry!r}, not an object")
    return entry


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


def _build(card: Card, part: str, device: "torch.device") -> "nn.Module":
    import torch

    from tokcom.models.weights import read_weights

    entry, path = card.part(part), card.weights(part)
    kind = family(entry["family"])
    weights = read_weights(path)
    dtype = torch.float32 if kind.full_precision else weights_dtype(device)
    placed = {
        name: each.to(device, dtype if each.is_floating_point() else each.dtype) for name, each in weights.items()
    }
    try:
        network = kind.without_weights(entry["config"])
        network.load_state_dict(placed, assign=True)
    except (RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"{path}: the weights do not fit the card: {error}") from None
    return network.eval().requires_grad_(False)
