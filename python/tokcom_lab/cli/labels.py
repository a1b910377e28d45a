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
    help="Folder or tar of train/CLASS/* and test/CLASS/*: how often each token is sent, and what the context model "
    "confuses. [default: all alike]",
)
@models_option
@images_option(2000, "Photographs to learn that from.")
@click.option(
    "--proposals", default=20_000_000, show_default=True, type=click.IntRange(0), help="Swaps tried for each purpose."
)
@device_option
@seed_option
@json_option("Write the figures as JSON")
def map_labels(
    name: str, data: Path | None, models: Path, images: int, proposals: int, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Give the words of a model's codebook labels that suit the channel.

    Semantic labels: what the channel confuses means nearly the same; for the coded bits, and for every way to send
    tokens of this size without code. With photographs also contextual ones, for the coded bits: what the context model
    confuses, the code keeps apart. They go beside the model's weights, and into its card. The figures are mean
    distances after an error, and errors under contextual labels, relative to random labels.
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
        console.print("a codebook of this size has the fast start alone; its pairs are too many to improve")
        return
    show([{"purpose": each, "distance": value} for each, value in figures.items()], f"{name}, labels", json_file)
