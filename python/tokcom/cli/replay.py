"""`tokcom replay`: decode the bursts of a recording."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tokcom.cli.options import device_option, json_option
from tokcom.cli.output import console, progress_bar, show
from tokcom.link.modes import DEFAULT_MODE, MODES
from tokcom.models.folders import DEFAULT_MODEL


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--model", "models", default=DEFAULT_MODEL, show_default=True,
    help="Models whose codebooks are known, separated by commas.",
)  # fmt: skip
@device_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the pictures, as PNG.")
@click.option(
    "--mode",
    type=click.Choice(["none", *MODES]),
    default=DEFAULT_MODE,
    show_default=True,
    help="Mode of recovery of the pictures' lost tokens; none leaves them grey.",
)
@click.option(
    "--keys", default="",
    help="Files of the keys that bursts may be encrypted with, between commas; 'clear' among them: bursts without a "
    "key are taken, too.",
)  # fmt: skip
@json_option("Write bursts and tokens as JSON")
def replay(
    recording: Path, models: str, device: str, out: Path | None, mode: str, keys: str,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Decode the bursts of a SigMF recording.

    After Ctrl-C, it shows the bursts found so far. In JSON, a lost token is -1.
    """
    from tokcom.link.modes import shown_by
    from tokcom.link.receiver import Receiver
    from tokcom.models.by_codebook import load_recoveries
    from tokcom.models.codebooks import codebooks
    from tokcom.recording.pictures import PictureFolder
    from tokcom.recording.reader import open_recording
    from tokcom.recording.replay import burst_row, replay
    from tokcom.security.keyring import Keyring

    recovery = None if out is None or mode == "none" else load_recoveries(models, mode, device)
    file, receiver = open_recording(recording), Receiver(codebooks(models), recovery, keys=Keyring.of_files(keys))
    pictures = None if out is None else PictureFolder(out, models, device)
    name, rows, refused, stopped = file.path.stem, [], [], False
    try:
        with progress_bar() as bar:
            task = bar.add_task(name, total=file.length)
            for burst in replay(
                file, receiver, progress=lambda done: bar.advance(task, done),
                refused=lambda position, error: refused.append(f"burst at sample {position}: {error}"),
            ):  # fmt: skip
                row, whole, confidence = burst_row(burst, file.sample_rate), burst.frame, None
                if burst.recovered is not None:
                    whole, confidence = burst.recovered.frame, shown_by(mode, burst.recovered.confidence)
                if pictures is not None:
                    row["picture"] = pictures.save(whole, len(rows), confidence=confidence)
                rows.append(row)
                bar.update(task, description=f"{name}, {len(rows)} bursts")
    except KeyboardInterrupt:
        stopped = True
    if json_file:
        show(rows, name, json_file)
    elif rows:
        show_bursts(rows, f"{name}, {file.seconds:.6g} s at {file.sample_rate:g} Hz")
    for line in [*refused, str(receiver.searcher.counters)]:
        console.print(line, highlight=False, soft_wrap=True)
    if stopped:
        sys.exit(130)


def show_bursts(rows: Iterable[dict], title: str) -> None:
    """Print rows of `recording.replay.burst_row` as a table on standard output."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("time s", "frame", "stream", "profile", "Es/N0 dB", "CFO Hz", "EVM dB", "lost", "codebook"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        figures = (f"{row['esn0_db']:.1f}", f"{row['cfo_hz']:.0f}", f"{row['evm_db']:.1f}")
        table.add_row(
            f"{row['seconds']:.6f}", str(row["frame"]), str(row["stream"]), row["profile"], *figures,
            f"{row['packets_lost']}/{row['packets']}", row["codebook"],
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 100).print(table)
