"""`tokcom bench text`: text with and without a language model in the decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, json_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import messages_options, prose_option

if TYPE_CHECKING:
    from tokcom_lab.text_messages import MessageDraw

RECEIVERS = "keep", "list", "frequencies", "context"


@click.command()
@prose_option
@messages_options(400)
@click.option("--esn0-db", type=Numbers(), default="0,0.5,1,1.5,2,2.5,3,4,5,6,7,8", show_default=True)
@click.option("--receivers", type=Names(RECEIVERS), default=",".join(RECEIVERS), show_default=True)
@click.option("--model", default="smollm2", show_default=True, help="A model of text, by name or folder.")
@click.option("--mcs", default="16qam-1/2", show_default=True)
@click.option("--tokens-per-packet", default=3, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--sentences",
    default=100,
    show_default=True,
    type=click.IntRange(0),
    help="Sentences in the setting of LLM-Viterbi: K=3, BPSK, one block each; 0: none.",
)
@click.option("--sentence-esn0-db", type=Numbers(), default="-4,-3,-2,-1,0,1,2,3", show_default=True)
@json_option("Write the figures as JSON")
def text(
    data: tuple[Path, ...], draw: MessageDraw, esn0_db: list[float], receivers: list[str],
    model: str, mcs: str, tokens_per_packet: int, sentences: int, sentence_esn0_db: list[float],
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Errors of text over Es/N0 with four receivers, K=7, AWGN (hours; an interrupted run resumes)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.errors import ParameterError
    from tokcom.models.fits import load_certainty
    from tokcom_lab.curves.sentence_blocks import block_errors, block_figures, sentences_of
    from tokcom_lab.curves.text_curve import TextBench, summary
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files

    for value in esn0_db:
        noise_variance(value)
    if sentences and "context" not in receivers:
        raise ParameterError("sentences need the receiver context: name it in --receivers, or take --sentences 0")
    bench = TextBench(model, receivers, mcs, tokens_per_packet, draw.seed)
    prose = split(paragraphs(text_files(list(data) or OWN_PROSE)), training=False)
    texts = cut_messages(prose, bench.link.tokenizer, draw)
    with progress_bar() as bar:
        row = bar.add_task("messages", total=len(texts) * len(esn0_db))
        found = bench.messages(texts, esn0_db, lambda done: bar.advance(row, done))
        figures = summary(found, load_certainty(model))
        if sentences:
            drawn = sentences_of(prose, sentences, draw.seed)
            row = bar.add_task("sentences", total=sentences * len(sentence_esn0_db))
            curve = block_errors(bench, drawn, sentence_esn0_db, lambda done: bar.advance(row, done))
            figures["llm_viterbi_setting"] = block_figures(curve)
    if json_file is not None:
        write_json({"command": recorded_command()} | figures, json_file)
    else:
        show(figures["curve"], f"text, {mcs}, {draw.count} messages")
