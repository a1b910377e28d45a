"""`tokcom case-study`: the case study of the paper."""

import sys
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_words
from tokcom.cli.options import SEEDS, Aside, Names, Numbers, WholeNumbers, device_option, model_option
from tokcom.cli.output import console, progress_bar
from tokcom.errors import TokcomError
from tokcom_lab.cli.options import data_option, images_option


@click.command(name="case-study")
@data_option
@images_option(200, "Photographs.")
@click.option(
    "--esn0-db", type=Numbers(), default="6,6.5,7,7.5,8,9", show_default=True, help="Points in dB, separated by commas."
)
@click.option("--schemes", type=Names(), default="all", show_default=True, help="Schemes, separated by commas.")
@click.option(
    "--link",
    "link_name",
    default="k7",
    show_default=True,
    type=click.Choice(["paper", "crc", "k7", "burst"]),
    help="The link.",
)
@click.option(
    "--channel", default="none", show_default=True, help="Multipath profile, for --link burst: none, epa, etu, …"
)
@click.option(
    "--seeds",
    type=WholeNumbers(SEEDS.min, SEEDS.max),
    default="0",
    show_default=True,
    help="Seeds of the noise, separated by commas.",
)
@click.option(
    "--attempts",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of transmissions per packet.",
)
@click.option("--free-container", is_flag=True, help="Containers of picture codecs are known to the receiver.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with weights of LPIPS, CLIP and Cheng2020.",
)
@click.option(
    "--judge",
    default="classifier",
    show_default=True,
    type=click.Choice(["classifier", "lite2"]),
    help="What compares the content of pictures: the model's classifier, or EfficientNet-Lite2 for photographs.",
)
@model_option
@device_option
@click.option(
    "--scheduler",
    cls=Aside,
    help="Address of a Dask scheduler, tls://HOST:PORT or tcp://HOST:PORT. [default: processes of this machine]",
)
@click.option(
    "--workers", cls=Aside, type=click.IntRange(1), help="Processes of this machine. [default: one per processor]"
)
@click.option(
    "--shown",
    default=6,
    show_default=True,
    type=click.IntRange(0),
    help="Photographs whose received pictures are kept.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results; those already there are not recomputed.",
)
def case_study(
    data: Path | None, images: int, esn0_db: list[float], schemes: list[str], link_name: str,
    channel: str, seeds: list[int], attempts: int, free_container: bool, weights: Path | None, judge: str, model: str,
    device: str, scheduler: str | None, workers: int | None, shown: int, out: Path,
) -> None:  # fmt: skip
    """Run the paper's case study: all schemes on the same photographs, packets, code, modulation and noise.

    Stopped by Ctrl-C or otherwise, the same command continues where it was.
    """
    import distributed  # noqa: F401  # without it the study would fail after its start

    from tokcom.channel.awgn import noise_variance
    from tokcom.device import find_device
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.case_study.cells import StudySettings, absences, jobs_of
    from tokcom_lab.case_study.report import write_report
    from tokcom_lab.case_study.schedule import run_jobs, travels_in_clear
    from tokcom_lab.case_study.schemes import find_schemes
    from tokcom_lab.case_study.store import CellStore
    from tokcom_lab.cli.bench.material import with_tokens
    from tokcom_lab.photographs import load_photographs

    settings = StudySettings(
        model, link_name, channel, attempts, free_container, str(weights or ""), str(find_device(device)), judge
    )
    for value in esn0_db:
        noise_variance(value)
    wanted, absent = [scheme.name for scheme in find_schemes(schemes)], absences(settings)
    for name, why in absent.items():
        if name in wanted or name in ("lpips", "clip"):
            console.print(f"{name}: not computed: {why}", highlight=False)
    computed = [name for name in wanted if name not in absent]
    photographs = with_tokens(
        load_photographs(data, images, load_tokenizer(model).image_size, load_classifier(model), 0), model
    )
    jobs = jobs_of(photographs.pictures, photographs.names, photographs.labels, esn0_db, seeds, computed, shown)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TokcomError(f"{out}: the folder cannot be created: {error.strerror}") from None
    if scheduler is not None and travels_in_clear(scheduler):
        console.print(
            f"{scheduler} is not encrypted: anyone who can reach it can run programs on its workers; "
            "outside a trusted network use tls://",
            highlight=False,
        )
    store = CellStore(out / "cells.sqlite", settings)
    try:
        with progress_bar() as bar:
            row = bar.add_task(f"case study, link {link_name}", total=sum(len(job.schemes) for job in jobs))
            run_jobs(
                settings, jobs, store, scheduler=scheduler, workers=workers,
                progress=lambda done: bar.advance(row, done),
            )  # fmt: skip
        cells = list(store.cells(jobs))
    except KeyboardInterrupt:
        console.print(f"stopped; the same command continues from {out / 'cells.sqlite'}")
        sys.exit(130)
    finally:
        store.close()
    write_report(out, settings, cells, absent, wanted, photographs.source, recorded_words())
    console.print(f"{out / 'index.html'}")
