"""`tokcom calibrate-text`, `residual-text`: what a model of text can be trusted with, fitted on prose that no figure is
measured on."""

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
@click.option("--model", default="smollm2", show_default=True, help="Model of text, by name or folder.")
@messages_options(60, help_text="Messages per split.")
@click.option("--esn0-db", type=Numbers(), default="1,2,3,4", show_default=True, help="Points in dB, pooled.")
@json_option("Write the reliability of words as JSON")
def calibrate_text(
    data: tuple[Path, ...], model: str, draw: MessageDraw, esn0_db: list[float],
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Calibrate packets' and words' posteriors on the training split of texts, write the result to the model's card,
    check it on the test split (an hour; an interrupted run resumes)."""
    from tokcom.models.installed import model_card
    from tokcom_lab.curves.calibration import reliability
    from tokcom_lab.curves.text_calibration import calibrations, word_outcomes
    from tokcom_lab.curves.text_curve import TextBench
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files
    from tokcom_lab.training.export import export_acceptance

    bench, found = TextBench(model, ["context"], seed=draw.seed), {}
    prose = paragraphs(text_files(list(data) or OWN_PROSE))
    with progress_bar() as bar:
        for name in ("train", "test"):
            part = split(prose, training=name == "train")
            texts = cut_messages(part, bench.link.tokenizer, draw)
            row = bar.add_task(name, total=len(texts) * len(esn0_db))
            found[name] = bench.messages(texts, esn0_db, lambda done, row=row: bar.advance(row, done))
    curves = calibrations(found["train"])
    for name, curve in curves.items():
        export_acceptance(model_card(model).folder, curve, recorded_command(), name)
    rows = reliability(word_outcomes(found["test"]), curves["certainty"])
    if json_file is not None:
        write_json({"command": recorded_command(), "reliability": rows}, json_file)
    else:
        show(rows, f"{model}, words of the test split")


@click.command()
@prose_option
@click.option("--model", default="smollm2", show_default=True, help="Model of text, by name or folder.")
@messages_options(12, help_text="Messages, of which the first 48 tokens are sent.")
@json_option("Write measured and expected errors as JSON")
def residual_text(
    data: tuple[Path, ...], model: str, draw: MessageDraw, json_file: click.utils.LazyFile | None
) -> None:  # fmt: skip
    """Fit the errors of text after decoding with a language model on the training split, and write the result to the
    model's card (half an hour; an interrupted run resumes)."""
    from tokcom.errors import ParameterError
    from tokcom.link.text import TOKENS_PER_PACKET
    from tokcom.models.installed import model_card
    from tokcom_lab.curves.residual_fit import SCHEMES, fit_residual, fit_rows
    from tokcom_lab.curves.text_curve import TextBench
    from tokcom_lab.curves.text_residual import EACH, PACKETS, measure_text_residual
    from tokcom_lab.text_messages import OWN_PROSE, cut_messages, paragraphs, split, text_files
    from tokcom_lab.training.export import export_residual

    least = PACKETS * TOKENS_PER_PACKET
    if draw.shortest < least:
        raise ParameterError(f"shortest is {draw.shortest}; it must be at least {least} tokens")
    bench = TextBench(model, ["context"], seed=draw.seed)
    prose = split(paragraphs(text_files(list(data) or OWN_PROSE)), training=True)
    texts = cut_messages(prose, bench.link.tokenizer, draw)
    with progress_bar() as bar:
        row = bar.add_task("messages", total=len(texts) * len(SCHEMES) * EACH)
        found = measure_text_residual(bench, texts, lambda done: bar.advance(row, done))
    fitted = fit_residual(found, recorded_command())
    export_residual(model_card(model).folder, fitted)
    rows = fit_rows(found, fitted)
    if json_file is not None:
        write_json({"command": recorded_command(), "rows": rows}, json_file)
    else:
        show(rows, f"{model}, training split, {draw.count} messages")
