"""`tokcom bench repeats`: repeat requests of text by posterior, beside those by CRC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Numbers, json_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import messages_options, prose_option

if TYPE_CHECKING:
    from tokcom_lab.text_messages import MessageDraw


@click.command()
@prose_option
@messages_options(20, longest=50)
@click.option("--esn0-db", type=Numbers(), default="0,1,2,3,4,5,6,7", show_default=True)
@click.option(
    "--accept", default=0.999, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Posterior of a packet that is enough.",
)  # fmt: skip
@click.option("--model", default="smollm2", show_default=True, help="A model of text, by name or folder.")
@json_option("Write the figures as JSON")
def repeats(
    data: tuple[Path, ...], draw: MessageDraw, esn0_db: list[float], accept: float, model: str,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Airtime of text with repeat requests, by CRC and by posterior without a CRC (half an hour; an interrupted run
    resumes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom_lab.curves.text_curve import TextBench
    from tokcom_lab.curves.text_repeats import SCHEMES, Judge, repeat_figures
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files

    for value in esn0_db:
        noise_variance(value)
    bench = TextBench(model, ["keep"], seed=draw.seed)
    prose = split(paragraphs(text_files(list(data) or OWN_PROSE)), training=False)
    texts = cut_messages(prose, bench.link.tokenizer, draw)
    with progress_bar() as bar:
        row = bar.add_task("messages", total=len(texts) * len(esn0_db) * len(SCHEMES))
        found = repeat_figures(bench, Judge(accept), texts, esn0_db, lambda done: bar.advance(row, done))
    if json_file is not None:
        write_json({"command": recorded_command()} | found, json_file)
    else:
        show(found["curve"], f"text, {draw.count} messages")
