"""`tokcom calibrate`, `residual`, `eesm`, `packet-sizes`: measurements that go into cards and tables."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Numbers, WholeNumbers, device_option, drawing_option, json_option, seed_option
from tokcom.cli.output import progress_bar, show
from tokcom_lab.cli.options import images_option, jobs_option, models_option, split_data_option


@click.command()
@split_data_option
@click.option("--model", required=True, help="Model whose context is calibrated, and whose card is updated.")
@models_option
@images_option(300, "Photographs per split.")
@click.option("--esn0-db", type=Numbers(), default="1,2,3,4", show_default=True, help="Points in dB, pooled.")
@device_option
@seed_option
@drawing_option("--svg", "Draw the reliability diagram to this file.")
@json_option("Write the reliability as JSON")
def calibrate(
    data: Path, model: str, models: Path, images: int, esn0_db: list[float], device: str, seed: int, svg: Path | None,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Calibrate packets' posteriors on the training split, write the result to the model's card, check it on the test
    split."""
    from tokcom.context.acceptance import Acceptance, fit_acceptance
    from tokcom.models.recovery import load_recovery
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves.calibration import outcomes, reliability
    from tokcom_lab.curves.context_curve import Bench
    from tokcom_lab.curves.context_plot import draw_reliability
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import class_names, load_photographs
    from tokcom_lab.training.export import export_acceptance

    folder = str(models / model)
    tokenizer, classifier = load_tokenizer(folder, device=device), class_names(folder, device)
    recovery = load_recovery(folder, "context", device, acceptance=Acceptance())
    found = {}
    with progress_bar() as bar:
        for split in ("train", "test"):
            photographs = load_photographs(data, images, tokenizer.image_size, classifier, seed, split)
            row = bar.add_task(f"{split}: tokens", total=len(photographs.pictures))
            photograph_tokens(photographs.pictures, folder, progress=lambda done, row=row: bar.advance(row, done))
            row = bar.add_task(split, total=len(photographs.pictures) * len(esn0_db))
            bench = Bench(photographs, folder, tokenizer, seed=seed)
            found[split] = outcomes(bench, recovery, esn0_db, lambda done, row=row: bar.advance(row, done))
    acceptance = fit_acceptance(found["train"].log_odds, found["train"].right)
    export_acceptance(models / model, acceptance, recorded_command())
    before, after = (reliability(found["test"], curve) for curve in (Acceptance(), acceptance))
    if svg is not None:
        draw_reliability(before, after, svg)
    show(after, f"{model}, test split, {len(found['test'].right)} packets", json_file)


