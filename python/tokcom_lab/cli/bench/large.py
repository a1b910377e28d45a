"""`tokcom bench large`: what public models take at full size."""

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, json_option
from tokcom.cli.output import progress_bar, show, write_json

LARGEST_BYTES = 1.7e9


@click.command()
@click.option(
    "--models", "names", type=Names(), default=None, help="Names of public models. [default: those of at most 1.7 GB]"
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Timed passes; the median counts.")
@json_option("Write the rows as JSON")
def large(names: list[str] | None, rounds: int, json_file: click.utils.LazyFile | None) -> None:
    """Measure memory, loading time and time per pass of public models' networks at full size.

    Weights are random: what is measured does not depend on them. Time is given in seconds, and as a share of the speed
    of this machine's matrix products. An interrupted run continues where it was.
    """
    from tokcom.models.public.catalogue import public_models
    from tokcom_lab.large_models import measure_model

    models = public_models()
    chosen = names or [name for name, model in models.items() if model.size("disk") < LARGEST_BYTES]
    rows: list[dict] = []
    with progress_bar() as bar:
        task = bar.add_task("models", total=len(chosen))
        for name in chosen:
            bar.update(task, description=name)
            rows += measure_model(name, rounds)
            bar.advance(task)
    if json_file is not None:
        write_json({"command": recorded_command(), "rows": rows}, json_file)
        return
    show(rows, "public models, random weights")
