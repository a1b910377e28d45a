"""Fits to a model's weights, from its card: calibrations, residual errors, risks of repeats."""

from dataclasses import replace

from tokcom.adaptation.residual import ResidualModel
from tokcom.context.acceptance import Acceptance
from tokcom.errors import ModelError
from tokcom.models.card import CONTEXT, FOLLOWING, Card
from tokcom.models.installed import model_card
from tokcom.protocol.repeat_risk import TABLES, RepeatRisk


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