@click.command()
@split_data_option
@click.option("--model", required=True, help="Model whose context is measured, and whose card is updated.")
@models_option
@images_option(15, "Photographs, or frames or groups of videos.")
@click.option("--videos", is_flag=True, help="DATA holds train/VIDEO/*: fit frames that are predicted from others.")
@click.option("--group", default=1, show_default=True, type=click.IntRange(1, 16), help="Frames of a video per burst.")
@click.option("--tokens-per-packet", default=4, show_default=True, type=click.IntRange(1, 64), help="Size of packets.")
@click.option("--levels", default=2, show_default=True, type=click.IntRange(1, 5), help="Es/N0s per frame and MCS.")
@jobs_option(2)
@device_option
@seed_option
@json_option("Write table and fit as JSON")
def residual(
    data: Path, model: str, models: Path, images: int, videos: bool, group: int, tokens_per_packet: int, levels: int,
    jobs: int, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Fit the errors after context decoding on the training split, and write the result to the model's card."""
    if group > 1 and not videos:
        raise click.UsageError(f"--group {group} is for frames of videos: add --videos")
    from tokcom.models.card import CONTEXT, FOLLOWING
    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom_lab.curves.adaptation_bench import prepare
    from tokcom_lab.curves.residual_fit import SCHEMES, fit_residual, fit_rows, measure_residual
    from tokcom_lab.curves.video_groups import frames_to_fit
    from tokcom_lab.photograph_tokens import photograph_tokens
    from tokcom_lab.photographs import load_photographs
    from tokcom_lab.training.export import export_residual

    folder, conditions = str(models / model), None
    with progress_bar() as bar:
        row = bar.add_task("tokens", total=images * group if videos else images)

        def done(count: int) -> None:
            bar.advance(row, count)

        if videos:
            frames, conditions = frames_to_fit(data, folder, images, group, device, done)
        else:
            size, classifier = load_tokenizer(folder, 0).image_size, load_classifier(folder, device)
            photographs = load_photographs(data, images, size, classifier, seed, "train")
            photograph_tokens(photographs.pictures, folder, progress=done)
            frames = prepare(folder, photographs.pictures, photographs.labels, device).frames
        row = bar.add_task("frames", total=len(frames) * len(SCHEMES) * levels)
        found = measure_residual(folder, frames, seed, jobs, done, device, conditions, tokens_per_packet, levels)
    fitted = fit_residual(found, recorded_command())
    export_residual(models / model, fitted, FOLLOWING if videos else CONTEXT)
    show(fit_rows(found, fitted), f"{model}, training split, {len(frames)} frames", json_file)


@click.command()
@click.option("--profile", default="etu", show_default=True, help="Fading profile of the channel models.")
@click.option("--draws", default=30, show_default=True, type=click.IntRange(2), help="Draws of its paths per MCS.")
@click.option("--packets", default=200, show_default=True, type=click.IntRange(10), help="Packets per draw.")
@seed_option
@json_option("Write the figures as JSON")
def eesm(profile: str, draws: int, packets: int, seed: int, json_file: click.utils.LazyFile | None) -> None:
    """Fit beta of the exponential effective SNR mapping for every MCS, as in the MCS table."""
    from tokcom.mcs import mcs_table
    from tokcom_lab.curves.effective_snr import fit_betas

    with progress_bar() as bar:
        row = bar.add_task(profile, total=draws * len(mcs_table()))
        rows = fit_betas(profile, draws, packets, seed, lambda done: bar.advance(row, done))
    show(rows, f"{profile}, {draws} draws of {packets} packets", json_file)


@click.command()
@click.option(
    "--payload-bits",
    type=WholeNumbers(1, 2048),
    default="10,14,28,40,56,112,226,512",
    show_default=True,
    help="Bits of tokens per packet, separated by commas.",
)
@click.option("--predicted", default=0.1, show_default=True, type=click.FloatRange(1e-4, 0.9), help="Share of packets.")
@click.option("--packets", default=20000, show_default=True, type=click.IntRange(300), help="Packets per point.")
@click.option("--listed", is_flag=True, help="Packets of bits, list-decoded with their CRC.")
@click.option("--fit", is_flag=True, help="Measure the thresholds of the MCS table instead, at its sizes.")
@seed_option
@json_option("Write the figures as JSON")
def packet_sizes(
    payload_bits: list[int], predicted: float, packets: int, listed: bool, fit: bool, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure the losses of packets of any size in AWGN where the MCS table predicts a given share."""
    from tokcom.mcs import LISTED_BITS, PAYLOAD_BITS, mcs_table
    from tokcom_lab.curves.packet_sizes import losses_where_predicted, measure_thresholds

    sizes = payload_bits if not fit else LISTED_BITS if listed else PAYLOAD_BITS
    with progress_bar() as bar:
        row = bar.add_task("packets", total=len(sizes) * len(mcs_table()))
        if fit:
            rows = measure_thresholds(packets, seed, sizes, lambda done: bar.advance(row, done), listed)
        else:
            rows = losses_where_predicted(predicted, packets, seed, sizes, lambda done: bar.advance(row, done), listed)
    show(rows, f"{packets} packets per point", json_file)
