"""`tokcom models fetch` and `import`: public models by name."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tokcom.cli.output import console
from tokcom.models.folders import PUBLISHED

if TYPE_CHECKING:
    from tokcom.models.public.catalogue import PublicModel

TO = click.option(
    "--to", default=str(PUBLISHED), show_default=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder that the model's folder is made in.",
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="Accept the licence, which is shown, without being asked.")
@TO
def fetch(name: str, accept_licence: bool, to: Path) -> None:
    """Download a public model from the Hugging Face hub and import it.

    `./run models list` shows the names, licences and sizes. The download is kept in the hub's cache and continued where
    it was interrupted. Where there is no internet, download the files elsewhere and call `./run models import`.
    """
    from tokcom.models.public.catalogue import public_model
    from tokcom.models.public.fetching import fetch_files

    model = public_model(name)
    _show_licence(model)
    if not accept_licence:
        if not sys.stdin.isatty():
            raise click.UsageError("the licence must be accepted: read it, then call again with --accept-licence")
        click.confirm("Do you accept it?", abort=True, err=True)
    _import(model, fetch_files(model, lambda step: console.print(step, highlight=False)), to)


@click.command(name="import")
@click.argument("name")
@click.option(
    "--from", "files", multiple=True, required=True, metavar="FILE",
    help="A file of the model, named as its publisher named it, or PART=FILE; repeat the option, or name the other "
    "files behind it.",
)  # fmt: skip
@click.argument("more", nargs=-1, metavar="[FILE]…")
@TO
def import_files(name: str, files: tuple[str, ...], more: tuple[str, ...], to: Path) -> None:
    """Import a public model from files that were downloaded by hand; no network is used.

    The files become half-precision safetensors with a card. Pickles are read in a process of their own, without running
    anything that they contain. Files with hashes in the catalogue must match them.
    """
    from tokcom.models.public.catalogue import public_model
    from tokcom.models.public.importing import files_of

    model = public_model(name)
    matched = files_of(model, [*files, *more])
    _show_licence(model)
    _import(model, matched, to)


def show_public(installed: Collection[str]) -> None:
    """Print a table of the catalogue's models that are not installed."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="public models, for ./run models fetch or import")
    table.add_column("model", no_wrap=True)
    for heading in ("GB", "memory, GB", "GFLOP", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence")
    table.add_column("what")
    for row in public_rows(installed):
        gflop, seconds = row["gflop"], row["seconds"]
        table.add_row(
            row["name"], f"{row['gigabytes']:.2f}", f"{row['memory_gb']:.1f}", "-" if gflop is None else f"{gflop:g}",
            "-" if seconds is None else f"{seconds:.1f}", row["licence"], row["description"],
        )  # fmt: skip
    if table.row_count:
        Console().print(table)
        click.echo(
            "GB: on disk, once imported. memory: of the weights, on the processors. GFLOP, s: per pass of the context "
            "model, about, here"
        )


def public_rows(installed: Collection[str]) -> list[dict]:
    """Describe the catalogue's models that are not installed, for people and programs.

    Args:
        installed: names of models that are left out.

    Returns:
        A row per model: name, description, licence, gigabytes on disk, memory_gb on the processors, gflop and expected
        seconds per pass of the context model, None if it has none.
    """
    from tokcom.models.public.catalogue import public_models
    from tokcom.models.public.speed import SHARE, expected_seconds, machine_gflops

    speed, rows = machine_gflops(), []
    for name, model in public_models().items():
        if name in installed:
            continue
        gflop = next((part.gflop["pass"] for part in model.parts.values() if "pass" in part.gflop), None)
        rows.append(
            {
                "name": name, "description": model.description, "licence": model.licence,
                "gigabytes": model.size("disk") / 1e9, "memory_gb": model.size("processors") / 1e9, "gflop": gflop,
                "seconds": None if gflop is None else expected_seconds(gflop, SHARE, speed),
            }
        )  # fmt: skip
    return rows


def _show_licence(model: "PublicModel") -> None:
    click.echo(f"{model.name}: {model.description}.", err=True)
    click.echo(f"Licence of the weights: {model.licence}. Training data: {model.data}.", err=True)
    for entry in model.parts.values():
        size = "" if entry.bytes is None else f" ({entry.bytes / 1e9:.2f} GB)"
        click.echo(f"  {entry.place}{size}", err=True)


def _import(model: "PublicModel", files: Mapping[str, list[Path]], to: Path) -> None:
    from tokcom.models.public.fetching import by_hand
    from tokcom.models.public.importing import import_model

    with console.status(f"{model.name}: starting") as status:
        card = import_model(model, files, to / model.name, lambda step: status.update(step))
    click.echo(f"{card.parent}: {', '.join(files)} of {model.name}; use it as model {model.name}")
    missing = [part for part in model.parts if part not in files]
    if missing:
        click.echo(f"Its {', '.join(missing)} not yet. {by_hand(model, missing)}", err=True)
