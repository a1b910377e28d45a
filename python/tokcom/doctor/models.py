"""Checks of the models: that there are any, and that their weights match their cards."""

import os
from pathlib import Path

from tokcom.doctor.finding import Finding, State
from tokcom.errors import ModelError
from tokcom.models.card import Card
from tokcom.models.folders import list_models, model_folders

AGAIN = "fetch the model again: in a checkout git checkout -- models, else reinstall the module"


def models() -> list[Finding]:
    """Check all models that are found by name."""
    findings = []
    for entry in os.environ.get("TOKCOM_MODELS", "").split(os.pathsep):
        if entry and not Path(entry).is_dir():
            remedy = "correct the variable; separate folders by colons"
            findings.append(
                Finding("Models", State.WARNING, f"TOKCOM_MODELS names {entry}, which is not a folder", remedy)
            )
    found = list_models()
    if not found:
        searched = ", ".join(map(str, model_folders())) or "no folder that exists"
        remedy = f"{AGAIN}; TOKCOM_MODELS names more folders"
        return [*findings, Finding("Models", State.FAILURE, f"none in {searched}", remedy)]
    return findings + [model(name, folder) for name, folder in found.items()]


def model(name: str, folder: Path) -> Finding:
    """Check one model: its card, its files and their hashes."""
    try:
        card = Card.read(folder)
        parts = card.parts
        size = sum(path.stat().st_size for path in card.files())
    except (ModelError, OSError) as error:
        return Finding("Models", State.FAILURE, str(error), AGAIN)
    # Encoders of sounds belong to no tokenizer.
    needed = () if "sounds" in parts else ("tokenizer", "context")
    missing = [part for part in needed if part not in parts]
    if missing:
        remedy = f"train it: ./run train {'maskgit' if 'context' in missing else 'tokenizer'} --data DIR --model {name}"
        return Finding("Models", State.WARNING, f"{name} in {folder} has no {' and no '.join(missing)}", remedy)
    return Finding("Models", State.OK, f"{name}: {', '.join(parts)}, {size / 1e6:.0f} MB, hashes right, in {folder}")
