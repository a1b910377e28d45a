"""`tokcom bench air`, `faults`: the receiver under impairments, interference and malicious input."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, device_option, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom.link.modes import MODES
from tokcom_lab.cli.options import data_option, jobs_option


@click.command()
@click.option("--bursts", default=100_000, show_default=True, type=click.IntRange(100), help="Bursts of the soak test.")
@click.option("--headers", default=1_000_000, show_default=True, type=click.IntRange(1), help="Random headers.")
@click.option("--air", is_flag=True, help="Add late echoes, fading, tones, impulses, lost samples and collisions.")
@seed_option
@json_option("Write the figures as JSON")
def faults(bursts: int, headers: int, air: bool, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Parse random headers with valid CRCs, and run long through a channel with every fault (10 to 20 minutes)."""
    from tokcom_lab.faults import random_headers, soak

    with progress_bar() as bar:
        row = bar.add_task("headers", total=headers)
        parsed = random_headers(headers, seed, progress=lambda done: bar.advance(row, done))
        row = bar.add_task("soak", total=bursts)
        soaked = soak(bursts, seed, progress=lambda done: bar.advance(row, done), air=air)
    report = {"random_headers": parsed, "soak": soaked}
    if json_file is not None:
        write_json(report, json_file)
    else:
        show([parsed], "random headers with a valid CRC")
        show([{"what": name, "value": value} for name, value in soaked.items()], "soak")


@click.command()
@click.option("--sections", type=Names(), help="What to measure, separated by commas. [default: all]")
@click.option("--packets", type=click.IntRange(64), help="Packets per fault and mode. [default: 20000; quick: 192]")
@click.option("--bursts", type=click.IntRange(2), help="Bursts per row elsewhere. [default: 200; quick: 8]")
@click.option("--draws", type=click.IntRange(1), help="Channels per distance of echoes. [default: 1000; quick: 20]")
@click.option("--noise-samples", type=click.IntRange(1), help="Samples of noise. [default: 100000000; quick: 1000000]")
@click.option("--esn0-db", type=Numbers(), help="Es/N0 of faults. [default: 8,12,15,20,30; quick: 20]")
@click.option(
    "--modes",
    type=Names(MODES),
    default="list,context",
    show_default=True,
    help="Modes of the receiver, separated by commas.",
)
@data_option
@model_option
@click.option(
    "--baseline", type=click.File("r"), help="Report of another receiver, whose figures are shown beside each row."
)
@click.option("--quick", is_flag=True, help="A run of a minute or two.")
@jobs_option(1)
@device_option
@seed_option
@json_option("Write the figures as JSON")
def air(
    sections: list[str] | None, packets: int | None, bursts: int | None, draws: int | None, noise_samples: int | None,
    esn0_db: list[float] | None, modes: list[str], data: Path | None, model: str, baseline: TextIO | None, quick: bool,
    jobs: int, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure the receiver under independently implemented impairments, against a genie (an hour or two).

    After Ctrl-C or any other interruption, the same command resumes.
    """
    from tokcom.channel.awgn import noise_variance
    from tokcom_lab.air import report as air_report
    from tokcom_lab.air.section import Settings

    names = sections or list(air_report.SECTIONS)
    for value in esn0_db or ():
        noise_variance(value)
    try:
        before = None if baseline is None else json.load(baseline)
    except ValueError as error:
        raise click.BadParameter(f"{baseline.name} is not a report: {error}", param_hint="--baseline") from None
    given = {"packets": packets, "bursts": bursts, "draws": draws, "noise_samples": noise_samples,
             "esn0_db": esn0_db and tuple(esn0_db)}  # fmt: skip
    settings = replace(
        air_report.QUICK if quick else Settings(), modes=tuple(modes), model=model, device=device, data=data,
        seed=seed,         **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    total = {name: 0 for name in names}
    for piece in air_report.pieces(settings, names):
        total[piece.section] += piece.draws
    with progress_bar() as bar:
        bars = {name: bar.add_task(name, total=draws) for name, draws in total.items()}
        rows = air_report.run(
            settings, names, air_report.Store(settings), jobs, lambda name, done: bar.advance(bars[name], done)
        )
    if before is not None:
        rows = air_report.beside(rows, before, settings)
    report = air_report.report(rows, settings, recorded_command())
    if json_file is not None:
        write_json(report, json_file)
        return
    for name, own in rows.items():
        for title, part in air_report.tables(name, own):
            show(part, title)
    if "pooled" in report:
        show(report["pooled"], "packets accepted although wrong, over all Es/N0")
