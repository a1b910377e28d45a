"""`tokcom sentence-code`: tables by which sentences' points are coded in a few bytes."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Aside, json_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json


@click.command()
@click.argument("dictionary", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--nouns", default=3_000, show_default=True, type=click.IntRange(600), help="Nouns whose sentences are fitted."
)
@click.option("--to", cls=Aside, required=True, type=click.Path(path_type=Path), help="File for the tables.")
@seed_option
@json_option("Write the figures as JSON")
def sentence_code(
    dictionary: Path, nouns: int, to: Path, seed: int, json_file: click.utils.LazyFile | None
) -> None:  # fmt: skip
    """Fit the tables of sentences' codes to WordNet's file of nouns, data.noun.

    The tables are part of the air interface: transmitters and receivers must hold the same.
    """
    from tokcom.models.card import file_hash
    from tokcom.models.published import load_sentences
    from tokcom_lab.training.description import (
        dictionary_sentences,
        embedded_once,
        fitted_tables,
        likeness,
        save_tables,
    )

    texts, encoder = dictionary_sentences(dictionary, nouns, seed), load_sentences()
    with progress_bar() as bar:
        row = bar.add_task("sentences", total=len(texts))
        points = embedded_once(texts, encoder, progress=lambda done: bar.advance(row, done))
        # One in ten is measured with.
        kept = len(points) // 10
        row = bar.add_task("tables", total=8)
        words, scales = fitted_tables(points[kept:], seed, lambda done: bar.advance(row, done))
    to.parent.mkdir(parents=True, exist_ok=True)
    save_tables(words, scales, to)
    cosines = [round(value, 4) for value in likeness(points[:kept], words, scales)]
    figures = {
        "command": recorded_command(),
        "sha256": file_hash(to),
        "sentences": len(points) - kept,
        "cosine": cosines,
    }
    if json_file is not None:
        write_json(figures, json_file)
        return
    show([{"bytes": n, "cosine": value} for n, value in enumerate(cosines, 1)], f"{kept} other sentences")
