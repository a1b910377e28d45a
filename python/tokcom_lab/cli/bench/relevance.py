"""`tokcom bench relevance`: what a judge recognises if only some tokens are sent."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from tokcom.cli.options import Names, Numbers, drawing_option, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of
from tokcom_lab.cli.options import data_option, images_option

EXAMPLES = 6


@click.command()
@data_option
@images_option(200, "Photographs whose tokens are sent in part.")
@click.option("--shares", type=Numbers(), default="0.5,0.35", show_default=True, help="Shares of the tokens.")
@click.option("--rule", "rules", multiple=True, help="A rule or codec; may be repeated. [default: all]")
@click.option(
    "--shown",
    type=Names(("decoder", "mean")),
    default="decoder",
    show_default=True,
    help="How missing tokens are shown: by the model's decoder, as receivers do; by the code vectors' mean; or both.",
)
@click.option("--air/--no-air", default=True, show_default=True, help="Compare at equal airtime, too.")
@click.option(
    "--esn0-db", type=Numbers(), default="1,2,3", show_default=True, help="Es/N0 of the comparison at equal airtime."
)
@click.option("--dense", default="qpsk-3/4", show_default=True, help="MCS of all tokens.")
@click.option("--robust", default="bpsk-3/4", show_default=True, help="MCS of half of the tokens.")
@click.option(
    "--per-class", default=8, show_default=True, type=click.IntRange(1), help="Pictures per class that train the judge."
)
@click.option(
    "--visits", type=click.IntRange(0), help="Search passes per picture; 0: the encoder's tokens. [default: the card's]"
)
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Also draw sample photographs: a PNG file."
)
@drawing_option("--svg", "Draw accuracy and PSNR by rule to this file.")
@model_option
@seed_option
@json_option("Write the figures as JSON")
def relevance(
    data: Path | None, images: int, shares: list[float], rules: tuple[str, ...], shown: list[str], air: bool,
    esn0_db: list[float], dense: str, robust: str, per_class: int, visits: int | None, picture: Path | None,
    svg: Path | None, model: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure recognition and PSNR if tokens are sent by relevance, and by other rules (an hour; an interrupted run
    resumes).

    The task is the class by the model's classifier; the judge is EfficientNet-Lite0 with a layer trained on the
    training split. Pictures are shown as receivers show them.
    """
    import numpy as np

    from tokcom.errors import DatasetError, ParameterError
    from tokcom.mcs import find_mcs
    from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
    from tokcom_lab.cache import FOLDER
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import photographs_by_class
    from tokcom_lab.relevance_bench import CODECS, TOKEN_RULES, Judge, RelevanceBench, relevance_points

    if data is None:
        raise DatasetError("the judge needs labelled photographs: name them by --data")
    for share in shares:
        if not 0.05 <= share <= 1:
            raise ParameterError(f"share is {share}; it must be 0.05 to 1")
    rules = rules or (*TOKEN_RULES, *CODECS)
    for rule in rules:
        if rule not in (*TOKEN_RULES, *CODECS):
            raise ParameterError(f"rule is {rule!r}; it must be one of {'; '.join((*TOKEN_RULES, *CODECS))}")
    fast, slow = find_mcs(dense), find_mcs(robust)
    classifier, tokenizer = load_classifier(model, "cpu"), load_tokenizer(model, 0, "cpu")
    photographs = photographs_of(data, images, model, seed)
    known = np.array([label is not None for label in photographs.labels])
    pictures, labels = photographs.pictures[known], np.array(photographs.labels)[known].astype(int)
    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(pictures))
        tokens = photograph_tokens(pictures, model, visits=visits, progress=partial(bar.advance, row))
    with progress_bar() as bar:
        row = bar.add_task("judge", total=1)
        size = tokenizer.image_size
        judge = Judge(
            *photographs_by_class(data, "train", classifier.classes, per_class, size, seed), len(classifier.classes)
        )
        bar.advance(row)
        row = bar.add_task("relevance", total=1)
        bench = RelevanceBench(pictures, labels, tokens, tokenizer, load_context(model, "cpu"), classifier, judge, seed)
        bar.advance(row)
        esn0_db = esn0_db if air else []
        ways = [1 if rule in CODECS else len(shown) for rule in rules]
        row = bar.add_task("rules", total=2 + len(shares) * sum(ways) + 3 * len(esn0_db) * len(shown))
        settings = esn0_db, fast, slow
        found = list(relevance_points(bench, shares, rules, shown, *settings, partial(bar.advance, row), FOLDER))
    if picture is not None:
        from tokcom_lab.curves.source_plot import draw_examples

        samples = photographs_of(None, EXAMPLES, model, seed).pictures
        own = RelevanceBench(
            samples, np.zeros(EXAMPLES, int), tokenizer.encode(samples), tokenizer, load_context(model, "cpu"),
            classifier, judge, seed,
        )  # fmt: skip
        draw_examples(own.examples(shares[0], range(EXAMPLES)), picture)
    rows = [asdict(each) for each in found]
    if svg is not None:
        from tokcom_lab.curves.source_plot import draw_relevance

        draw_relevance(rows, svg)
    if json_file is not None:
        write_json(rows, json_file)
    else:
        show(rows, f"{photographs.source}, {len(pictures)} photographs")
