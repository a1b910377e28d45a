"""`tokcom models map`: labels of a codebook's words that suit the channel."""

from pathlib import Path

import click
from rich.progress import TaskID

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import device_option, json_option, seed_option
from tokcom.cli.output import console, progress_bar, show
from tokcom_lab.cli.options import images_option, models_option


@click.command(name="map")
@click.argument("name")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="Folder or tar of train/CLASS/* and test/CLASS/*, to count how often each token is sent, "
    "and what the context model confuses. [default: uniform use]",
)
@models_option
@images_option(2000, "Photographs used for that.")
@click.option(
    "--proposals", default=20_000_000, show_default=True, type=click.IntRange(0), help="Swaps tried per purpose."
)
@device_option
@seed_option
@json_option("Write the figures as JSON")
def map_labels(
    name: str, data: Path | None, models: Path, images: int, proposals: int, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Give the words of a model's codebook labels that suit the channel.

    Semantic labels are similar for words that the channel confuses; they are made for the coded bits, and for every
    scheme of sending tokens of this size without code. With photographs, contextual labels are made, too, for the coded
    bits: the code keeps apart the words that the context model confuses. Labels are stored beside the model's weights
    and described in its card. The figures are mean distances after an error, and errors under contextual labels,
    relative to random labels.
    """
    from tokcom_lab.training.labels import PHOTOGRAPHS, TOKENS, map_model

    with progress_bar() as bar:
        rows: dict[str, TaskID] = {}

        def advance(purpose: str, done: int) -> None:
            if purpose not in rows:
                rows[purpose] = bar.add_task(purpose, total=images if purpose in (PHOTOGRAPHS, TOKENS) else proposals)
            bar.advance(rows[purpose], done)

        figures = map_model(models / name, data, images, proposals, seed, recorded_command(), advance, device)
    if not figures:
        console.print("a codebook of this size gets the fast start alone; it has too many pairs to improve")
        return
    show([{"purpose": each, "distance": value} for each, value in figures.items()], f"{name}, labels", json_file)
