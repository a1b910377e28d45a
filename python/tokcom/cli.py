"""The `tokcom` command."""

import json
import math
import shlex
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

import tokcom
from tokcom.errors import TokcomError
from tokcom.link.modes import DEFAULT_MODE, MODES

if TYPE_CHECKING:
    from tokcom_lab.training.runs import PhotographSettings

console = Console(stderr=True)
SEEDS = click.IntRange(0, 2**31 - 10_000)
"""What every random generator involved takes, with some room for seeds derived from it."""


class Numbers(click.ParamType):
    """A list of finite numbers between commas."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers like 6,6.5,7", param, context)
        for number in numbers:
            if not math.isfinite(number):
                self.fail(
                    f"{param.name if param else 'it'} is {number}; it must be a number, and finite", param, context
                )
        return numbers


class WholeNumbers(Numbers):
    """A list of whole numbers between commas, each in a range."""

    def __init__(self, lowest: int = 0, highest: int = 2**31 - 1):
        self.lowest, self.highest = lowest, highest

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        numbers = super().convert(value, param, context)
        for number in numbers:
            if number != int(number) or not self.lowest <= number <= self.highest:
                wanted = f"whole numbers from {self.lowest} to {self.highest}"
                self.fail(f"{number:g} does not count; it takes {wanted} between commas", param, context)
        return [int(number) for number in numbers]


class ErrorsAsMessages(click.Group):
    """A command group whose errors reach the user as one line: TokcomErrors, and what the disk refuses."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except TokcomError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            what = error.filename or "the results could not be written"
            raise click.ClickException(f"{what}: {error.strerror or error}") from error
        except KeyboardInterrupt:
            console.print("stopped")
            sys.exit(130)


def require_folder(
    context: click.Context, parameter: click.Parameter, file: click.utils.LazyFile | Path | None
) -> click.utils.LazyFile | Path | None:
    """Refuse a file that cannot be written now, not after the measurement; an old one stays until there are figures."""
    path = file if isinstance(file, Path) else Path(file.name) if isinstance(file, click.utils.LazyFile) else None
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent}")
    if path is not None and path.is_dir():
        raise click.BadParameter(f"{path} is a folder; name a file")
    return file


VERSION = click.version_option(tokcom.__version__, package_name="tokcom", message="gr-tokcom %(version)s")


@click.group(cls=ErrorsAsMessages, context_settings={"help_option_names": ["-h", "--help"]})
@VERSION
def main() -> None:
    """Token communications: pictures over the air as tokens, with losses filled in at the receiver."""


