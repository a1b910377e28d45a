"""Recovery with a model at an edge server, and the models that a server serves."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tokcom.context.prior import Prior
from tokcom.device import AUTO
from tokcom.errors import ModelError, ParameterError
from tokcom.link.modes import DEFAULT_MODE, WITH_PRIOR
from tokcom.link.recovery import FrameRecovery
from tokcom.models.card import CONTEXT, SMALL_CONTEXT
from tokcom.models.fits import load_acceptance
from tokcom.models.installed import model_card, model_names
from tokcom.models.recovery import load_recovery, recovery_settings
from tokcom.models.text import TEXT_FAMILY
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.offload.address import EdgeAddress
from tokcom.offload.escalation import EscalatingRecovery, EscalationPolicy
from tokcom.offload.inference_prior import remote_prior
from tokcom.offload.remote_prior import RemotePrior
from tokcom.offload.work import EdgeModel

if TYPE_CHECKING:
    import torch

ESCALATION = "escalation"
"""Key of the policy in the card's SMALL_CONTEXT."""


def load_edge_models(models: str | Sequence[str], device: "str | torch.device" = AUTO) -> list[EdgeModel]:
    """Load priors and tokenizers of several models for a server; raises as `zoo.load_tokenizer` does.

    Args:
        models: names or folders, as a list or separated by commas.
        device: as in `device.receiving_device`.

    Raises:
        ParameterError: no model is named.
    """
    names = model_names(models)
    if not names:
        raise ParameterError(f"models is {models!r}; it must name at least one")
    return [_edge_model(name, device) for name in names]


def load_priors(folders: Mapping[str, str], device: "str | torch.device" = AUTO) -> dict[str, Prior]:
    """Load the context of several models for a replica, by the names that they are served by; raises as
    `zoo.load_context` does."""
    return {name: load_context(folder, device) for name, folder in folders.items()}


def _edge_model(model: str, device: "str | torch.device") -> EdgeModel:
    if model_card(model).part("tokenizer")["family"] == TEXT_FAMILY:
        # Devices cut texts into words themselves. In 8 bits, words would depend on how many are drafted together.
        return EdgeModel(load_context(model, device, exact=True))
    return EdgeModel(load_context(model, device), load_tokenizer(model, 0, device))


def load_policy(model: str) -> EscalationPolicy | None:
    """Load the policy by which a device with a model's small context asks an edge server; None if it has none.

    Raises:
        ModelError: the model does not exist, or its policy is invalid or of other weights.
    """
    card = model_card(model)
    entry = card.content.get(SMALL_CONTEXT, {}).get(ESCALATION)
    if entry is None:
        return None
    command = f"./run escalation --model {card.name} --data DIR"
    try:
        for part in (CONTEXT, SMALL_CONTEXT):
            card.require_bound("escalation was learnt", entry, part, command)
        return EscalationPolicy(tuple(entry["doubts"]), tuple(entry["benefits"]), float(entry["least"]))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"{card.folder / 'card.json'}: the escalation of its small context: {error!r}") from None


def load_edge_prior(
    model: str, device: "str | torch.device", server: str, told: Callable[[str], None] = lambda said: None
) -> RemotePrior:
    """Load the context of a model at an edge server, in whose place the model's small context, or else its context,
    answers on the device; raises as `zoo.load_context` and `RemotePrior` do."""
    return remote_prior(server, partial(load_context, model, device, _local_part(model)), told=told)


def load_edge_recovery(
    model: str, mode: str, device: "str | torch.device", server: str,
    told: Callable[[str], None] = lambda said: None, **settings: object,
) -> FrameRecovery | EscalatingRecovery:  # fmt: skip
    """Load the recovery of a model's frames with its context at an edge server.

    In mode "context", a model with a small context and a policy decodes on the device, and asks the server about frames
    for which it pays. Otherwise the server answers every question of a mode that needs a prior.

    Args:
        model: the model, by name or folder.
        mode, device, settings: as in `recovery.load_recovery`.
        server: address of the server, as in `EdgeAddress.of`.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        ModelError: as `zoo.load_tokenizer`.
        TransportError: the address is invalid.
    """
    address = EdgeAddress.of(server)
    if mode not in WITH_PRIOR:
        return load_recovery(model, mode, device, **settings)
    policy = load_policy(model) if mode == DEFAULT_MODE else None
    common = recovery_settings(model, mode) | settings
    if policy is None:
        return FrameRecovery(mode, partial(load_edge_prior, model, device, address, told), **common)
    small: Prior = load_context(model, device, SMALL_CONTEXT)
    here = FrameRecovery(
        mode, small, **common | {"acceptance": load_acceptance(model, SMALL_CONTEXT), "certainty": None}
    )
    edge = FrameRecovery(mode, remote_prior(address, like=small, told=told), **common)
    return EscalatingRecovery(here, edge, policy, address.asks_per_s)


def _local_part(model: str) -> str:
    return SMALL_CONTEXT if SMALL_CONTEXT in model_card(model).content else CONTEXT
