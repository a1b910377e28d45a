"""`tokcom speech`: recordings of speech, and training of models of speech."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Aside, seed_option
from tokcom.cli.output import console
from tokcom_lab.cli.options import models_option

DATA = ".cache/speech/data"


@click.group()
def speech() -> None:
    """Speech as tokens: recordings and training (see docs/speech.md)."""


@speech.command()
@click.option("--to", "folder", default=DATA, show_default=True, type=click.Path(path_type=Path), help="Destination.")
@click.option(
    "--digits",
    type=click.Path(path_type=Path, exists=True),
    help="A checkout of the Free Spoken Digit Dataset.",
)
@click.option(
    "--emotions",
    type=click.Path(path_type=Path, exists=True),
    help="The Berlin database of emotional speech: the folder that holds `wav`.",
)
def data(folder: Path, digits: Path | None, emotions: Path | None) -> None:
    """Gather free speech from Debian's packages and data sets: 8 kHz, split by speaker (an interrupted run resumes)."""
    from tokcom_lab.speech.recordings import gather

    hours = gather(folder, digits=digits, emotions=emotions, advance=lambda done: console.print(f"{done}: done"))
    console.print(f"{folder}: {hours['train']:.2f} h to train on, {hours['test']:.2f} h to measure")


@speech.command()
@click.argument("part", type=click.Choice(["tokenizer", "context"]))
@click.option("--data", "folder", default=DATA, show_default=True, type=click.Path(path_type=Path), help="Recordings.")
@click.option("--model", default="speech8k", show_default=True, help="Model of which a part is trained.")
@models_option
@click.option("--work", cls=Aside, default=".cache/training", show_default=True, type=click.Path(path_type=Path))
@click.option("--minutes", default=120.0, show_default=True, type=float, help="Total, earlier calls included.")
@click.option("--batch", type=click.IntRange(1), help="Segments per step. [default: 10 and 16]")
@click.option("--warm-start", is_flag=True, help="Start from the weights in the model's folder.")
@seed_option
def train(
    part: str, folder: Path, model: str, models: Path, work: Path, minutes: float, batch: int | None,
    warm_start: bool, seed: int,
) -> None:  # fmt: skip
    """Train a part of a model of speech: its tokenizer first, then the context over its tokens."""
    from tokcom_lab.speech.runs import TRAINERS, SpeechRequest

    size = batch or (10 if part == "tokenizer" else 16)
    request = SpeechRequest(folder, models / model, work, minutes, size, seed, recorded_command(), warm_start)
    TRAINERS[part](request, console)
