"""`tokcom bench adaptation`, `power`: savings by an adaptive transmitter."""

from dataclasses import asdict
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, device_option, drawing_option, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option, jobs_option


@click.command()
@data_option
@images_option(100, "Photographs of the test split.")
@click.option(
    "--train-images", default=40, show_default=True, type=click.IntRange(1), help="Photographs to set bounds on."
)
@click.option("--esn0-db", type=Numbers(), default="4,7,10,13,16", show_default=True)
@click.option("--channels", type=Names(), help="Separated by commas. [default: all, awgn and epa]")
@click.option("--policies", type=Names(), help="Separated by commas. [default: all]")
@click.option(
    "--loop-frames", default=4000, show_default=True, type=click.IntRange(0), help="Bursts of the outer loop."
)
@jobs_option(2)
@model_option
@drawing_option("--svg", "Draw airtime over Es/N0 to this file.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def adaptation(
    data: Path | None, images: int, train_images: int, esn0_db: list[float], channels: list[str] | None,
    policies: list[str] | None, loop_frames: int, jobs: int, model: str, svg: Path | None, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure airtime, energy and errors of the transmitter's policies on photographs (an hour on one processor)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom_lab.curves import adaptation_bench
    from tokcom_lab.curves.adaptation_plot import draw_airtime

    known = {"channels": adaptation_bench.CHANNELS, "policies": adaptation_bench.DEFAULT}
    chosen = {"channels": channels or list(known["channels"]), "policies": policies or list(known["policies"])}
    for name, given in chosen.items():
        for each in given:
            if each not in known[name]:
                raise click.BadParameter(f"{each!r} is not one of {', '.join(known[name])}", param_hint=f"--{name}")
    for value in esn0_db:
        noise_variance(value)
    materials = []
    # Without a data set of two splits, use other crops of the photographs.
    for count, split, own in ((train_images, "train", seed + (data is None)), (images, "test", seed)):
        found = with_tokens(photographs_of(data, count, model, own, split), model)
        materials.append(adaptation_bench.prepare(model, found.pictures, found.labels, device))
    train, test = materials
    bench = adaptation_bench.AdaptationBench(model, train, test, seed, jobs, device)
    with progress_bar() as bar:
        row = bar.add_task("outer loop", total=3 if loop_frames else 0)
        loops = []
        for value in adaptation_bench.LOOP_ESN0_DB if loop_frames else ():
            loops.append(adaptation_bench.outer_loop(value, loop_frames, 0.1, seed))
            bar.advance(row, 1)
        total = len(test.frames) * len(esn0_db) * len(chosen["channels"]) * len(chosen["policies"])
        row = bar.add_task("frames", total=total)
        points = list(
            bench.points(chosen["channels"], esn0_db, chosen["policies"], lambda done: bar.advance(row, done))
        )
    report = {
        "command": recorded_command(**chosen), "photographs": found.source, "images": len(test.frames), "seed": seed,
        "adaptation": [adaptation_bench.as_row(point) for point in points],
        "outer_loop": {"points": loops, "doppler_hz": adaptation_bench.DOPPLER_HZ},
        "solver_ms": bench.solver_times(),
    }  # fmt: skip
    if svg is not None:
        draw_airtime(report["adaptation"], svg)
    if json_file is not None:
        write_json(report, json_file)
        return
    show(report["adaptation"], f"{report['photographs']}, {images} photographs")
    show(loops, "outer loop, EPA at 5 Hz, feedback three bursts late")
    if report["solver_ms"]:
        show([report["solver_ms"]], "time of a choice by `semantic`, predictability excluded, ms")


@click.command()
@data_option
@images_option(100, "Photographs of the test split.")
@click.option("--esn0-db", type=Numbers(), default="4,7,10,13,16", show_default=True)
@click.option("--bounds", type=Numbers(), default="0.002,0.02", show_default=True, help="Shares of tokens wrong.")
@model_option
@device_option
@seed_option
@json_option("Write the figures as JSON")
def power(
    data: Path | None, images: int, esn0_db: list[float], bounds: list[float], model: str, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure the energy that a power per packet would save over one per burst if signalling were free (a few
    minutes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.models.fits import load_residual
    from tokcom_lab.curves.adaptation_bench import prepare
    from tokcom_lab.curves.power_gain import power_gain

    for value in esn0_db:
        noise_variance(value)
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    material = prepare(model, photographs.pictures, photographs.labels, device)
    with progress_bar() as bar:
        row = bar.add_task("frames", total=len(material.frames) * len(esn0_db) * len(bounds))
        found = power_gain(material, load_residual(model), esn0_db, bounds, lambda done: bar.advance(row, done))
        points = [asdict(point) for point in found]
    if json_file is not None:
        report = {"photographs": photographs.source, "seed": seed, "power": points}
        write_json({"command": recorded_command()} | report, json_file)
        return
    show(points, f"{photographs.source}, {len(material.frames)} photographs")
