"""Calibrations that come with this package for models that do not: of those that are made from published ones."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files

from tokcom.models.card import Card

FITS = {"smollm2": "smollm2.json"}
"""File beside this one by the model's name: entries of the card's context, as the commands that fit them write them."""


def with_fits(card: Card) -> Card:
    """Return a card with the entries of its context that come with this package: those that were fitted to its very
    weights and that it has none of its own for."""
    context = card.content.get("context")
    if card.name not in FITS or not isinstance(context, dict):
        return card
    own = context.get("sha256")
    fits = {name: entry for name, entry in _shipped(FITS[card.name]).items() if entry["context"] == own}
    return replace(card, content=card.content | {"context": fits | context}) if fits else card


@cache
def _shipped(name: str) -> dict[str, dict]:
    return json.loads(files("tokcom.models").joinpath(name).read_text(encoding="utf-8"))
