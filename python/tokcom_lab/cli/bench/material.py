"""Material of the measurements: photographs and their tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.cli.output import console, progress_bar

if TYPE_CHECKING:
    import numpy as np

    from tokcom_lab.photographs import Photographs


def photographs_of(data: Path | None, count: int, model: str, seed: int, split: str = "test") -> "Photographs":
    """Load photographs of the model's size, with their labels; report if there are fewer than `count`."""
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.photographs import load_photographs

    found = load_photographs(data, count, load_tokenizer(model).image_size, load_classifier(model), seed, split)
    if len(found.pictures) < count:
        console.print(f"{found.source}: {len(found.pictures)} photographs; {count} were requested")
    return found


def many_pictures(data: Path | None, count: int, model: str, seed: int) -> "np.ndarray":
    """Load pictures where their number matters more than what they show: of the test split, then of the training split,
    then mirrored; at most as many as there are."""
    import numpy as np

    test = photographs_of(data, count, model, seed).pictures if data is None else _of(data, count, model, seed, "test")
    if len(test) < count and data is not None:
        test = np.concatenate([test, _of(data, count - len(test), model, seed, "train")])
    return np.concatenate([test, test[:, :, ::-1]])[:count]


def _of(data: Path, count: int, model: str, seed: int, split: str) -> "np.ndarray":
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.photographs import load_photographs

    return load_photographs(data, count, load_tokenizer(model).image_size, load_classifier(model), seed, split).pictures


def with_tokens(photographs: "Photographs", model: str) -> "Photographs":
    """Return the photographs, after searching for missing tokens, so that measurements find them in the cache."""
    from tokcom_lab.photograph_tokens import photograph_tokens

    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(photographs.pictures))
        photograph_tokens(photographs.pictures, model, progress=lambda done: bar.advance(row, done))
    return photographs
