"""Material of the measurements: photographs and their tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.cli.output import console, progress_bar

if TYPE_CHECKING:
    from tokcom_lab.photographs import Photographs


def photographs_of(data: Path | None, count: int, model: str, seed: int, split: str = "test") -> "Photographs":
    """Load photographs of the model's size, with their labels; report if there are fewer than `count`."""
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.photographs import load_photographs

    found = load_photographs(data, count, load_tokenizer(model).image_size, load_classifier(model), seed, split)
    if len(found.pictures) < count:
        console.print(f"{found.source}: {len(found.pictures)} photographs; {count} were requested")
    return found


def with_tokens(photographs: "Photographs", model: str) -> "Photographs":
    """Return the photographs, after searching for missing tokens, so that measurements find them in the cache."""
    from tokcom_lab.photograph_tokens import photograph_tokens

    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(photographs.pictures))
        photograph_tokens(photographs.pictures, model, progress=lambda done: bar.advance(row, done))
    return photographs