@main.command()
@click.option("--code", default="k7", show_default=True, help="Channel code: k7, the paper's k3, k5 or k9.")
@click.option("--modulation", default="16qam", show_default=True, help="bpsk, qpsk, 16qam, 64qam or 256qam.")
@click.option("--esn0-db", type=Numbers(), default="6,6.5,7", show_default=True, help="Points in dB, between commas.")
@click.option("--packets", default=20000, show_default=True, help="Packets at each point.")
@click.option("--llr", type=click.Choice(["exact", "maxlog"]), help="[default: maxlog; exact for k3]")
@click.option("--tokens-per-packet", default=4, show_default=True)
@click.option(
    "--codebook-size",
    default=1024,
    show_default=True,
    type=click.IntRange(2, 1 << 18),
    help="Words in the tokens' codebook.",
)
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option(
    "--json",
    "json_file",
    type=click.File("w"),
    callback=require_folder,
    help="Write the figures as JSON to a file; - for standard output.",
)
def link(
    code: str, modulation: str, esn0_db: list[float], packets: int, llr: str | None,
    tokens_per_packet: int, codebook_size: int, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Error rates of the coded link over AWGN, without source or context."""
    from tokcom.link.packets import LinkConfig
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
    console.print(f"{packets * len(esn0_db) / taken:,.0f} packets a second, noise and all, compilation included")
    show(points, f"{code}, {modulation}, {packets} packets a point", json_file)


@main.command()
@click.argument("part", type=click.Choice(["tokenizer", "maskgit", "decoder", "classifier"]))
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder, tar or zip of train/CLASS/* and test/CLASS/*; once or more.",
)
@click.option("--model", required=True, help="Model whose part is trained and written.")
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path), help="Folder of models."
)
@click.option(
    "--work", default=".cache/training", show_default=True, type=click.Path(path_type=Path), help="Checkpoints."
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Steps in all. [default: 7000, 6000, 2200 and 4000; of photographs none]",
)
@click.option("--minutes", type=float, help="Minutes in all, instead of steps; schedules follow the clock.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="Pictures a step. [default: 32, 64 for the classifier; of photographs 96 and 256 on a GPU, 8 and 32 without]",
)
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option("--warm-start", is_flag=True, help="Begin with the weights in the model's folder.")
@click.option(
    "--size", type=click.IntRange(8), help="Pixels to a side: a model for photographs. [default: 64, thumbnails]"
)
@click.option("--grid", type=click.IntRange(2), help="Of photographs: tokens to a side. [default: 16]")
@click.option("--words", type=click.IntRange(2, 1 << 18), help="Of photographs: size of the codebook. [default: 1024]")
@click.option("--device", help="Of photographs: auto, cpu, cuda or cuda:N. [default: auto]")
@click.option("--perceptual", type=float, help="Of photographs: weight of what features see. [default: 12]")
@click.option("--semantic", type=float, help="Of photographs: weight of what the whole shows. [default: 2]")
@click.option("--sharpness", type=float, help="Of photographs: that the critic sees to; 0: no critic. [default: 1.1]")
@click.option("--views", type=click.IntRange(1), help="Of each photograph, for maskgit. [default: 4]")
@click.option(
    "--sentences", type=click.Path(path_type=Path), help='Of photographs: JSON of {"class": ["a sentence", …]}.'
)
@click.option("--compile", "compiled", is_flag=True, help="Of photographs: compile the tokenizer; pays on a GPU.")
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
    warm_start: bool,
    **photographs: int | float | str | Path | None,
) -> None:
    """Train a part of a model: its tokenizer first, then maskgit (over the tokenizer's tokens) and the classifier.

    With both, the decoder learns on from tokens that maskgit helps to choose, and maskgit on from those (--warm-start).

    With --size, tokenizer and maskgit are those of a model for photographs, on a GPU where there is one.

    Stopped by Ctrl-C or otherwise, the same command continues where it was.
    """
    from tokcom_lab.training.loop import Budget
    from tokcom_lab.training.runs import PHOTOGRAPH_TRAINERS, TRAINERS, TrainingRequest

    asked = {name: photographs[name] for name in PHOTOGRAPH_OPTIONS}
    given = {name: value for name, value in asked.items() if value is not None and value is not False}
    settings = _photograph_settings(part, given) if "size" in given else None
    if settings is None:
        if given:
            raise click.UsageError(f"--{next(iter(given)).replace('compiled', 'compile')} goes with --size")
        default_steps, default_batch = {
            "tokenizer": (7000, 32), "maskgit": (6000, 32), "decoder": (2200, 32), "classifier": (4000, 64),
        }[part]  # fmt: skip
        steps = steps or (None if minutes else default_steps)
    else:
        on_gpu = settings.device.type == "cuda"
        default_batch = {"tokenizer": 96 if on_gpu else 8, "maskgit": 256 if on_gpu else 32}[part]
    Budget(steps, minutes)
    batch = batch or default_batch
    command = shlex.join(
        ["./run", "train", part, *(word for source in data for word in ("--data", source.name)), "--model", model,
         *(["--steps", str(steps)] if minutes is None else ["--minutes", f"{minutes:g}"]), "--batch", str(batch),
         "--seed", str(seed), *(["--warm-start"] if warm_start else []), *_words(given)]
    )  # fmt: skip
    request = TrainingRequest(data, models, model, work, steps, batch, seed, warm_start, command, minutes, settings)
    try:
        (TRAINERS if settings is None else PHOTOGRAPH_TRAINERS)[part](request, console)
    except KeyboardInterrupt:
        sys.exit(130)


PHOTOGRAPH_OPTIONS = (
    "size", "grid", "words", "device", "perceptual", "semantic", "sharpness", "views", "sentences", "compiled",
)  # fmt: skip
"""Of `train`, those that ask for a model for photographs, in the order in which its card names them."""


def _photograph_settings(part: str, given: dict) -> "PhotographSettings":
    """What the options ask of a model for photographs, checked."""
    from tokcom.tokenizers.pyramid_network import PyramidConfig
    from tokcom_lab.training.devices import find_device
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


def _words(given: dict) -> list[str]:
    """Options of a command line, files without their folders."""
    words = []
    for name, value in given.items():
        words.append(f"--{name.replace('compiled', 'compile')}")
        if value is not True:
            words.append(value.name if isinstance(value, Path) else str(value))
    return words


@main.command()
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder or tar of train/CLASS/* and test/CLASS/*."
)
@click.option("--model", required=True, help="Model whose context is calibrated; its card is written.")
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path), help="Folder of models."
)
@click.option("--images", default=300, show_default=True, type=click.IntRange(1), help="Photographs of each split.")
@click.option("--esn0-db", type=Numbers(), default="1,2,3,4", show_default=True, help="Points in dB, pooled.")
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=require_folder,
    help="Draw the reliability diagram here.",
)
@click.option(
    "--json",
    "json_file",
    type=click.File("w"),
    callback=require_folder,
    help="Write the reliability as JSON; - for standard output.",
)
def calibrate(
    data: Path, model: str, models: Path, images: int, esn0_db: list[float], seed: int, svg: Path | None,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Fit what packets' posteriors are worth on the training split, write it to the model's card, check it on the test
    split."""
    from tokcom.context.acceptance import Acceptance, fit_acceptance
    from tokcom.models.zoo import load_classifier, load_recovery, load_tokenizer
    from tokcom_lab.curves.calibration import outcomes, reliability
    from tokcom_lab.curves.context_curve import Bench
    from tokcom_lab.curves.context_plot import draw_reliability
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import load_photographs
    from tokcom_lab.training.export import export_acceptance

    folder = str(models / model)
    tokenizer, classifier = load_tokenizer(folder), load_classifier(folder)
    recovery = load_recovery(folder, "context", acceptance=Acceptance())
    found = {}
    with progress_bar() as bar:
        for split in ("train", "test"):
            photographs = load_photographs(data, images, tokenizer.image_size, classifier, seed, split)
            row = bar.add_task(f"{split}: tokens", total=len(photographs.pictures))
            photograph_tokens(photographs.pictures, folder, progress=lambda done, row=row: bar.advance(row, done))
            row = bar.add_task(split, total=len(photographs.pictures) * len(esn0_db))
            bench = Bench(photographs, folder, tokenizer, seed=seed)
            found[split] = outcomes(bench, recovery, esn0_db, lambda done, row=row: bar.advance(row, done))
    acceptance = fit_acceptance(found["train"].log_odds, found["train"].right)
    command = shlex.join(
        ["./run", "calibrate", "--data", data.name, "--model", model, "--images", str(images), "--esn0-db",
         ",".join(f"{value:g}" for value in esn0_db), "--seed", str(seed)]
    )  # fmt: skip
    export_acceptance(models / model, acceptance, command)
    before, after = (reliability(found["test"], curve) for curve in (Acceptance(), acceptance))
    if svg is not None:
        draw_reliability(before, after, svg)
    show(after, f"{model}, test split, {len(found['test'].right)} packets", json_file)


@main.group()
def models() -> None:
    """Work on the models of the zoo."""


@models.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def list_installed(as_json: bool) -> None:
    """The models that are found by name, in the order in which their folders are searched.

    Their files' hashes are for `tokcom doctor` to check.
    """
    from tokcom.models.card import Card
    from tokcom.models.folders import list_models, model_folders

    rows, broken = [], []
    for name, folder in list_models().items():
        try:
            rows.append(Card.read(folder).summary() | {"folder": str(folder)})
        except TokcomError as error:
            broken.append(f"{name}: {error}")
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif rows:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading, side in (("model", "left"), ("picture", "right"), ("tokens", "right"), ("words", "right"),
                              ("classes", "right"), ("MB", "right"), ("parts", "left")):  # fmt: skip
            table.add_column(heading, justify=side)
        for row in rows:
            table.add_row(
                row["name"], *("-" if row[key] is None else str(row[key]) for key in
                               ("picture", "tokens", "words", "classes", "megabytes")), ", ".join(row["parts"]),
            )  # fmt: skip
        Console().print(table)
        for row in rows:
            click.echo(f"{row['name']} is in {row['folder']}")
    for line in broken:
        console.print(line, highlight=False, soft_wrap=True)
    if not rows:
        searched = ", ".join(map(str, model_folders())) or "no folder that exists"
        raise TokcomError(f"no models in {searched}; $TOKCOM_MODELS names more folders")


@models.command(name="map")
@click.argument("name")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="Folder or tar of train/CLASS/* and test/CLASS/*: how often each token is sent, and what the context model "
    "confuses. [default: all alike]",
)
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path), help="Folder of models."
)
@click.option(
    "--images", default=2000, show_default=True, type=click.IntRange(1), help="Photographs to learn that from."
)
@click.option(
    "--proposals", default=20_000_000, show_default=True, type=click.IntRange(0), help="Swaps tried for each purpose."
)
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option("--json", "json_file", type=click.File("w"), help="Write the figures as JSON; - for standard output.")
def map_labels(
    name: str, data: Path | None, models: Path, images: int, proposals: int, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Give the words of a model's codebook labels that suit the channel.

    Semantic labels: what the channel confuses means nearly the same; for the coded bits, and for every way to send
    tokens of this size without code. With photographs also contextual ones, for the coded bits: what the context model
    confuses, the code keeps apart. They go beside the model's weights, and into its card. The figures are mean
    distances after an error, and errors under contextual labels, relative to random labels.
    """
    from tokcom_lab.training.labels import PHOTOGRAPHS, TOKENS, map_model

    command = shlex.join(
        ["./run", "models", "map", name, *([] if data is None else ["--data", data.name, "--images", str(images)]),
         "--proposals", str(proposals), "--seed", str(seed)]
    )  # fmt: skip
    with progress_bar() as bar:
        rows: dict[str, TaskID] = {}

        def advance(purpose: str, done: int) -> None:
            if purpose not in rows:
                rows[purpose] = bar.add_task(purpose, total=images if purpose in (PHOTOGRAPHS, TOKENS) else proposals)
            bar.advance(rows[purpose], done)

        figures = map_model(models / name, data, images, proposals, seed, command, advance)
    if not figures:
        console.print("a codebook of this size has the fast start alone; its pairs are too many to improve")
        return
    show([{"purpose": each, "distance": value} for each, value in figures.items()], f"{name}, labels", json_file)


@main.command()
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder or tar of train/CLASS/* and test/CLASS/*."
)
@click.option("--model", required=True, help="Model whose context is measured; its card is written.")
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path), help="Folder of models."
)
@click.option("--images", default=15, show_default=True, type=click.IntRange(1), help="Photographs.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option("--json", "json_file", type=click.File("w"), help="Write table and fit as JSON; - for standard output.")
def residual(
    data: Path, model: str, models: Path, images: int, jobs: int, seed: int, json_file: click.utils.LazyFile | None
) -> None:
    """Fit what is left wrong after context decoding on the training split, and write it to the model's card."""
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.curves.adaptation_bench import prepare
    from tokcom_lab.curves.residual_fit import EACH, SCHEMES, fit_residual, fit_rows, measure_residual
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import load_photographs
    from tokcom_lab.training.export import export_residual

    folder = str(models / model)
    photographs = load_photographs(
        data, images, load_tokenizer(folder).image_size, load_classifier(folder), seed, "train"
    )
    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(photographs.pictures))
        photograph_tokens(photographs.pictures, folder, progress=lambda done: bar.advance(row, done))
        material = prepare(folder, photographs.pictures, photographs.labels)
        row = bar.add_task("frames", total=len(material.frames) * len(SCHEMES) * EACH)
        found = measure_residual(folder, material.frames, seed, jobs, lambda done: bar.advance(row, done))
    command = shlex.join(
        ["./run", "residual", "--data", data.name, "--model", model, "--images", str(images), "--seed", str(seed)]
    )
    fitted = fit_residual(found, command)
    export_residual(models / model, fitted)
    show(fit_rows(found, fitted), f"{model}, training split, {images} photographs", json_file)


