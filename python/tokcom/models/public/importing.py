"""Import of public checkpoints as models of the zoo: half-precision safetensors and a card."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.errors import ModelError
from tokcom.models.card import FORMAT, Card, file_hash
from tokcom.models.public.catalogue import PublicModel, PublicPart, base_name
from tokcom.models.public.checkpoint import read_checkpoint
from tokcom.models.public.classifier import SOURCE, imagenet_classifier
from tokcom.models.public.layout import Converted, convert

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER, CLASSIFIER = "tokenizer", "classifier"
IMAGENET = "imagenet"
"""Name of the list of classes that the classifier knows."""
MAX_COMPANION_BYTES = 16 << 20
"""Size of the largest file that comes with weights, such as a vocabulary."""


def files_of(model: PublicModel, given: list[str]) -> dict[str, list[Path]]:
    """Match files to the parts of a model by their names.

    Args:
        model: the model.
        given: paths of files named as in the catalogue, or "part=path" where names do not tell, or are others.

    Returns:
        The files by part, the weights first.

    Raises:
        ModelError: a file is of no part, two are the same, or one is missing.
    """
    found: dict[str, dict[str, Path]] = {}
    for each in given:
        part, equals, path = each.partition("=")
        told = bool(equals) and part in model.parts
        name = base_name(path if told else each)
        if not told:
            parts = [part for part, entry in model.parts.items() if name in map(base_name, entry.files)]
            if len(parts) != 1:
                files = ", ".join(f"{part}={base_name(f)}" for part, entry in model.parts.items() for f in entry.files)
                raise ModelError(f"{each}: its name does not tell which part of {model.name} it is: give {files}")
            part, path = parts[0], each
        entry = model.parts[part]
        kind = name if name in map(base_name, entry.companions) else base_name(entry.file)
        if kind in found.setdefault(part, {}):
            raise ModelError(f"{path} and {found[part][kind]} are both given as the {part} of {model.name}")
        found[part][kind] = Path(path)
    for part, files in found.items():
        missing = [file for file in map(base_name, model.parts[part].files) if file not in files]
        if missing:
            raise ModelError(f"the {part} of {model.name} needs {', '.join(missing)}, too: {model.parts[part].place}")
    return {part: [files[base_name(file)] for file in model.parts[part].files] for part, files in found.items()}


def import_model(
    model: PublicModel,
    files: Mapping[str, list[Path]],
    folder: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> Path:
    """Convert files of a public model into a model's folder, or add them to it as further parts.

    Args:
        model: the model.
        files: its files by part, the weights first.
        folder: the model's folder.
        progress: called with each step, for people.

    Returns:
        The card's path.

    Raises:
        ModelError: a file is missing, damaged, or not the one that the catalogue names; the parts that were imported
            before are kept.
    """
    if TOKENIZER in model.parts and TOKENIZER not in files and TOKENIZER not in _card(model, folder):
        raise ModelError(
            f"the {', '.join(files)} of {model.name} belongs to its tokenizer: import that first, or with it"
        )
    for part in model.parts:  # the tokenizer first, which others refer to
        if part in files:
            _import_part(model, part, files[part], folder, progress)
    if model.classes == IMAGENET and TOKENIZER in files and CLASSIFIER not in model.parts:
        _add_classifier(model, folder, progress)
    return folder / "card.json"


def _import_part(
    model: PublicModel, part: str, files: list[Path], folder: Path, progress: Callable[[str], None]
) -> None:  # fmt: skip
    entry, (path, *companions) = model.parts[part], files
    progress(f"{path.name}: checking")
    found = _checked_hash(entry, path)
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"{path.name}: reading")
    tensors = read_checkpoint(path, entry.keep, folder)
    tensors |= {name: _bytes(file) for name, file in zip(map(base_name, entry.companions), companions, strict=True)}
    progress(f"{path.name}: converting")
    try:
        converted = convert(entry.layout, tensors, entry.settings)
        _require_shape(entry, converted)
        state = _halves(converted)
        _require_fit(converted, state)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    _write(model, part, folder, converted, state, {"file": entry.place, "sha256": found})


def _bytes(path: Path) -> "Tensor":
    """The bytes of a small file as a tensor."""
    import torch

    try:
        if path.stat().st_size > MAX_COMPANION_BYTES:
            raise ModelError(f"{path}: {path.stat().st_size} bytes; it must have at most {MAX_COMPANION_BYTES}")
        return torch.tensor(list(path.read_bytes()), dtype=torch.uint8)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


def _add_classifier(model: PublicModel, folder: Path, progress: Callable[[str], None]) -> None:
    """Add a classifier, if its package is installed, so that a transmitter finds the class label of a picture."""
    progress("classifier")
    try:
        converted = imagenet_classifier(_card(model, folder)[TOKENIZER]["config"]["image_size"])
    except ModelError:
        return
    _write(model, CLASSIFIER, folder, converted, _halves(converted), {"file": SOURCE})


def _checked_hash(entry: PublicPart, path: Path) -> str:
    try:
        found = file_hash(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    if entry.sha256 is not None and found != entry.sha256:
        raise ModelError(
            f"{path}: sha256 is {found[:12]}…, the catalogue says {entry.sha256[:12]}… of {entry.place}: the file is "
            "truncated, or another one"
        )
    return found


def _require_shape(entry: PublicPart, converted: Converted) -> None:
    """Raise ModelError unless the network has the shape that the catalogue gives."""
    found = converted.config
    other = [
        f"{name} {found.get(name)} rather than {each}" for name, each in entry.config.items() if found.get(name) != each
    ]
    if other:
        raise ModelError(f"its network is another one: {', '.join(other)}")


def _halves(converted: Converted) -> "dict[str, Tensor]":
    """The weights in half precision.

    Raises:
        ModelError: some are not finite in it.
    """
    from tokcom.models.weights import not_finite

    state = {
        name: (each.half() if each.is_floating_point() else each).contiguous() for name, each in converted.state.items()
    }
    if names := not_finite(state):
        raise ModelError(f"its weights are not finite in half precision: {', '.join(names[:3])}")
    return state


def _require_fit(converted: Converted, state: "Mapping[str, Tensor]") -> None:
    """Raise ModelError unless the network of a family takes the weights."""
    from tokcom.models.families import family

    kind = family(converted.family)
    try:
        kind.without_weights(converted.config).load_state_dict(dict(state), assign=True)
    except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(f"its weights do not fit the network: {error}") from None


def _write(
    model: PublicModel, part: str, folder: Path, converted: Converted, state: "dict[str, Tensor]", source: dict
) -> None:
    from safetensors.torch import save_file

    weights, unfinished = folder / f"{part}.safetensors", folder / f".{part}.unfinished"
    save_file(state, unfinished)
    unfinished.chmod(0o644)
    unfinished.replace(weights)
    card = _card(model, folder)
    card[part] = {
        "family": converted.family, "config": converted.config,
        "parameters": sum(each.numel() for each in state.values()), "weights": weights.name,
        "sha256": file_hash(weights), "source": source,
    }  # fmt: skip
    if part == TOKENIZER:
        card.pop("labels", None)  # they belong to the previous codebook
    elif TOKENIZER in model.parts and part != CLASSIFIER:
        card[part][TOKENIZER] = card[TOKENIZER]["sha256"]
    card["classes"] = card.pop("classes")  # a long list, last
    draft = folder / ".card.unfinished"
    draft.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / "card.json")


def _card(model: PublicModel, folder: Path) -> dict:
    """The model's card as it is by now; one without parts, if there is no card."""
    if (folder / "card.json").exists():
        return dict(Card.read(folder).content)
    return {
        "format": FORMAT, "name": model.name, "modality": model.modality, "description": model.description,
        "licence": model.licence, "data": {"name": model.data}, "classes": model.class_names(),
    }  # fmt: skip
