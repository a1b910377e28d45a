"""Networks of models' parts, of which a process holds one copy."""

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from tokcom.bounded_cache import BoundedCache
from tokcom.device import network_bytes, weights_dtype
from tokcom.errors import ModelError
from tokcom.models.card import CONCEALING, CONDITIONS, CONTEXT, FOLLOWING, SMALL_CONTEXT, THINNED, Card
from tokcom.models.families import family
from tokcom.models.installed import model_card

if TYPE_CHECKING:
    import torch
    from torch import nn

TRAINED_BY = {
    CONTEXT: "maskgit", SMALL_CONTEXT: "maskgit --small", FOLLOWING: "following", CONCEALING: "concealing",
    THINNED: "thinned",
}  # fmt: skip
"""Trainings of the parts that belong to a tokenizer."""

KEPT_BYTES = 1 << 30
"""Limit on the bytes of unused networks that are kept in memory for reuse."""


def load_network(model: str, part: str) -> "nn.Module":
    """Load the network of one part on the CPU, without what belongs to it; raises as `load_tokenizer` does."""
    import torch

    return network_of(model_card(model), part, torch.device("cpu"))


def network_of(card: Card, part: str, device: "torch.device") -> "nn.Module":
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
