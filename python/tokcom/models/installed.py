"""Installed models by name: their cards, and folders of models that are made when they are first wanted."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from tokcom.errors import ModelError
from tokcom.models.card import Card
from tokcom.models.folders import PUBLISHED, list_models
from tokcom.models.shipped_fits import with_fits

MADE = {"smollm2": "tokcom.models.smollm2:make_smollm2"}
"""Models that are made from published ones when they are first wanted: what makes their folders."""


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
    from tokcom.models.public.catalogue import public_models

    fetched = f"; `./run models fetch {model}` fetches it" if model in public_models() else ""
    raise ModelError(
        f"no model {model!r}; installed: {', '.join(models) or 'none'} ($TOKCOM_MODELS and the folder ./models are "
        f"searched, too){fetched}"
    )


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
