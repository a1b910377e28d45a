"""`tokcom models vectors`: the modulation vectors of multiple access."""

from pathlib import Path

import click

from tokcom.cli.options import seed_option
from tokcom.cli.output import progress_bar

ESN0_DB = {8: 6.0, 12: 3.0, 16: 2.0}
"""Lengths of the vectors, and the Es/N0 for which each is fitted: about where one token in a hundred is wrong."""


@click.command()
@click.option("--steps", default=400, show_default=True, type=click.IntRange(20), help="Of the descent, per length.")
@click.option(
    "--out",
    default="python/tokcom/multiple_access/vectors.safetensors",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that transmitters and receivers read when they are installed.",
)
@seed_option
def vectors(steps: int, out: Path, seed: int) -> None:
    """Fit the vectors by which multiple access sends tokens, for 8, 12 and 16 carriers.

    Transmitters and receivers of other vectors do not understand each other.
    """
    from safetensors.numpy import save_file

    from tokcom.errors import ParameterError
    from tokcom_lab.multiple_access.fitting import fit_vectors

    if not out.parent.is_dir():
        raise ParameterError(f"there is no folder {out.parent} for the vectors; make it, or name another file by --out")
    fitted = {}
    with progress_bar() as bar:
        for length, esn0_db in ESN0_DB.items():
            row = bar.add_task(f"{length} carriers", total=steps)
            fitted[str(length)] = fit_vectors(
                length, esn0_db, steps=steps, seed=seed, progress=lambda done, row=row: bar.advance(row, done)
            )
    save_file(fitted, out)
