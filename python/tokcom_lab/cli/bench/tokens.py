"""`tokcom bench mapping`, `tokens`, `photographs`: fidelity of tokens and benefit of their labels."""

from dataclasses import asdict
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import (
    Names,
    Numbers,
    WholeNumbers,
    device_option,
    drawing_option,
    json_option,
    model_option,
    seed_option,
)
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option


@click.command()
@data_option
@images_option(100)
@click.option(
    "--uncoded",
    type=Names(),
    default="1024qam,1024qam map,32qam 32qam,16qam 16qam qpsk,1024psk",
    show_default=True,
    help="Schemes without code, separated by commas; with map at the end, MAP detection under the context's prior.",
)
@click.option("--esn0-db", type=Numbers(), help="Es/N0 of these schemes. [default: where each makes errors]")
@click.option(
    "--modes", type=Names(), default="keep,context", show_default=True, help="Modes of the receiver of coded packets."
)
@click.option(
    "--keep-esn0-db", type=Numbers(), default="3,4,5,6,7", show_default=True, help="Es/N0 for modes keep and mask."
)
@click.option(
    "--context-esn0-db", type=Numbers(), default="0,1,2,3", show_default=True, help="Es/N0 for list and context."
)
@model_option
@drawing_option("--constellations", "Draw 1024-QAM, coloured, to this file.")
@drawing_option("--pictures", "Draw photographs after errors to this file.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def mapping(
    data: Path | None, images: int, uncoded: list[str], esn0_db: list[float] | None, modes: list[str],
    keep_esn0_db: list[float], context_esn0_db: list[float], model: str, constellations: Path | None,
    pictures: Path | None, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Compare natural, random and semantic labels of tokens on photographs, with and without code (half an hour)."""
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves import context_curve, mapping_curve
    from tokcom_lab.curves.mapping_plot import draw_errors, draw_labels

    plans = []
    for scheme in filter(None, uncoded):
        mapping_curve.labels_of(scheme)
        plans.append((scheme, esn0_db or mapping_curve.ESN0_DB[scheme.removesuffix(mapping_curve.WITH_CONTEXT)]))
    for mode in filter(None, modes):
        plans.append((f"coded {mode}", keep_esn0_db if mode in ("keep", "mask") else context_esn0_db))
    frames = sum(len(mapping_curve.labels_of(scheme)) * len(values) for scheme, values in plans)
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    count = len(photographs.pictures)
    bench = mapping_curve.MappingBench(photographs, model, load_tokenizer(model, 0, device), seed, device)
    with progress_bar() as bar:
        row = bar.add_task("frames", total=count * frames)
        points = [
            asdict(point)
            for scheme, values in plans
            for point in mapping_curve.mapping_curve(bench, [scheme], values, lambda done: bar.advance(row, done))
        ]
    report = {
        "command": recorded_command(), "photographs": photographs.source, "images": count, "mcs": context_curve.MCS,
        "seed": seed, "mapping": points,
    }  # fmt: skip
    if constellations is not None:
        draw_labels(bench, constellations)
    if pictures is not None:
        draw_errors(bench, (15, 20, 25), pictures)
    if json_file is not None:
        write_json(report, json_file)
        return
    show(points, f"{photographs.source}, {count} photographs")


@click.command()
@data_option
@images_option(200, "Photographs.")
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@click.option("--rates", type=Numbers(), default="0,0.05,0.08,0.12,0.2", show_default=True, help="Weights of one bit.")
@click.option(
    "--visits", type=WholeNumbers(), default="0,1,2,4,6,8,12,20", show_default=True, help="Numbers of search passes."
)
@click.option(
    "--by",
    type=click.Choice(["pictures", "latents"]),
    default="pictures",
    show_default=True,
    help="Search by the error of decoded pictures (rates in nepers) or by the encoder's latents (beside a cosine).",
)
@model_option
@drawing_option("--svg", "Draw the curves to this file.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def tokens(
    data: Path | None, images: int, split: str, rates: list[float], visits: list[int], by: str, model: str,
    svg: Path | None, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure PSNR over bits per token, with the search for tokens of better quality and lower cost (half an hour)."""
    from tokcom.device import find_device
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom_lab.curves.rate_distortion_curve import draw_rate_distortion, rate_distortion_curve

    photographs = photographs_of(data, images, model, seed, split)
    count = len(photographs.pictures)
    with progress_bar() as bar:
        row = bar.add_task("visits", total=count * max(visits) * len(rates))
        points = list(
            rate_distortion_curve(
                photographs.pictures, load_tokenizer(model, 0, find_device(device)),
                load_context(model, find_device(device)), rates, visits, seed,
                lambda done: bar.advance(row, done), by,
            )
        )  # fmt: skip
    if svg is not None:
        draw_rate_distortion(points, svg)
    rows = [asdict(point) for point in points]
    if json_file is not None:
        report = {"photographs": photographs.source, "images": count, "seed": seed, "by": by, "points": rows}
        write_json({"command": recorded_command()} | report, json_file)
        return
    show(rows, f"{photographs.source}, {count} photographs")


@click.command()
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Folder, tar or zip of train/CLASS and test/CLASS; may be repeated.",
)
@images_option(300, "Photographs of the test split.")
@click.option("--visits", type=click.IntRange(0), help="Search passes per picture. [default: as in the model's card]")
@click.option("--model", required=True, help="A model of the zoo, by name or folder.")
@device_option
@seed_option
@json_option("Write the figures as JSON")
def photographs(
    data: tuple[Path, ...], images: int, visits: int | None, model: str, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure a model for photographs, judged by EfficientNet-Lite2, which was not used in its training."""
    from tokcom.models.installed import model_card
    from tokcom_lab.curves.photograph_quality import photograph_quality

    with progress_bar() as bar:
        row = bar.add_task("photographs", total=2 * images)
        figures = photograph_quality(
            data,
            model,
            images,
            visits=visits,
            device=device,
            seed=seed,
            progress=lambda done: bar.advance(row, done),
        )
    report = {
        "command": recorded_command(), "model": model_card(model).name,
        "photographs": ", ".join(source.name for source in data), "seed": seed, "visits": visits,
        "figures": asdict(figures),
    }  # fmt: skip
    if json_file is not None:
        write_json(report, json_file)
        return
    title = f"{report['model']}, {figures.images} photographs of the test split of {report['photographs']}"
    show([{"figure": name, "value": value} for name, value in report["figures"].items()], title)
