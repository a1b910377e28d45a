"""`tokcom train`: train a part of a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Aside, seed_option
from tokcom.cli.output import console
from tokcom_lab.cli.options import models_option

if TYPE_CHECKING:
    from tokcom_lab.training.private import Privacy
    from tokcom_lab.training.runs import PhotographSettings, VideoSettings


@click.command()
@click.argument(
    "part",
    type=click.Choice(
        ["tokenizer", "maskgit", "decoder", "classifier", "following", "conditions", "concealing", "thinned", "sounds"]
    ),
)
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder, tar or zip of train/CLASS/* and test/CLASS/*; may be repeated.",
)
@click.option("--model", required=True, help="Model of which a part is trained.")
@models_option
@click.option(
    "--work",
    cls=Aside,
    default=".cache/training",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Checkpoints.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Total number of steps. [default: 7000, 6000, 2200, 4000, 1000, 200, 2000, 600 and 400; none for photographs]",
)
@click.option("--minutes", type=float, help="Total number of minutes, instead of steps; schedules follow the clock.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="Pictures per step. [default: 32; classifier 64; following, conditions, thinned 16; photographs 96, 256 on a "
    "GPU, else 8, 32]",
)
@seed_option
@click.option("--small", is_flag=True, help="Thumbnails: a maskgit small enough for a device, beside the model's own.")
@click.option(
    "--visits",
    type=click.IntRange(0),
    help="Search passes per picture, without --size. [default: the card's; videos 4; concealing, thinned at most 8]",
)
@click.option("--warm-start", is_flag=True, help="Start from the weights in the model's folder.")
@click.option("--private", is_flag=True, help="Thumbnails: a maskgit that tells little of any picture (DP-SGD).")
@click.option("--epsilon", type=float, help="Private: bound on the privacy loss. [default: 8]")
@click.option("--delta", type=float, help="Private: probability with which it may be exceeded. [default: 1e-5]")
@click.option("--clip", type=float, help="Private: norm to which pictures' gradients are clipped. [default: 1]")
@click.option(
    "--size", type=click.IntRange(8), help="Side in pixels, for a model for photographs. [default: 64, thumbnails]"
)
@click.option("--grid", type=click.IntRange(2), help="Photographs: side of the grid in tokens. [default: 16]")
@click.option("--words", type=click.IntRange(2, 1 << 18), help="Photographs: size of the codebook. [default: 1024]")
@click.option("--device", help="Photographs: auto, cpu, cuda or cuda:N. [default: auto]")
@click.option("--perceptual", type=float, help="Photographs: weight of the features' distance. [default: 12]")
@click.option("--semantic", type=float, help="Photographs: weight of the pooled features' distance. [default: 2]")
@click.option("--sharpness", type=float, help="Photographs: target sharpness; 0 for no critic. [default: 1.1]")
@click.option("--views", type=click.IntRange(1), help="Views per photograph, for maskgit. [default: 4]")
@click.option(
    "--sentences",
    type=click.Path(path_type=Path),
    help='Photographs, conditions, sounds: JSON of {"class": ["a sentence", …]}.',
)
@click.option(
    "--photographs",
    "still",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Following: folder or archive of photographs that are moved about; may be repeated.",
)
@click.option("--compile", "compiled", is_flag=True, help="Photographs: compile the tokenizer; pays off on a GPU.")
def train(
    part: str,
    data: tuple[Path, ...],
    model: str,
    models: Path,
    work: Path,
    steps: int | None,
    minutes: float | None,
    batch: int | None,
    seed: int,
    small: bool,
    visits: int | None,
    warm_start: bool,
    private: bool,
    epsilon: float | None,
    delta: float | None,
    clip: float | None,
    still: tuple[Path, ...],
    **photographs: int | float | str | Path | None,
) -> None:
    """Train a part of a model: its tokenizer first, then maskgit (over the tokenizer's tokens) and the classifier.

    With both, the decoder continues on tokens that maskgit helps to choose, and maskgit on those (--warm-start).

    Part following predicts the frames of videos, --data, folders of frames in order, from those before them.

    Part conditions maps sentences to what a maskgit that learnt labels is told; of each class's --sentences the last is
    kept to measure with. Part sounds encodes sounds, --data with CLASS/FOLD-NAME.ogg, to the points of such sentences.

    Part concealing decodes pictures some of whose tokens were lost; tokenizer and maskgit stay as they are.

    Part thinned decodes pictures of which a ranking chose the tokens that are sent, so that what they show is
    recognised, by the features of EfficientNet-Lite2. It starts from concealing.

    With --private, the card tells the epsilon of maskgit's training; the tokenizer's pictures are not protected.

    With --size, tokenizer and maskgit are those of a model for photographs, trained on a GPU if there is one.

    Stopped by Ctrl-C or otherwise, the same command continues where it was.
    """
    from tokcom_lab.training.loop import Budget
    from tokcom_lab.training.runs import PHOTOGRAPH_TRAINERS, TRAINERS, TrainingRequest

    asked = {name: photographs[name] for name in PHOTOGRAPH_OPTIONS}
    given = {name: value for name, value in asked.items() if value is not None and value is not False}
    sentences = given.pop("sentences", None) if part in ("conditions", "sounds") else None
    settings = _photograph_settings(part, given) if "size" in given else None
    if small and (part != "maskgit" or settings is not None):
        raise click.UsageError("--small goes with maskgit, without --size")
    if visits is not None and (part not in ("maskgit", "following", "concealing", "thinned") or settings is not None):
        raise click.UsageError("--visits goes with maskgit, without --size, and with following, concealing and thinned")
    privacy = _privacy(private, {"epsilon": epsilon, "delta": delta, "clip": clip})
    if private and (part != "maskgit" or settings is not None or warm_start or minutes):
        raise click.UsageError("--private goes with maskgit, without --size, --warm-start and --minutes")
    if settings is None:
        if given:
            raise click.UsageError(f"--{next(iter(given)).replace('compiled', 'compile')} goes with --size")
        default_steps, default_batch = {
            "tokenizer": (7000, 32), "maskgit": (6000, 32), "decoder": (2200, 32), "classifier": (4000, 64),
            "following": (1000, 16), "conditions": (200, 16), "concealing": (2000, 32), "thinned": (600, 16),
            "sounds": (400, 32),
        }[part]  # fmt: skip
        steps = steps or (None if minutes else default_steps)
    else:
        on_gpu, on_processors = (256, 32) if part == "maskgit" else (96, 8)
        default_batch = on_gpu if settings.device.type == "cuda" else on_processors
    Budget(steps, minutes)
    batch = batch or default_batch
    command = recorded_command(steps=None if minutes else steps, batch=batch)
    videos = _video_settings(part, still)
    request = TrainingRequest(
        data, models, model, work, steps, batch, seed, warm_start, command, minutes, settings, small, visits, videos,
        sentences, privacy,
    )  # fmt: skip
    try:
        (TRAINERS if settings is None else PHOTOGRAPH_TRAINERS)[part](request, console)
    except KeyboardInterrupt:  # the trainer has reported the stop and how to continue
        sys.exit(130)


def _privacy(private: bool, given: dict[str, float | None]) -> "Privacy | None":
    """Check the options of a private training and convert them to its demands."""
    from tokcom_lab.training.private import Privacy

    given = {name: value for name, value in given.items() if value is not None}
    if given and not private:
        raise click.UsageError(f"--{next(iter(given))} goes with --private")
    return Privacy(**given) if private else None


def _video_settings(part: str, photographs: tuple[Path, ...]) -> "VideoSettings":
    """Check the options for a prior of videos and convert them to settings."""
    from tokcom_lab.training.runs import VideoSettings

    if part != "following" and photographs:
        raise click.UsageError(f"--photographs goes with following, not with {part}")
    return VideoSettings(photographs)


PHOTOGRAPH_OPTIONS = (
    "size", "grid", "words", "device", "perceptual", "semantic", "sharpness", "views", "sentences", "compiled",
)  # fmt: skip
"""Options of `train` for models for photographs."""


def _photograph_settings(part: str, given: dict) -> "PhotographSettings":
    """Check the options for a model for photographs and convert them to settings."""
    from tokcom.device import find_device
    from tokcom.tokenizers.pyramid_network import PyramidConfig
    from tokcom_lab.training.runs import PHOTOGRAPH_TRAINERS, PhotographSettings

    if part not in PHOTOGRAPH_TRAINERS:
        raise click.UsageError(f"--size goes with {' and '.join(PHOTOGRAPH_TRAINERS)}; the {part} has no such trainer")
    own = dict(given)
    size, grid, words = own.pop("size"), own.pop("grid", 16), own.pop("words", 1024)
    for name in ("perceptual", "semantic", "sharpness"):
        if not 0 <= own.get(name, 0) < 1e6:
            raise click.BadParameter(f"{own[name]:g}; it must be 0 or more", param_hint=f"--{name}")
    try:
        config = PyramidConfig.of_grid(size, grid, words)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return PhotographSettings(config, find_device(own.pop("device", "auto")), **own)
