"""`tokcom bench conditions`: what labels, sentences and sounds are worth to a receiver."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Numbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of
from tokcom_lab.cli.options import data_option, images_option


@click.command()
@data_option
@images_option(40)
@click.option(
    "--sentences",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON of {"class": ["a sentence", …]}; the last of each class is told.',
)
@click.option(
    "--sounds",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of CLASS/FOLD-NAME.ogg: only photographs of things that make a sound are taken, and told one, too.",
)
@click.option("--lost", type=Numbers(), default="0.3,0.6,0.8,0.9,0.95", show_default=True, help="Shares of the tokens.")
@click.option("--shown", type=Numbers(), default="0.9", show_default=True, help="Shares at which pictures are judged.")
@click.option("--esn0-db", type=Numbers(), default="1,2,3", show_default=True, help="Over the air, 16-QAM 1/2.")
@click.option("--frames", default=12, show_default=True, type=click.IntRange(0), help="Photographs sent over the air.")
@click.option("--bytes", "n_bytes", default=6, show_default=True, type=click.IntRange(1, 8), help="Of a point's code.")
@click.option(
    "--visits", default=0, show_default=True, type=click.IntRange(0), help="Search passes per picture for its tokens."
)
@click.option(
    "--per-class", default=8, show_default=True, type=click.IntRange(1), help="Pictures per class that train the judge."
)
@model_option
@seed_option
@json_option("Write the figures as JSON")
def conditions(
    data: Path | None, images: int, sentences: Path, sounds: Path | None, lost: list[float], shown: list[float],
    esn0_db: list[float], frames: int, n_bytes: int, visits: int, per_class: int, model: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure what nothing, a label, a sentence and a wrong sentence tell a receiver: bits per lost token, pictures
    filled in, and PER in mode context (an hour; an interrupted run resumes).

    The judge is EfficientNet-Lite0 with a layer trained on the training split.
    """
    import numpy as np

    from tokcom.channel.awgn import noise_variance
    from tokcom.errors import DatasetError, ParameterError
    from tokcom.models.installed import model_card
    from tokcom.models.published import load_sentences
    from tokcom.models.recovery import load_recovery
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom_lab.conditions_bench import AIR_KINDS, ConditionsBench, Points, air_table, losses_table
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import photographs_by_class
    from tokcom_lab.relevance_bench import Judge
    from tokcom_lab.sounding import SOUNDING, sound_points
    from tokcom_lab.training.sentences import phrasings, read_phrasings

    if data is None:
        raise DatasetError("conditions need labelled photographs: name them by --data")
    for share in lost:
        if not 0 < share <= 1:
            raise ParameterError(f"lost is {share}; it must be above 0, at most 1")
    for value in esn0_db:
        noise_variance(value)
    said, classes = read_phrasings(sentences), model_card(model).classes
    if missing := [name for name in classes if name not in said]:
        raise DatasetError(f"{sentences}: class {missing[0]} has no sentence")
    encoder = load_sentences()
    points = encoder.embed([said[name][-1] for name in classes]).numpy()
    named = encoder.embed([phrasings(name)[0] for name in classes]).numpy()
    photographs = photographs_of(data, images, model, seed)
    known = np.array([label is not None for label in photographs.labels])
    pictures, labels = photographs.pictures[known], np.array(photographs.labels)[known].astype(int)
    heard = None
    if sounds is not None:
        chosen = np.array([classes[label] in SOUNDING for label in labels], bool)
        if not chosen.any():
            raise DatasetError(
                f"none of {len(labels)} photographs is of a thing that makes a sound; take more --images"
            )
        pictures, labels = pictures[chosen], labels[chosen]
        heard = sound_points([classes[label] for label in labels], sounds, seed)
    others = (labels + np.random.default_rng(seed).integers(1, len(classes), len(labels))) % len(classes)
    tokenizer = load_tokenizer(model, 0, "cpu")
    with progress_bar() as bar:
        row = bar.add_task("judge", total=1)
        judge = Judge(
            *photographs_by_class(data, "train", classes, per_class, tokenizer.image_size, seed), len(classes)
        )
        bar.advance(row)
        told = Points(points[labels], named[labels], points[others], heard, n_bytes)
        bench = ConditionsBench(
            pictures, labels, photograph_tokens(pictures, model, visits=visits), told, model, tokenizer,
            load_context(model, "cpu"), load_recovery(model, "context", "cpu"), judge, seed,
        )  # fmt: skip
        row = bar.add_task("lost", total=len(pictures) * len(lost) * len(bench.kinds))
        losses = losses_table(bench, lost, shown, lambda done: bar.advance(row, done))
        row = bar.add_task("air", total=min(frames, len(pictures)) * len(esn0_db) * len(AIR_KINDS))
        air = air_table(bench, esn0_db, frames, lambda done: bar.advance(row, done)) if frames else []
    report = {
        "command": recorded_command(), "photographs": photographs.source, "images": len(pictures), "seed": seed,
        "bytes": n_bytes, "visits": visits, "energy_db": round(bench.energy_db(), 3), "lost": losses, "air": air,
    }  # fmt: skip
    if json_file is not None:
        write_json(report, json_file)
        return
    show(losses, f"tokens lost, {photographs.source}, {len(pictures)} photographs")
    if air:
        show(air, f"16-QAM 1/2, mode context; the sentence's airtime is {report['energy_db']} dB of energy")
