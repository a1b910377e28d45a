"""`tokcom bench context`, `accept`, `vocabulary`: decoding jointly with a context model."""

from dataclasses import asdict
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import (
    Names,
    Numbers,
    WholeNumbers,
    device_option,
    drawing_option,
    json_option,
    model_option,
    seed_option,
)
from tokcom.cli.output import progress_bar, show, write_json
from tokcom.link.modes import MODES
from tokcom.tables import load_table
from tokcom_lab.cli.bench.material import photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option


@click.command()
@data_option
@images_option(200)
@click.option("--esn0-db", type=Numbers(), default="1,1.5,2,2.5,3,3.5,4,4.5,5,6,7,8", show_default=True)
@click.option(
    "--modes",
    type=Names(MODES),
    default=",".join(MODES),
    show_default=True,
    help="Modes of the receiver, separated by commas.",
)
@click.option("--cmi", type=click.Choice(["yes", "no", "both"]), default="both", show_default=True, help="Send labels?")
@model_option
@click.option(
    "--channel",
    type=click.Choice(list(load_table("tokcom.channel", "profiles"))),
    help="Bursts through multipath (none: noise alone), to be found and equalised. [default: symbols in known noise]",
)
@drawing_option("--svg", "Draw PER and TER to this file.")
@drawing_option("--pictures", "Draw photographs at 3, 4, 6 dB to this file.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def context(
    data: Path | None, images: int, esn0_db: list[float], modes: list[str], cmi: str, model: str, channel: str | None,
    svg: Path | None, pictures: Path | None, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure the error rates of the receiver's four modes on photographs, K=7, rate 1/2, 16-QAM, AWGN (10 to 15
    minutes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
    from tokcom_lab.curves import context_curve
    from tokcom_lab.curves.context_plot import draw_context_curve, draw_received

    for value in esn0_db:
        noise_variance(value)
    told = {"yes": (True,), "no": (False,), "both": (True, False)}[cmi]
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    count = len(photographs.pictures)
    tokenizer = load_tokenizer(model, 0, device)
    bench = context_curve.Bench(photographs, model, tokenizer, seed=seed, channel=channel, device=device)
    with progress_bar() as bar:
        row = bar.add_task("model", total=count)
        figures = context_curve.model_figures(
            bench, load_context(model, device), load_classifier(model, device), seed,
            lambda done: bar.advance(row, done),
        )  # fmt: skip
        row = bar.add_task("frames", total=count * len(esn0_db) * len(modes) * len(told))
        curve = list(context_curve.context_curve(bench, esn0_db, modes, told, lambda done: bar.advance(row, done)))
    threshold = {
        mode: context_curve.esn0_at_per([p for p in curve if p.mode == mode and p.cmi == told[0]]) for mode in modes
    }
    report = {
        "command": recorded_command(), "photographs": photographs.source, "images": count, "mcs": context_curve.MCS,
        "seed": seed, "channel": "symbols in known noise" if channel is None else channel,
        "curve": [asdict(point) for point in curve],
        "esn0_db_at_per_10": {mode: None if value is None else round(value, 3) for mode, value in threshold.items()},
        "model": figures,
    }  # fmt: skip
    if svg is not None:
        draw_context_curve(curve, svg)
    if pictures is not None:
        draw_received(bench, (3, 4, 6), pictures)
    if json_file is not None:
        write_json(report, json_file)
        return
    show(report["curve"], f"{photographs.source}, {count} photographs, 16-QAM, rate 1/2, AWGN")
    show([{"mode": mode, "Es/N0 dB for PER 10%": value} for mode, value in threshold.items()], "thresholds")
    show([figures], f"model {model}")


@click.command()
@data_option
@images_option(500)
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@click.option("--mode", type=click.Choice(["list", "context"]), default="list", show_default=True)
@click.option("--esn0-db", type=Numbers(), default="4,4.25,4.5", show_default=True)
@click.option("--draws", default=1, show_default=True, type=click.IntRange(1), help="Times that each is sent.")
@click.option("--accept", type=Numbers(), default="0.99,0.995,0.998,0.9985,0.999,0.9995", show_default=True)
@model_option
@device_option
@seed_option
@json_option("Write the figures as JSON")
def accept(
    data: Path | None, images: int, split: str, mode: str, esn0_db: list[float], draws: int, accept: list[float],
    model: str, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure lost against wrong packets, over the posterior from which packets are accepted."""
    from tokcom.context.acceptance import Acceptance
    from tokcom.models.fits import load_acceptance
    from tokcom.models.recovery import load_recovery
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves import context_curve
    from tokcom_lab.curves.calibration import threshold_curve

    photographs = with_tokens(photographs_of(data, images, model, seed, split), model)
    bench = context_curve.Bench(photographs, model, load_tokenizer(model, 0, device), seed=seed)
    acceptance = load_acceptance(model) if mode == "context" else Acceptance()
    with progress_bar() as bar:
        row = bar.add_task("frames", total=len(bench.frames) * len(esn0_db) * draws)
        points = threshold_curve(
            bench,
            load_recovery(model, mode, device),
            acceptance,
            esn0_db,
            accept,
            lambda done: bar.advance(row, done),
            draws,
        )
    crossings = [
        {"accept": value, "esn0_db_at_per_10": context_curve.esn0_at_per([p for p in points if p.accept == value])}
        for value in accept
    ]
    report = {
        "command": recorded_command(), "photographs": photographs.source, "images": len(bench.frames), "draws": draws,
        "mode": mode,
        "mcs": context_curve.MCS, "seed": seed, "points": [asdict(point) for point in points], "crossings": crossings,
    }  # fmt: skip
    if json_file is not None:
        write_json(report, json_file)
        return
    show(report["points"], f"mode {mode}, {photographs.source}, {len(bench.frames)} photographs")
    show(crossings, "thresholds")


@click.command()
@click.option("--words", default=151_936, show_default=True, type=click.IntRange(64, 1 << 18), help="Of the codebook.")
@click.option("--zipf", default=1.2, show_default=True, type=click.FloatRange(0.1, 10), help="Exponent of Zipf's law.")
@click.option("--named", type=WholeNumbers(1, 1 << 17), default="256,1024", show_default=True, help="By the prior.")
@click.option("--esn0-db", type=Numbers(), default="1.25,1.5,1.75", show_default=True)
@click.option("--packets", default=1000, show_default=True, type=click.IntRange(1), help="At each point.")
@seed_option
@json_option("Write the figures as JSON")
def vocabulary(
    words: int, zipf: float, named: list[int], esn0_db: list[float], packets: int, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """List decoding of tokens of a large codebook, by how many words the prior names (10 minutes)."""
    from tokcom_lab.curves.vocabulary import loss_db, vocabulary_points

    with progress_bar() as bar:
        row = bar.add_task("packets", total=packets * len(esn0_db))
        points = list(
            vocabulary_points(words, zipf, named, esn0_db, packets, seed, lambda done: bar.advance(row, done))
        )
    rows, losses = [asdict(point) for point in points], loss_db(points)
    if json_file is not None:
        write_json({"command": recorded_command(), "seed": seed, "points": rows, "loss_db": losses}, json_file)
        return
    show(rows, f"{words} words, Zipf's law with exponent {zipf:g}, four tokens per packet, {packets} packets per point")
    show([{"prior": name, "dB lost to all words": value} for name, value in losses.items()], "losses")
