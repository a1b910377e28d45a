"""`tokcom bench leakage`: what somebody without a key learns."""

from pathlib import Path

import click

from tokcom.cli.options import Names, Numbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import split_data_option

CLASSES = "Leopards,Motorbikes,airplanes,watch"


@click.command()
@split_data_option
@click.option("--classes", type=Names(), default=CLASSES, show_default=True, help="Classes of pictures.")
@click.option(
    "--train", default=100, show_default=True, type=click.IntRange(10), help="Pictures per class to learn from."
)
@click.option("--test", default=60, show_default=True, type=click.IntRange(2), help="Pictures per class to tell apart.")
@click.option("--esn0-db", type=Numbers(), default="7,12", show_default=True, help="Es/N0 of the channel.")
@model_option
@seed_option
@json_option("Write the figures as JSON")
def leakage(
    data: Path, classes: list[str], train: int, test: int, esn0_db: list[float], model: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Tell classes of pictures apart by the shape of their bursts alone (a quarter of an hour)."""
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.leakage import leakage, sample_of
    from tokcom_lab.photographs import photographs_by_class

    size, samples = load_tokenizer(model, visits=0, device="cpu").image_size, []
    with progress_bar() as bar:
        for split, count in (("train", train), ("test", test)):
            pictures, labels = photographs_by_class(data, split, classes, count, size, seed)
            row = bar.add_task(f"predictability, {split}", total=len(pictures))
            samples.append(sample_of(pictures, labels, model, progress=lambda done, row=row: bar.advance(row, done)))
        row = bar.add_task("classifier", total=len(esn0_db))
        rows = leakage(*samples, model, esn0_db, progress=lambda done: bar.advance(row, done))
    report = {"classes": classes, "train": len(samples[0].labels), "test": len(samples[1].labels), "leakage": rows}
    if json_file is not None:
        write_json(report, json_file)
    else:
        show(rows, "classes of pictures told apart by the shape of bursts")
