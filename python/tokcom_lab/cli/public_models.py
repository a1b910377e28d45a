"""`tokcom models measure`: figures, calibration and labels of a model that came without them."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import device_option, json_option, seed_option
from tokcom.cli.output import console, progress_bar, show
from tokcom_lab.cli.options import images_option, split_data_option


@click.command()
@click.argument("name")
@split_data_option
@images_option(100, "Photographs of the test split.")
@click.option("--figures-only", is_flag=True, help="Neither calibrate nor make labels, which takes more time.")
@click.option(
    "--proposals",
    default=20_000_000,
    show_default=True,
    type=click.IntRange(0),
    help="Swaps tried per purpose of labels.",
)
@device_option
@seed_option
@json_option("Write the figures as JSON")
def measure(
    name: str, data: Path, images: int, figures_only: bool, proposals: int, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure a model on photographs and write the figures to its card; then calibrate it and make its labels.

    The figures are of the test split; calibration and labels are made on the training split, as by `./run calibrate`
    and `./run models map`. A large model takes a GPU, or hours.
    """
    from tokcom.context.prior import ANY
    from tokcom.errors import ModelError
    from tokcom.models.card import CONTEXT
    from tokcom.models.installed import model_card
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom_lab.cli.fits import calibrate
    from tokcom_lab.cli.labels import map_labels
    from tokcom_lab.photographs import class_names, load_photographs
    from tokcom_lab.public_figures import measure_parts
    from tokcom_lab.training.export import export_figures

    card = model_card(name)
    if card.content["modality"] != "image":
        raise ModelError(f"model {name} is of {card.content['modality']}; only models of pictures are measured here")
    folder = card.folder
    photographs = load_photographs(
        data, images, load_tokenizer(str(folder), 0).image_size, class_names(name, device), seed
    )
    with progress_bar() as bar:
        row = bar.add_task(name, total=len(photographs.pictures))
        figures = measure_parts(str(folder), photographs, seed, device, lambda done: bar.advance(row, done))
    for part, values in figures.items():
        export_figures(folder, part, values, recorded_command())
    rows = [
        {"part": part, "figure": each, "value": value} for part, own in figures.items() for each, value in own.items()
    ]
    show(rows, f"{name}, test split", json_file)
    if figures_only:
        return
    context = click.get_current_context()
    if CONTEXT in card.content and load_context(str(folder), device).order == ANY:
        console.print("calibrating")
        context.invoke(
            calibrate, data=data, model=folder.name, models=folder.parent, images=images, device=device, seed=seed,
            esn0_db=[1, 2, 3, 4], svg=None, json_file=None,
        )  # fmt: skip
    console.print("labels")
    context.invoke(
        map_labels, name=folder.name, data=data, models=folder.parent, images=images, proposals=proposals,
        device=device, seed=seed, json_file=None,
    )  # fmt: skip
