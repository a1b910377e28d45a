"""`tokcom link`: error rates of the coded link."""

import time
from dataclasses import asdict

import click

from tokcom.cli.options import Numbers, json_option, seed_option
from tokcom.cli.output import console, progress_bar, show


@click.command()
@click.option("--code", default="k7", show_default=True, help="Channel code: k7, the paper's k3, k5 or k9.")
@click.option("--modulation", default="16qam", show_default=True, help="bpsk, qpsk, 16qam, 64qam or 256qam.")
@click.option(
    "--esn0-db", type=Numbers(), default="6,6.5,7", show_default=True, help="Points in dB, separated by commas."
)
@click.option("--packets", default=20000, show_default=True, help="Packets per point.")
@click.option("--llr", type=click.Choice(["exact", "maxlog"]), help="[default: maxlog; exact for k3]")
@click.option("--tokens-per-packet", default=4, show_default=True)
@click.option(
    "--codebook-size",
    default=1024,
    show_default=True,
    type=click.IntRange(2, 1 << 18),
    help="Words in the tokens' codebook.",
)
@seed_option
@json_option("Write the figures as JSON to a file")
def link(
    code: str, modulation: str, esn0_db: list[float], packets: int, llr: str | None,
    tokens_per_packet: int, codebook_size: int, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure error rates of the coded link over AWGN, without source or context."""
    from tokcom.link.packet_link import LinkConfig
    from tokcom_lab.curves.link_curve import link_curve

    config = LinkConfig(code, modulation, tokens_per_packet, llr or "")
    with progress_bar() as bar:
        row = bar.add_task(f"{code} {modulation}", total=packets * len(esn0_db))
        started = time.perf_counter()
        points = [
            asdict(point)
            for point in link_curve(
                config, esn0_db, packets, codebook_size=codebook_size, seed=seed,
                progress=lambda done: bar.advance(row, done),
            )
        ]  # fmt: skip
        taken = time.perf_counter() - started
    console.print(f"{packets * len(esn0_db) / taken:,.0f} packets per second, noise and compilation included")
    show(points, f"{code}, {modulation}, {packets} packets per point", json_file)
