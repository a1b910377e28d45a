"""Download of public models from the Hugging Face hub; what was begun is continued."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from tokcom.errors import ModelError
from tokcom.models.public.catalogue import PublicModel, base_name


def fetch_files(model: PublicModel, progress: Callable[[str], None] = lambda step: None) -> dict[str, list[Path]]:
    """Download the files of a public model into the hub's cache, where those that are complete are found again.

    Args:
        model: the model.
        progress: called with each step, for people.

    Returns:
        The files by part, the weights first, without those that are not on the hub.

    Raises:
        ModelError: no file is on the hub, one cannot be fetched, or huggingface_hub is not installed.
    """
    on_hub = {part: entry for part, entry in model.parts.items() if entry.repository}
    if not on_hub:
        raise ModelError(f"{model.name} is not on the hub. {by_hand(model)}")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError:
        raise ModelError(
            "huggingface_hub is not installed: pip install --no-deps -r requirements/large.txt, as ./run does on first "
            "use"
        ) from None
    found = {}
    for part, entry in on_hub.items():
        progress(entry.place)
        try:
            found[part] = [Path(hf_hub_download(entry.repository, file)) for file in entry.files]
        except Exception as error:  # of its own, of its HTTP client, and of the disk
            reason = _reason(error)
            raise ModelError(f"{entry.place} cannot be fetched: {reason.rstrip('.')}. {by_hand(model)}") from None
    return found


def _reason(error: BaseException) -> str:
    """Return the first line of the error that led to another one, which the hub's do not tell."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def by_hand(model: PublicModel, parts: Collection[str] | None = None) -> str:
    """Tell people how to download and import a model's files by hand.

    Args:
        model: the model.
        parts: its parts; None for all.
    """
    wanted = {part: entry for part, entry in model.parts.items() if parts is None or part in parts}
    places = "; ".join(entry.place for entry in wanted.values())
    names = [name for entry in model.parts.values() for name in map(base_name, entry.files)]
    files = [
        name if names.count(name) == 1 else f"{part}={name}"
        for part, entry in wanted.items()
        for name in map(base_name, entry.files)
    ]
    command = f"./run models import {model.name} --from {' '.join(files)}"
    return f"Download {places} on a machine that reaches them, then call `{command}`"
