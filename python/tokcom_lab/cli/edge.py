"""`tokcom escalation`: when a device asks an edge server."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Numbers, json_option, seed_option
from tokcom.cli.output import progress_bar, show
from tokcom_lab.cli.options import images_option, models_option, split_data_option


@click.command()
@split_data_option
@click.option("--model", required=True, help="Model with a small context, whose card is updated.")
@models_option
@images_option(60, "Photographs of the training split.")
@click.option("--esn0-db", type=Numbers(), default="0,1,2,3,4,5", show_default=True, help="Points in dB, pooled.")
@click.option("--visits", default=0, show_default=True, type=click.IntRange(0), help="Search passes per photograph.")
@click.option(
    "--excess", default=0.0, show_default=True, type=click.FloatRange(0, 1),
    help="Wrong tokens allowed beyond those of asking always, as a share of these.",
)  # fmt: skip
@seed_option
@json_option("Write the figures as JSON")
def escalation(
    data: Path, model: str, models: Path, images: int, esn0_db: list[float], visits: int, excess: float, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Calibrate a model's small context on the training split, learn when a device with it asks an edge server, and
    write both to the model's card.

    Interrupted, the same command goes on with the frames that are not yet decoded.
    """
    import numpy as np

    from tokcom.context.acceptance import Acceptance, fit_acceptance
    from tokcom.models.card import CONTEXT, SMALL_CONTEXT
    from tokcom.offload.escalation import fit_policy
    from tokcom_lab.edge.decisions import decision_rows, decoded, edge_bench
    from tokcom_lab.training.export import export_escalation

    folder = str(models / model)
    bench = edge_bench(data, folder, images, "train", visits, seed)
    total = len(bench.frames) * len(esn0_db)
    with progress_bar() as bar:

        def counted(what: str):
            row = bar.add_task(what, total=total)
            return lambda done: bar.advance(row, done)

        raw = decoded(bench, SMALL_CONTEXT, esn0_db, Acceptance(), progress=counted("small context, not calibrated"))
        odds = np.array([each for row in raw for each in row.log_odds])
        acceptance = fit_acceptance(odds, np.array([each for row in raw for each in row.right], bool))
        here = decoded(bench, SMALL_CONTEXT, esn0_db, acceptance, progress=counted("small context"))
        there = decoded(bench, CONTEXT, esn0_db, progress=counted("context"))
    doubts, own, other = (
        np.array([getattr(row, name) for row in rows])
        for rows, name in ((here, "doubt"), (here, "wrong"), (there, "wrong"))
    )
    policy = fit_policy(doubts, own, other, excess)
    export_escalation(models / model, acceptance, policy, recorded_command())
    show(decision_rows(here, there, policy), f"{model}, training split", json_file)
