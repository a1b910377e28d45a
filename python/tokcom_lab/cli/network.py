"""`tokcom repeat-risk`: what decides which lost packets are asked for again, measured and written into a card."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import device_option, json_option, seed_option
from tokcom.cli.output import progress_bar, show
from tokcom_lab.cli.options import images_option, models_option, split_data_option

ALPHAS = (0.02, 0.05, 0.1, 0.2)


@click.command()
@split_data_option
@click.option("--model", required=True, help="Model whose context is measured; its card is written.")
@models_option
@images_option(400, "Photographs.")
@click.option("--visits", default=0, show_default=True, type=click.IntRange(0), help="Of the search for better tokens.")
@device_option
@seed_option
@json_option("Write the thresholds as JSON")
def repeat_risk(
    data: Path, model: str, models: Path, images: int, visits: int, device: str, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure, on the training split, how often lost packets are guessed wrong that look sure, and write it to the
    model's card: receivers of datagrams ask for what is too doubtful."""
    import numpy as np

    from tokcom.models.zoo import load_classifier, load_tokenizer
    from tokcom.protocol.repeat_risk import GROUPS
    from tokcom_lab.network.material import Material
    from tokcom_lab.network.repeat_risk import fit_repeat_risk, judged_frames
    from tokcom_lab.photographs import load_photographs
    from tokcom_lab.training.export import export_repeats

    folder = str(models / model)
    size, classifier = load_tokenizer(folder, 0, device).image_size, load_classifier(folder, device)
    photographs = load_photographs(data, images, size, classifier, seed, "train")
    material = Material.of(photographs, folder, visits, device)
    with progress_bar() as bar:
        task = bar.add_task("frames", total=len(material.frames))
        judged = judged_frames(material, "calibration", seed, lambda done: bar.advance(task, done))
    risk = fit_repeat_risk(judged)
    export_repeats(models / model, risk, recorded_command())
    rows = []
    for group in range(GROUPS):
        if risk.frames[group]:
            weights = np.eye(GROUPS)[group]
            rows.append(
                {"packets lost": f"{group / GROUPS:.0%} to {(group + 1) / GROUPS:.0%}", "frames": risk.frames[group]}
                | {f"threshold at {alpha:.0%}": risk.threshold(alpha, weights) for alpha in ALPHAS}
            )
    show(rows, f"{model}, training split, {len(judged)} frames", json_file)
