"""`tokcom bench network`: token networking beside full ARQ, fountain codes and TCP."""

from importlib.util import find_spec
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, device_option, json_option, model_option, seed_option
from tokcom.cli.output import console, progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of
from tokcom_lab.cli.options import data_option, images_option

PARTS = ("loss", "arq", "unordered", "overload", "goodput", "latency")
LOSSES, OVERHEADS, ALPHAS, WINDOWS, FACTOR = (0.0, 0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (0.1, 0.05), (4, 8), 1.5
CHANNELS = ("independent 20%", "bursty 20%", "bursty 40%", "EPA")
INDEXED = (0, 8, 16)
"""Packets of a frame that keep their index where the order of all others is lost."""
PLACED = 20
"""Photographs whose packets are put in place by the model alone: each takes two dozen passes of it, and more."""
SECTIONS, LOST_BEFORE = (1, 4, 8), 0.1
"""Packets of a frame in a datagram; share of packets lost before the sender."""
NETWORKS = ((0.0, 1.0), (0.1, 1.0), (0.1, 3.0), (0.2, 1.0), (0.2, 3.0), (0.2, 8.0))
"""Shares of datagrams lost, and the mean length of their bursts."""


@click.command()
@data_option
@images_option(200)
@click.option("--parts", type=Names(PARTS), default=",".join(PARTS), show_default=True, help="What to measure.")
@click.option("--visits", default=0, show_default=True, type=click.IntRange(0), help="Of the search for better tokens.")
@click.option(
    "--packets", default=2_000_000, show_default=True, type=click.IntRange(1000), help="Packets sent for the goodput."
)
@click.option(
    "--channels", default=",".join(CHANNELS), show_default=True, type=Names(CHANNELS),
    help="Channels of the repeat requests.",
)  # fmt: skip
@model_option
@device_option
@seed_option
@json_option("Write the figures as JSON")
def network(
    data: Path | None, images: int, parts: list[str], visits: int, packets: int, channels: list[str], model: str,
    device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Losses, repeat requests, order, overload, goodput and latency of token packets over networks.

    Networks are simulated, but for the goodput, which is measured on loopback; nothing leaves this machine.
    """
    from tokcom.models.fits import load_repeat_risk
    from tokcom_lab.network.goodput import goodput
    from tokcom_lab.network.latency import latency_rows
    from tokcom_lab.network.loss import SCHEMES, fountain_rows, token_rows
    from tokcom_lab.network.material import Material
    from tokcom_lab.network.numbered import numbered_row
    from tokcom_lab.network.overload import overload_rows
    from tokcom_lab.network.placement import ordered_row, unordered_row
    from tokcom_lab.network.repeat_risk import arq_row, judged_frames

    report: dict = {"command": recorded_command()}
    material = None
    if set(parts) - {"goodput"}:
        photographs = photographs_of(data, images, model, seed)
        material = Material.of(photographs, model, visits, device)
        report |= {"photographs": photographs.source, "images": len(material.frames), "visits": visits, "seed": seed}
    with progress_bar() as bar:

        def row(name: str, total: float):
            task = bar.add_task(name, total=total)
            return lambda done: bar.advance(task, done)

        if "loss" in parts:
            has_fountain = find_spec("raptorq") is not None
            if not has_fountain:
                console.print("raptorq is not installed: its rows are left out (pip install raptorq)")
            codes = len(OVERHEADS) * has_fountain
            step = row("loss", len(LOSSES) * len(material.frames) * (len(SCHEMES) + 1 + codes))
            report["loss"] = []
            for loss in LOSSES:
                report["loss"] += token_rows(material, loss, seed, step)
                if has_fountain:
                    report["loss"] += fountain_rows(material, loss, OVERHEADS, seed, step)
        if "arq" in parts:
            step, risk = row("repeats", len(channels) * len(material.frames)), load_repeat_risk(model)
            report["arq"] = []
            for channel in channels:
                judged = judged_frames(material, channel, seed, step)
                report["arq"] += [arq_row(risk, judged, alpha, channel, seed) for alpha in ALPHAS]
        if "unordered" in parts:
            few = Material(material.photographs, material.frames[:PLACED], material.prior, material.tokenizer)
            networks = [(section, *path, 0.0) for section in SECTIONS for path in NETWORKS] + [
                (8, 0.1, 3.0, LOST_BEFORE)
            ]
            step = row("order, by numbers", len(networks) * (len(material.frames) - 1))
            report["numbered"] = [numbered_row(material, *each, seed, step) for each in networks]
            kept = [(section, loss) for section in (1, 8) for loss in (0.1, 0.2)]
            step = row("order, without numbers", len(kept) * len(few.frames))
            report["ordered"] = [ordered_row(few, section, loss, seed, step) for section, loss in kept]
            cases = [(window, 0) for window in WINDOWS] + [(material.packets, indexed) for indexed in INDEXED]
            step = row("order lost", len(cases) * len(few.frames))
            report["unordered"] = [unordered_row(few, window, indexed, seed, step) for window, indexed in cases]
        if "overload" in parts:
            step = row("overload", 6 * len(material.frames))
            report["overload"] = overload_rows(material, FACTOR, seed, step)
        if "latency" in parts:
            step = row("latency", 3 * len(material.frames))
            report["latency"] = latency_rows(material, load_repeat_risk(model), seed, step)
        if "goodput" in parts:
            report["goodput"] = goodput(packets, row("goodput", packets))
    if json_file is not None:
        write_json(report, json_file)
        return
    for part in [each for each in ("numbered", "ordered") if each in report] + parts:
        found = report[part]
        show(found if isinstance(found, list) else [found], part)
