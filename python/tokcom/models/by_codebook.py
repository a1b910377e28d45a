"""Parts of several models by codebook, each loaded on demand."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tokcom.adaptation.residual import ResidualModel
from tokcom.context.prior import Prior
from tokcom.device import AUTO, receiving_device
from tokcom.errors import ParameterError
from tokcom.link.modes import DEFAULT_MODE, require_mode
from tokcom.link.recovery_set import MAX_BYTES, RecoverySet
from tokcom.models.card import CONTEXT
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.installed import model_card, model_names
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.packets.by_codebook import ByCodebook
from tokcom.packets.codebook import Codebook
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

if TYPE_CHECKING:
    import torch


def load_detokenizers(
    models: str | Sequence[str], device: "str | torch.device" = AUTO
) -> ByCodebook[PictureTokenizer]:  # fmt: skip
    """Load the tokenizers of several models by codebook, on demand and without a search, to decode tokens; raises as
    `load_tokenizer` does."""
    where = receiving_device(device)
    return ByCodebook(
        _loaders(models, lambda name: load_tokenizer(name, 0, where)), lambda tokenizer: tokenizer.n_bytes, MAX_BYTES
    )


def load_priors(
    models: str | Sequence[str], device: "str | torch.device" = AUTO
) -> ByCodebook[Prior]:  # fmt: skip
    """Load the context models of several models by codebook, on demand; raises as `load_tokenizer` does. A model that
    has none is left out."""
    where = receiving_device(device)
    having = [name for name in model_names(models) if CONTEXT in model_card(name).content]
    loaders = [(codebook(name), partial(load_context, name, where)) for name in having]
    return ByCodebook(loaders, lambda prior: prior.n_bytes, MAX_BYTES)


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
