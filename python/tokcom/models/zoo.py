"""Model zoo: loads the parts of models by name. Weights are safetensors, never pickle."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tokcom.context.picture_or_video import PictureOrVideo
from tokcom.context.prior import Prior
from tokcom.device import AUTO, ONNX, find_device, receiving_device
from tokcom.errors import ModelError, ParameterError
from tokcom.models.card import CONCEALING, CONDITIONS, CONTEXT, FOLLOWING, TEXT, THINNED, Card
from tokcom.models.codebooks import codebook_name_of
from tokcom.models.families import family
from tokcom.models.installed import model_card
from tokcom.models.networks import network_of
from tokcom.models.packages import has_sentences
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tokcom.context.clap import Clap
    from tokcom.context.classifier import Classifier
    from tokcom.context.clip_text import ClipText
    from tokcom.tokenizers.concealing import ConcealingNetwork
    from tokcom.tokenizers.token_search import TokenSearch
    from tokcom.tokenizers.video import VideoTokenizer


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
    network, use = network_of(card, "tokenizer", where), kind.user()
    if kind.told_by_sentences:
        return use(network, codebook_name_of(card), encoder=load_text_encoder(model, where))
    for part in (CONCEALING, THINNED):
        if part in card.content:
            use = partial(use, **{part: _concealing(card, part, network, where)})
    if settings is None:
        return use(network, codebook_name_of(card))
    search_of, rate, usual = _search_settings(card, settings)
    wanted = usual if visits is None else visits
    # Who only shows tokens need not load the context model.
    search = search_of(network, network_of(card, CONTEXT, where).unlabelled, rate) if wanted else None
    return use(network, codebook_name_of(card), search, wanted)


def _concealing(card: Card, part: str, tokenizer: "nn.Module", device: "torch.device") -> "ConcealingNetwork":
    """Load a decoder of pictures that lack tokens."""
    found = network_of(card, part, device)
    if not found.fits(tokenizer):
        raise ModelError(f"{card.folder / 'card.json'}: its {part} has another shape than its tokenizer")
    return found


def _search_settings(card: Card, settings: dict) -> tuple[type["TokenSearch"], float, int]:
    """Read the kind of the search for tokens, its rate and its usual number of passes from the card's entry."""
    from tokcom.tokenizers.token_search import PICTURES, SEARCHES

    try:
        search = SEARCHES[settings.get("by", PICTURES)]
        rate, usual = float(settings["rate"]), int(settings["visits"])
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"rate is {rate}")
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the search of its tokenizer: {error!r}") from None
    return search, rate, usual


def load_video_tokenizer(
    model: str, visits: int | None = None, device: "str | torch.device" = AUTO
) -> "VideoTokenizer":  # fmt: skip
    """Load the tokenizer of a model for the frames of videos; arguments and errors as for `load_tokenizer`.

    Raises:
        ModelError: the model has no prior of videos, or no search.
        ParameterError: the device is onnx.
    """
    from tokcom.tokenizers.token_search import PICTURES, SEARCHES
    from tokcom.tokenizers.video import VideoTokenizer

    card, where = model_card(model), receiving_device(device)
    if where == ONNX:
        raise ParameterError("tokens of videos need PyTorch: device must not be onnx")
    settings = card.part("tokenizer").get("search")
    search, rate, _ = (None, 0.0, 0) if settings is None else _search_settings(card, settings)
    if search is not SEARCHES[PICTURES]:
        raise ModelError(f"model {card.name} has no search for tokens by pictures, which those of videos need")
    alone, following = load_tokenizer(model, visits, where), network_of(card, FOLLOWING, where)
    return VideoTokenizer(alone, following.unlabelled_after, rate, alone.visits)


def _onnx_tokenizer(card: Card) -> PictureTokenizer:
    from tokcom.tokenizers.onnx_tokenizer import OnnxTokenizer

    files = card.onnx("tokenizer")
    try:
        return OnnxTokenizer(files["encoder"], files["decoder"], codebook_name_of(card))
    except KeyError as error:
        raise ModelError(f"{card.folder / 'card.json'}: its tokenizer has no ONNX file for the {error}") from None


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
    entry, name = card.part(part), codebook_name_of(card) if "tokenizer" in card.content else card.name
    if where == ONNX:
        from tokcom.context.onnx_prior import OnnxPrior

        return OnnxPrior(next(iter(card.onnx(part).values())), name)
    told = _arguments_of_prior(card, part, where)
    if exact and entry["family"] == "llama":
        told["int8"] = False
    alone = family(entry["family"]).user()(network_of(card, part, where), name, **told)
    if part != CONTEXT or FOLLOWING not in card.content:
        return alone
    return PictureOrVideo(alone, partial(_following, card, where, name))


def _arguments_of_prior(card: Card, part: str, device: "torch.device") -> dict[str, object]:
    """Load what a context model takes beside its own network: encoders of conditions, and the words of a tokenizer."""
    entry = card.part(part)
    if part == CONTEXT and CONDITIONS in card.content:
        encoder = {"encoder": _embed} if has_sentences() else {}
        return encoder | {"mapping": network_of(card, CONDITIONS, device)}
    if entry["family"] == "speech-prior" and "tokenizer" in card.content:
        return {"codes": network_of(card, "tokenizer", device).codebooks.float().cpu().numpy()}
    if family(entry["family"]).told_by_sentences:
        return {"encoder": load_text_encoder(str(card.folder), device)}
    return {"encoder": _embed} if "sentences" in entry else {}


def _following(card: Card, device: "torch.device", name: str) -> Prior:
    return family(card.part(FOLLOWING)["family"]).user()(network_of(card, FOLLOWING, device), name)


def _embed(texts: Sequence[str]) -> "torch.Tensor":
    from tokcom.models.published import load_sentences

    return load_sentences().embed(texts)


def load_text_encoder(model: str, device: "str | torch.device" = AUTO) -> "ClipText | Clap":
    """Load the encoder of sentences of a model, on a device of PyTorch's; raises as `load_tokenizer` does. CLAP encodes
    sounds, too."""
    card = model_card(model)
    return family(card.part(TEXT)["family"]).user()(network_of(card, TEXT, find_device(device)), card.name)


def load_classifier(model: str, device: "str | torch.device" = AUTO) -> "Classifier":
    """The classifier of a model, on a device of PyTorch's; raises as `load_tokenizer` does."""
    card = model_card(model)
    entry = card.part("classifier")
    unsure_below = entry.get("unsure_below", 0.0)
    if not isinstance(unsure_below, int | float) or not 0 <= unsure_below <= 1:
        raise ModelError(f"{card.folder / 'card.json'}: unsure_below is {unsure_below!r}; it must be a probability")
    network = network_of(card, "classifier", find_device(device))
    return family(entry["family"]).user()(network, card.classes, unsure_below)