@main.command()
@click.option("--profile", default="etu", show_default=True, help="Fading profile of the channel models.")
@click.option("--draws", default=30, show_default=True, type=click.IntRange(2), help="Of its paths, for each MCS.")
@click.option("--packets", default=200, show_default=True, type=click.IntRange(10), help="Sent through each draw.")
@click.option("--seed", default=0, show_default=True, type=SEEDS)
@click.option("--json", "json_file", type=click.File("w"), help="Write the figures as JSON; - for standard output.")
def eesm(profile: str, draws: int, packets: int, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Fit beta of the exponential effective SNR mapping for every MCS, as in the MCS table."""
    from tokcom.adaptation.mcs import mcs_table
    from tokcom_lab.curves.effective_snr import fit_betas

    with progress_bar() as bar:
        row = bar.add_task(profile, total=draws * len(mcs_table()))
        rows = fit_betas(profile, draws, packets, seed, lambda done: bar.advance(row, done))
    show(rows, f"{profile}, {draws} draws of {packets} packets", json_file)


@main.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--model", default="caltech64", show_default=True, help="Model whose codebook is known.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the pictures, as PNG.")
@click.option(
    "--mode",
    type=click.Choice(["none", *MODES]),
    default=DEFAULT_MODE,
    show_default=True,
    help="How the pictures' lost tokens are recovered; none: they are left grey.",
)
@click.option(
    "--json",
    "json_file",
    type=click.File("w"),
    callback=require_folder,
    help="Write bursts and tokens as JSON; - for standard output.",
)
def replay(recording: Path, model: str, out: Path | None, mode: str, json_file: click.utils.LazyFile | None) -> None:
    """Decode the bursts of a SigMF recording.

    Stopped by Ctrl-C, it shows what it has found so far. In JSON, a lost token is -1.
    """
    from tokcom.link.bursts import Receiver
    from tokcom.models.zoo import codebook, load_recovery
    from tokcom.recording.pictures import PictureFolder
    from tokcom.recording.reader import open_recording
    from tokcom.recording.replay import burst_row, replay

    recovery = None if out is None or mode == "none" else load_recovery(model, mode)
    file, receiver = open_recording(recording), Receiver([codebook(model)], recovery)
    pictures = None if out is None else PictureFolder(out, model)
    name, rows, refused, stopped = file.path.stem, [], [], False
    try:
        with progress_bar() as bar:
            task = bar.add_task(name, total=file.length)
            for burst in replay(
                file, receiver, progress=lambda done: bar.advance(task, done),
                refused=lambda position, error: refused.append(f"burst at sample {position}: {error}"),
            ):  # fmt: skip
                whole = burst.frame if burst.recovered is None else burst.recovered.frame
                saved = {} if pictures is None else {"picture": pictures.save(whole, len(rows))}
                rows.append(burst_row(burst, file.sample_rate) | saved)
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


@main.command(name="case-study")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of class folders, or folder or tar of train/CLASS and test/CLASS. [default: parts of scikit-image's]",
)
@click.option("--images", default=200, show_default=True, type=click.IntRange(1), help="Photographs.")
@click.option(
    "--esn0-db", type=Numbers(), default="6,6.5,7,7.5,8,9", show_default=True, help="Points in dB, between commas."
)
@click.option("--schemes", default="all", show_default=True, help="Schemes, between commas.")
@click.option(
    "--link",
    "link_name",
    default="k7",
    show_default=True,
    type=click.Choice(["paper", "crc", "k7", "burst"]),
    help="The link.",
)
@click.option(
    "--channel", default="none", show_default=True, help="Multipath profile, for --link burst: none, epa, etu, …"
)
@click.option(
    "--seeds",
    type=WholeNumbers(SEEDS.min, SEEDS.max),
    default="0",
    show_default=True,
    help="Seeds of the noise, between commas.",
)
@click.option(
    "--attempts",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Transmissions at most of a repeated packet.",
)
@click.option("--free-container", is_flag=True, help="Containers of picture codecs do not travel.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with weights of LPIPS, CLIP and Cheng2020.",
)
@click.option("--model", default="caltech64", show_default=True, help="The model.")
@click.option("--scheduler", help="Address of a Dask scheduler, tcp://HOST:PORT. [default: processes of this machine]")
@click.option("--workers", type=click.IntRange(1), help="Processes of this machine. [default: one a processor]")
@click.option(
    "--shown",
    default=6,
    show_default=True,
    type=click.IntRange(0),
    help="Photographs whose received pictures are kept.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results; what is there already is not computed again.",
)
def case_study(
    data: Path | None, images: int, esn0_db: list[float], schemes: str, link_name: str, channel: str,
    seeds: list[int], attempts: int, free_container: bool, weights: Path | None, model: str,
    scheduler: str | None, workers: int | None, shown: int, out: Path,
) -> None:  # fmt: skip
    """The paper's case study: every scheme on the same photographs, packets, code, modulation and noise.

    Stopped by Ctrl-C or otherwise, the same command continues where it was.
    """
    from tokcom.channel.awgn import noise_variance
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.case_study.cells import StudySettings, absences, jobs_of
    from tokcom_lab.case_study.schemes import find_schemes
    from tokcom_lab.case_study.store import CellStore
    from tokcom_lab.photographs import load_photographs

    try:
        import distributed  # noqa: F401  # without it the study would fail after its start

        from tokcom_lab.case_study.report import write_report
        from tokcom_lab.case_study.schedule import run_jobs
    except ModuleNotFoundError as error:
        raise TokcomError(
            f"the case study needs {error.name}; install distributed, plotly and pyarrow (tokcom[lab])"
        ) from None
    settings = StudySettings(model, link_name, channel, attempts, free_container, str(weights or ""))
    for value in esn0_db:
        noise_variance(value)
    wanted, absent = [scheme.name for scheme in find_schemes(schemes.split(","))], absences(settings)
    for name, why in absent.items():
        if name in wanted or name in ("lpips", "clip"):
            console.print(f"{name}: not computed: {why}", highlight=False)
    computed = [name for name in wanted if name not in absent]
    photographs = load_photographs(data, images, load_tokenizer(model).image_size, load_classifier(model), 0)
    jobs = jobs_of(photographs.pictures, photographs.names, photographs.labels, esn0_db, seeds, computed, shown)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TokcomError(f"{out}: the folder cannot be made: {error.strerror}") from None
    store = CellStore(out / "cells.sqlite", settings)
    try:
        with progress_bar() as bar:
            row = bar.add_task(f"case study, link {link_name}", total=sum(len(job.schemes) for job in jobs))
            run_jobs(
                settings, jobs, store, scheduler=scheduler, workers=workers,
                progress=lambda done: bar.advance(row, done),
            )  # fmt: skip
        cells = list(store.cells(jobs))
    except KeyboardInterrupt:
        console.print(f"stopped; the same command continues from {out / 'cells.sqlite'}")
        sys.exit(130)
    finally:
        store.close()
    command = [
        "./run", "case-study", *([] if data is None else ["--data", str(data)]), "--images", str(images),
        "--esn0-db", ",".join(f"{value:g}" for value in esn0_db), "--schemes", schemes, "--link", link_name,
        *(["--channel", channel] if link_name == "burst" else []),
        "--seeds", ",".join(map(str, seeds)), "--attempts", str(attempts),
        *(["--free-container"] if free_container else []), *([] if weights is None else ["--weights", str(weights)]),
        "--model", model, "--shown", str(shown), "--out", str(out),
    ]  # fmt: skip
    write_report(out, settings, cells, absent, wanted, photographs.source, command)
    console.print(f"{out / 'index.html'}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the installation, and say what to do.

    GNU Radio, Python's packages, GNU Radio Companion's paths, models and their hashes, USRPs, processor, memory and
    real-time scheduling. The exit code is 1 where something stops the module.
    """
    from tokcom.doctor.report import doctor

    sys.exit(doctor(as_json))


def progress_bar() -> Progress:
    """A bar with the time left, on standard error, gone when done."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, transient=True)


def show(rows: Iterable[dict], title: str, json_file: click.utils.LazyFile | None) -> None:
    """Rows as JSON where a file is given, else as a table on standard output."""
    rows = list(rows)
    if json_file is not None:
        json_file.write(json.dumps(rows, indent=1) + "\n")
        json_file.flush()
        return
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def show_bursts(rows: Iterable[dict], title: str) -> None:
    """Rows of `recording.replay.burst_row` as a table on standard output."""
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


if __name__ == "__main__":
    main(prog_name="tokcom")
