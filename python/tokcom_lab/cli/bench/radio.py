"""`tokcom bench coding`, `phy`, `flowgraph`, `window`: measurements of the blocks, which need GNU Radio."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import click

from tokcom.cli.options import Numbers, WholeNumbers, json_option, seed_option
from tokcom.cli.output import console, progress_bar, show, write_json
from tokcom.errors import TokcomError


@contextmanager
def gnu_radio_apart() -> Iterator[None]:
    """Redirect GNU Radio's log from standard output, which is for the figures, to standard error."""
    kept = os.dup(1)
    _flush()
    os.dup2(2, 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)


@click.command()
@click.option("--packets", default=8192, show_default=True, type=click.IntRange(64), help="Packets per round.")
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(1), help="Rounds, of which the median is taken."
)
@click.option("--esn0-db", default=7.0, show_default=True)
@seed_option
@json_option("Write the figures as JSON")
def coding(packets: int, rounds: int, esn0_db: float, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Compare the Viterbi decoder, K=7, rate 1/2, with gr-fec's."""
    from tokcom_lab.radio.coding import PAYLOAD_BITS, decoder_rates

    with gnu_radio_apart():
        rows = decoder_rates(packets, rounds, esn0_db, seed)
    title = f"K=7, {PAYLOAD_BITS} bits per packet, {packets} packets, Es/N0 {esn0_db:g} dB, median of {rounds}"
    if json_file is not None:
        write_json({"title": title, "rows": rows}, json_file)
    else:
        show(rows, title)


@click.command()
@click.option("--bursts", default=4000, show_default=True, type=click.IntRange(1), help="Bursts per header point.")
@click.option(
    "--loss-bursts", default=150, show_default=True, type=click.IntRange(1), help="64-packet bursts per point."
)
@click.option("--noise-samples", default=1e8, show_default=True, help="Samples searched for false alarms.")
@click.option("--rate-bursts", default=3000, show_default=True, type=click.IntRange(100), help="Bursts for the speeds.")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds, of which the median speed is taken."
)
@seed_option
@json_option("Write the figures as JSON")
def phy(
    bursts: int, loss_bursts: int, noise_samples: float, rate_bursts: int, rounds: int, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Compare the waveform with ideal synchronisation and GNU Radio's ofdm_tx and ofdm_rx (10 to 15 minutes)."""
    from tokcom_lab.radio.waveform_report import CFO, waveform_report

    if not 1 <= noise_samples <= 1e12:
        raise TokcomError(f"noise_samples is {noise_samples}; it must be 1 to 1e12")

    with gnu_radio_apart(), progress_bar() as bar:

        def stage(name: str, total: int) -> Callable[[int], None]:
            row = bar.add_task(name, total=total)
            return lambda done: bar.advance(row, done)

        report = waveform_report(bursts, loss_bursts, int(noise_samples), rate_bursts, rounds, seed, stage)
    if json_file is not None:
        write_json(report, json_file)
        return
    show(report["header"], f"headers, offset {CFO} rad/sample, {bursts} bursts per point")
    show(report["rival_header"], "headers of GNU Radio's ofdm_tx and ofdm_rx (BPSK, no code)")
    show([{"in": name, "found": found} for name, found in report["false_alarms"].items()], "false alarms")
    needed, lost = report["per10_esn0_db"], report["sync_loss_db"]
    show([{"mcs": mcs, "dB": needed[mcs], "loss dB": lost[mcs]} for mcs in needed], "Es/N0 for PER 10%")
    show(report["clock_loss_db"], "clocks 20 ppm apart, bursts of 64 packets")
    show([{"what": name, "MS/s": rate} for name, rate in report["rate_msps"].items()], "speed")


@click.command()
@click.option(
    "--sample-rate",
    type=Numbers(),
    default="250e3,1e6",
    show_default=True,
    help="Sample rates in Hz, separated by commas.",
)
@click.option("--seconds", default=60.0, show_default=True, help="Duration at each rate.")
@click.option("--esn0-db", default=6.0, show_default=True)
@click.option("--window", default=4, show_default=True, type=click.IntRange(1), help="Pictures under way.")
@click.option(
    "--visits", type=WholeNumbers(highest=64), default="0,4", show_default=True, help="Search passes per picture."
)
@seed_option
@json_option("Write the figures as JSON")
def flowgraph(
    sample_rate: list[float], seconds: float, esn0_db: float, window: int, visits: list[int], seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure the whole loopback in real time: pictures per second, latency, processors, memory, drops (4 minutes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom_lab.radio.flowgraph import loopback

    noise_variance(esn0_db)
    if not 1 <= seconds <= 1e7:
        raise click.BadParameter(f"{seconds:g} s; it must be 1 to 1e7", param_hint="--seconds")
    for rate in sample_rate:
        if not 1e4 <= rate <= 1e9:
            raise click.BadParameter(f"{rate:g} Hz; it must be 1e4 to 1e9", param_hint="--sample-rate")
    rows = []
    with gnu_radio_apart(), console.status("") as status:
        for passes, rate in product(visits, sample_rate):
            status.update(f"{rate:g} samples per second, {passes} search passes, {seconds:g} s")
            rows.append(loopback(rate, seconds, esn0_db, window, passes, seed))
    if json_file is not None:
        write_json(rows, json_file)
        return
    flat = [row | {f"latency {key} (ms)": value for key, value in row.pop("latency_ms").items()} for row in rows]
    show(flat, f"loopback, 16-QAM 1/2, Es/N0 {esn0_db:g} dB, {window} pictures under way, {seconds:g} s")


@click.command()
@click.option("--frames", default=60, show_default=True, type=click.IntRange(1), help="Frames per round.")
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(1), help="Rounds, of which the median is taken."
)
@seed_option
@json_option("Write the figures as JSON")
def window(frames: int, rounds: int, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Measure the processor time of Image View's window per frame, painting included."""
    from tokcom_lab.radio.window import frame_ms

    with gnu_radio_apart():
        report = frame_ms(frames, rounds, seed)
    if json_file is not None:
        write_json(report, json_file)
    else:
        show([report], f"Image View, median of {rounds} rounds")
