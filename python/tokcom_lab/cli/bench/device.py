"""`tokcom bench device`: pictures per second, by device."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option

KINDS = ("tokenize", "search", "detokenize", "predict", "context")
"""`device_speed.WORK`, without what that imports."""


@click.command()
@data_option
@images_option(16, "Photographs, which a GPU takes in batches.")
@click.option("--devices", type=Names(), help="Between commas. [default: cpu, every GPU, onnx]")
@click.option(
    "--work", "kinds", type=Names(KINDS), default=",".join(KINDS), show_default=True, help="What is measured."
)
@click.option("--esn0-db", type=Numbers(), default="4,8", show_default=True, help="Of frames that are decoded.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="The median round counts.")
@model_option
@seed_option
@json_option("Write the figures as JSON")
def device(
    data: Path | None, images: int, devices: list[str] | None, kinds: list[str], esn0_db: list[float], rounds: int,
    model: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Pictures per second that a model's networks take, by device and by what they do (5 to 10 minutes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.device import receiving_device
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves.context_curve import Bench
    from tokcom_lab.device_speed import device_speeds, usable_devices

    for value in esn0_db:
        noise_variance(value)
    chosen = devices or usable_devices()
    for each in chosen:
        receiving_device(each)
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    bench = Bench(photographs, model, load_tokenizer(model, 0), seed)
    with progress_bar() as bar:
        row = bar.add_task("rounds", total=2 + rounds)
        speeds = device_speeds(bench, model, chosen, esn0_db, rounds, lambda done: bar.advance(row, done), kinds)
    report = {
        "command": recorded_command(devices=chosen), "photographs": photographs.source, "images": len(bench.frames),
        "seed": seed, "speeds": speeds,
    }  # fmt: skip
    if json_file is not None:
        write_json(report, json_file)
        return
    show(speeds, f"{model}, {len(bench.frames)} photographs, median of {rounds}")
