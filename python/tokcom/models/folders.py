"""Search paths of models, without loading anything."""

import os
from pathlib import Path

DEFAULT_MODEL = "caltech64"
PUBLISHED = Path(".cache/published")
"""Folder, below the working one, of models that are made from published ones when they are first wanted."""


def model_folders() -> list[Path]:
    """Folders that are searched for models, first match wins: those of $TOKCOM_MODELS, then beside this package and
    above it (a checkout's models/, a prefix's share/tokcom/models), then the working folder's models/, where training
    puts them, last what was made from published models."""
    given = [Path(entry) for entry in os.environ.get("TOKCOM_MODELS", "").split(os.pathsep) if entry]
    package = Path(__file__).resolve().parent.parent
    beside = [package / "models" / "weights"]
    above = [parent / sub for parent in package.parents for sub in ("models", "share/tokcom/models")]
    here = [Path.cwd() / "models", Path.cwd() / PUBLISHED]
    return given + [folder for folder in dict.fromkeys(beside + above + here) if folder.is_dir()]


def list_models() -> dict[str, Path]:
    """Find the folders of all models by name."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for card in sorted(folder.glob("[!.]*/card.json")):
            found.setdefault(card.parent.name, card.parent)
    return found
