"""`tokcom bench todma`: several transmitters at once, told apart by channel and context."""

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
from tokcom_lab.cli.bench.material import photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option


@click.command()
@data_option
@images_option(60)
@click.option("--scenes", default=100, show_default=True, type=click.IntRange(1), help="Pairs, or more, of them.")
@click.option("--users", type=WholeNumbers(1, 4), default="2", show_default=True, help="Transmitters at a time.")
@click.option("--lengths", type=WholeNumbers(2, 64), default="12", show_default=True, help="Carriers per slot.")
@click.option("--esn0-db", type=Numbers(), default="3", show_default=True, help="Per transmitter.")
@click.option(
    "--cases",
    type=Names(),
    default="usual",
    show_default=True,
    help="usual, fading, flat, alike, alike-rotated, near-far, timing, cfo, same-class, same-class-alike.",
)
@click.option(
    "--receivers",
    type=Names(),
    default="todma,pair",
    show_default=True,
    help="todma, pair, omp, omp fill, amp, sic, spread, genie; tdma viterbi or tdma context, and an MCS.",
)
@model_option
@drawing_option("--pictures", "Show pairs as sent, superposed and separated here.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def todma(
    data: Path | None, images: int, scenes: int, users: list[int], lengths: list[int], esn0_db: list[float],
    cases: list[str], receivers: list[str], model: str, pictures: Path | None, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Token errors of several transmitters that send at once, beside TDMA, NOMA and others (seconds per scene)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.errors import ParameterError
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.multiple_access.picture import draw_scenes
    from tokcom_lab.multiple_access.receivers import require_receiver
    from tokcom_lab.multiple_access.report import CASES, TodmaBench

    for value in esn0_db:
        noise_variance(value)
    for receiver in receivers:
        require_receiver(receiver)
    for case in cases:
        if case not in CASES:
            raise ParameterError(f"case is {case!r}; it must be one of {', '.join(CASES)}")
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    bench = TodmaBench(photographs, model, load_tokenizer(model, device=device), seed, device)
    with progress_bar() as bar:
        total = scenes * len(users) * len(lengths) * len(esn0_db) * len(cases) * len(receivers)
        row = bar.add_task("scenes", total=total)
        points = [
            asdict(point)
            for point in bench.curve(
                cases, users, lengths, esn0_db, receivers, scenes, lambda done: bar.advance(row, done)
            )
        ]
    if pictures is not None:
        draw_scenes(bench, lengths[0], esn0_db[0], pictures)
    report = {
        "command": recorded_command(), "photographs": photographs.source, "images": len(photographs.pictures),
        "seed": seed, "points": points,
    }  # fmt: skip
    if json_file is not None:
        write_json(report, json_file)
        return
    show(points, f"{photographs.source}, {len(photographs.pictures)} photographs")
