"""`tokcom bench characters`: energy per character of text, by how it is compressed and decoded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Numbers, drawing_option, json_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import messages_options, prose_option

if TYPE_CHECKING:
    from tokcom_lab.text_messages import MessageDraw


@click.command()
@prose_option
@messages_options(40)
@click.option("--esn0-db", type=Numbers(), default="0,1,2,3,4,5,6,7,8,9", show_default=True)
@click.option("--model", default="smollm2", show_default=True, help="A causal model of text, by name or folder.")
@drawing_option("--svg", "Draw message errors over energy per character to this file.")
@json_option("Write the figures as JSON")
def characters(
    data: tuple[Path, ...], draw: MessageDraw, esn0_db: list[float], model: str,
    svg: Path | None, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Message errors over energy per character: ASCII, zstd, a language model's arithmetic code, tokens (hours; an
    interrupted run resumes, and takes what `bench text` has measured)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.errors import ParameterError
    from tokcom.models.zoo import load_context
    from tokcom_lab.curves.character_plot import draw_characters
    from tokcom_lab.curves.characters import MCS, OURS, character_figures
    from tokcom_lab.curves.text_curve import TextBench
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files

    for value in esn0_db:
        noise_variance(value)
    prior = load_context(model)
    if prior.order != "causal":
        raise ParameterError(f"model {model} predicts in any order; an arithmetic code needs a causal one")
    bench = TextBench(model, list(OURS), MCS, seed=draw.seed)
    prose = paragraphs(text_files(list(data) or OWN_PROSE))
    test, training = (split(prose, which) for which in (False, True))
    texts = cut_messages(test, bench.link.tokenizer, draw)
    with progress_bar() as bar:
        row = bar.add_task("messages", total=len(texts) * len(esn0_db))
        found = character_figures(bench, texts, training, prior, esn0_db, lambda done: bar.advance(row, done))
    if svg is not None:
        draw_characters(found["curve"], svg)
    if json_file is not None:
        write_json({"command": recorded_command()} | found, json_file)
    else:
        show(({"scheme": name} | each for name, each in found["schemes"].items()), f"text, {draw.count} messages")
