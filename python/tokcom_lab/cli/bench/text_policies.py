"""`tokcom bench text-policies`: airtime of text, with an MCS for the channel or for what the receiver can guess."""

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
@click.option("--esn0-db", type=Numbers(), default="4,7,10,13", show_default=True)
@click.option(
    "--bound", default=0.005, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of tokens that policy \"semantic\" may expect to be wrong.",
)  # fmt: skip
@click.option("--model", default="smollm2", show_default=True, help="A model of text, by name or folder.")
@json_option("Write the figures as JSON")
def text_policies(
    data: tuple[Path, ...], draw: MessageDraw, esn0_db: list[float], bound: float, model: str,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Airtime and errors of text by policy, AWGN that the transmitter knows (half an hour; an interrupted run
    resumes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.models.fits import load_residual
    from tokcom_lab.curves.text_curve import TextBench
    from tokcom_lab.curves.text_policies import POLICIES, policy_rows
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files

    for value in esn0_db:
        noise_variance(value)
    residual = load_residual(model)
    bench = TextBench(model, ["keep", "context"], seed=draw.seed)
    prose = split(paragraphs(text_files(list(data) or OWN_PROSE)), training=False)
    texts = cut_messages(prose, bench.link.tokenizer, draw)
    with progress_bar() as bar:
        row = bar.add_task("messages", total=len(texts) * len(esn0_db) * len(POLICIES))
        rows = policy_rows(bench, residual, bound, texts, esn0_db, lambda done: bar.advance(row, done))
    if json_file is not None:
        write_json({"command": recorded_command(), "rows": rows}, json_file)
    else:
        show(rows, f"text, {draw.count} messages")
