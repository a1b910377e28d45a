"""Search paths of models, without loading anything."""

import os
from pathlib import Path

DEFAULT_MODEL = "caltech64"


def model_folders() -> list[Path]:
    """List the folders that are searched for models, first match wins: those of $TOKCOM_MODELS, then beside this
    package and above it (a checkout's models/, a prefix's share/tokcom/models), then models/ in the working folder,
    where training puts them."""
    given = [Path(entry) for entry in os.environ.get("TOKCOM_MODELS", "").split(os.pathsep) if entry]
    package = Path(__file__).resolve().parent.parent
    beside = [package / "models" / "weights"]
    above = [parent / sub for parent in package.parents for sub in ("models", "share/tokcom/models")]
    here = [Path.cwd() / "models"]
    return given + [folder for folder in dict.fromkeys(beside + above + here) if folder.is_dir()]


def list_models() -> dict[str, Path]:
    """Find the folders of all models by name."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for card in sorted(folder.glob("[!.]*/card.json")):
            found.setdefault(card.parent.name, card.parent)
    return found
