"""`tokcom bench keys`, `leakage`, `leakage-text`, `membership`: what keys cost and hide, and what a model tells of the
pictures that it was trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.options import Names, Numbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import split_data_option

if TYPE_CHECKING:
    from tokcom_lab.predictability_samples import Sample

CLASSES = "Leopards,Motorbikes,airplanes,watch"


@click.command("keys")
@click.option("--frames", default=300, show_default=True, type=click.IntRange(1), help="Frames of each kind.")
@click.option(
    "--packets",
    default=10_240,
    show_default=True,
    type=click.IntRange(1),
    help="Forged packets for each strength of noise.",
)
@seed_option
@json_option("Write the figures as JSON")
def keys(frames: int, packets: int, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Measure what a key costs in time and airtime, and how often forged packets pass tags of 8 bits (two minutes)."""
    from tokcom_lab.seal_cost import forgeries, seal_cost

    with progress_bar() as bar:
        row = bar.add_task("frames", total=frames + 1)
        cost = seal_cost(frames, seed, progress=lambda done: bar.advance(row, done))
        row = bar.add_task("forged packets", total=1)
        forged = forgeries(packets, seed=seed)
        bar.advance(row, 1)
    if json_file is not None:
        write_json({"cost": cost, "forgeries": forged}, json_file)
        return
    show(cost, "cost of a key")
    show(forged, "forged packets that pass tags of 8 bits")


def _plan(command: Callable) -> Callable:
    """The options that tell which pictures are taken."""
    for option in (
        seed_option,
        model_option,
        click.option(
            "--test", default=20, show_default=True, type=click.IntRange(4), help="Pictures per class, test split."
        ),
        click.option(
            "--train", default=100, show_default=True, type=click.IntRange(10),
            help="Pictures per class of the training split.",
        ),
        click.option("--classes", type=Names(), default=CLASSES, show_default=True, help="Classes of pictures."),
        split_data_option,
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_plan
@click.option("--esn0-db", type=Numbers(), default="7,12", show_default=True, help="Es/N0 of the channel.")
@json_option("Write the figures as JSON")
def leakage(
    data: Path, classes: list[str], train: int, test: int, esn0_db: list[float], model: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Tell classes of pictures apart by the shape of their bursts alone (a quarter of an hour)."""
    from tokcom.models.fits import load_residual
    from tokcom_lab.leakage import leakage

    samples = _samples(data, classes, train, test, model, seed)
    with progress_bar() as bar:
        row = bar.add_task("classifier", total=len(esn0_db))
        rows = leakage(*samples, load_residual(model), esn0_db, progress=lambda done: bar.advance(row, done))
    _report(
        {"leakage": rows}, rows, "classes of pictures told apart by the shape of bursts", classes, samples, json_file
    )


@click.command()
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    default=("docs", "python"),
    show_default=True,
    help="File or folder of .txt, .md and .py, one kind of text; several times.",
)
@click.option("--train", default=50, show_default=True, type=click.IntRange(10), help="Texts per kind to learn from.")
@click.option("--test", default=60, show_default=True, type=click.IntRange(4), help="Other texts per kind.")
@click.option("--tokens", default=48, show_default=True, type=click.IntRange(3, 4096), help="Length of every text.")
@click.option("--esn0-db", type=Numbers(), default="4,7", show_default=True, help="Es/N0 of the channel.")
@click.option("--model", default="smollm2", show_default=True, help="A causal model of text, by name or folder.")
@seed_option
@json_option("Write the figures as JSON")
def leakage_text(
    kinds: tuple[Path, ...], train: int, test: int, tokens: int, esn0_db: list[float], model: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Tell kinds of texts of one length apart by the shape of their bursts alone (five minutes)."""
    from tokcom.errors import ParameterError
    from tokcom.link.text import transmit_config
    from tokcom.models.fits import load_residual
    from tokcom_lab.leakage import leakage
    from tokcom_lab.predictability_samples import sample_of_texts

    if len(kinds) < 2:
        raise ParameterError(f"--kind names {kinds[0]} alone; name at least two, to be told apart")
    drawn = _texts(kinds, {"train": train, "test": test}, tokens, model, seed)
    with progress_bar() as bar:
        samples = []
        for part, texts in drawn.items():
            row = bar.add_task(f"predictability, {part}", total=sum(map(len, texts)))
            samples.append(
                sample_of_texts(texts, tokens, model, progress=lambda done, row=row: bar.advance(row, done))
            )  # fmt: skip
        row = bar.add_task("classifier", total=len(esn0_db))
        rows = leakage(
            *samples, load_residual(model), esn0_db, config=transmit_config(),
            progress=lambda done: bar.advance(row, done),
        )  # fmt: skip
    title = "kinds of texts told apart by the shape of bursts"
    _report({"leakage": rows}, rows, title, [str(kind) for kind in kinds], samples, json_file)


def _texts(
    kinds: tuple[Path, ...], counts: dict[str, int], tokens: int, model: str, seed: int
) -> dict[str, list[list[str]]]:
    """Texts of each kind by part; those of "train" come from paragraphs of their own."""
    from tokcom.models.text import load_text_tokenizer
    from tokcom_lab.text_messages import MessageDraw, cut_messages, paragraphs, split, text_files

    tokenizer, prose = load_text_tokenizer(model), [paragraphs(text_files([kind])) for kind in kinds]
    return {
        part: [
            cut_messages(split(own, training=part == "train"), tokenizer, MessageDraw(count, tokens, tokens, seed))
            for own in prose
        ]
        for part, count in counts.items()
    }


@click.command()
@_plan
@click.option(
    "--part", type=click.Choice(["context", "small_context"]), default="context", show_default=True,
    help="Part of the model that is asked.",
)  # fmt: skip
@json_option("Write the figures as JSON")
def membership(
    data: Path, classes: list[str], train: int, test: int, model: str, part: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Tell pictures that a model was trained on from others by how well it predicts them (a quarter of an hour).

    The training split must be the one that the model was trained on.
    """
    from tokcom_lab.membership import membership_advantage

    samples = _samples(data, classes, train, test, model, seed, part)
    found = membership_advantage(*(each.bits.mean(axis=1) for each in samples), seed)
    _report(
        {"membership": found}, [found], "pictures of the training set told from others", classes, samples, json_file
    )


def _samples(
    data: Path, classes: list[str], train: int, test: int, model: str, seed: int, part: str = "context"
) -> list["Sample"]:
    """Pictures of both splits with their predictability by a part of the model."""
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.photographs import photographs_by_class
    from tokcom_lab.predictability_samples import sample_of_pictures

    size, samples = load_tokenizer(model, visits=0, device="cpu").image_size, []
    with progress_bar() as bar:
        for split, count in (("train", train), ("test", test)):
            pictures, labels = photographs_by_class(data, split, classes, count, size, seed)
            row = bar.add_task(f"predictability, {split}", total=len(pictures))
            samples.append(
                sample_of_pictures(pictures, labels, model, part, progress=lambda done, row=row: bar.advance(row, done))
            )  # fmt: skip
    return samples


def _report(
    found: dict, rows: list[dict], title: str, classes: list[str], samples: list["Sample"],
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    train, test = (len(each.labels) for each in samples)
    if json_file is not None:
        write_json({"classes": classes, "train": train, "test": test, **found}, json_file)
    else:
        show(rows, title)
