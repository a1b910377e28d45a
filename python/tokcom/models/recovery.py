"""Recovery of a model's frames."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tokcom.device import AUTO, receiving_device
from tokcom.link.modes import DEFAULT_MODE
from tokcom.link.recovery import FrameRecovery
from tokcom.models.codebooks import codebook, word_frequencies
from tokcom.models.fits import load_acceptance, load_certainty
from tokcom.models.zoo import load_context

if TYPE_CHECKING:
    import torch

    from tokcom.offload.escalation import EscalatingRecovery


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
    settings = recovery_settings(model, mode) | settings
    return FrameRecovery(mode, partial(load_context, model, receiving_device(device)), **settings)


def recovery_settings(model: str, mode: str) -> dict[str, object]:
    """Load the arguments of `FrameRecovery` in a mode that a model decides; raises as `load_recovery` does."""
    settings: dict[str, object] = {"codebook": codebook(model).name}
    if mode == "context":
        settings |= {"acceptance": load_acceptance(model), "certainty": load_certainty(model)}
    if mode in ("list", "context"):
        settings["frequencies"] = word_frequencies(model)
    return settings
