"""`tokcom models`: work on the models of the zoo."""

import json
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tokcom.cli.groups import LazyGroup
from tokcom.cli.output import console
from tokcom.errors import TokcomError


@click.group(
    cls=LazyGroup,
    places={
        "export": "tokcom.cli.models:export",
        "fetch": "tokcom.cli.public_models:fetch",
        "import": "tokcom.cli.public_models:import_files",
        "import-text": "tokcom.cli.models:import_text",
        "list": "tokcom.cli.models:list_installed",
        "map": "tokcom_lab.cli.labels:map_labels",
        "measure": "tokcom_lab.cli.public_models:measure",
        "pull": "tokcom.cli.shelf:pull_model",
        "push": "tokcom.cli.shelf:push_model",
        "remove": "tokcom.cli.shelf:remove",
        "sign": "tokcom.cli.shelf:sign",
        "vectors": "tokcom_lab.cli.vectors:vectors",
        "verify": "tokcom.cli.shelf:verify",
    },
)
def models() -> None:
    """Work on the models of the zoo."""


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def list_installed(as_json: bool) -> None:
    """List the models that are found by name, in the order in which their folders are searched, and those that can be
    fetched or imported.

    The hashes of their files are checked by `tokcom doctor`.
    """
    from tokcom.cli.public_models import show_public
    from tokcom.models.card import Card
    from tokcom.models.folders import list_models, model_folders

    rows, broken = [], []
    for name, folder in list_models().items():
        try:
            rows.append(Card.read(folder).summary() | {"folder": str(folder)})
        except TokcomError as error:
            broken.append(f"{name}: {error}")
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if rows:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading, side in (("model", "left"), ("picture", "right"), ("tokens", "right"), ("words", "right"),
                              ("classes", "right"), ("MB", "right"), ("parts", "left")):  # fmt: skip
            table.add_column(heading, justify=side)
        for row in rows:
            table.add_row(
                row["name"], *("-" if row[key] is None else str(row[key]) for key in
                               ("picture", "tokens", "words", "classes", "megabytes")), ", ".join(row["parts"]),
            )  # fmt: skip
        Console().print(table)
        for row in rows:
            click.echo(f"{row['name']} is in {row['folder']}")
    for line in broken:
        console.print(line, highlight=False, soft_wrap=True)
    show_public({row["name"] for row in rows})
    if not rows:
        searched = ", ".join(map(str, model_folders())) or "no folder that exists"
        raise TokcomError(f"no models in {searched}; $TOKCOM_MODELS names more folders")


@click.command()
@click.argument("name")
@click.option(
    "--to", default="out/onnx", show_default=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder that the model's new folder is made in.",
)  # fmt: skip
def export(name: str, to: Path) -> None:
    """Write a model as ONNX files, for receivers without PyTorch.

    The new folder is a model of the same name and codebook, without its classifier. `--device onnx` takes it, and so do
    the blocks' parameter `device`; where PyTorch is not installed, `auto` does. It searches for no better tokens.
    """
    from tokcom.models.onnx_export import export_model

    with console.status(f"{name}: a minute or less"):
        written = export_model(name, to)
    click.echo(
        f"{written.folder}: {written.megabytes:.0f} MB; log-probabilities differ from PyTorch's by "
        f"{written.difference:.1g} at most; $TOKCOM_MODELS={to.resolve()} lets it be found by its name"
    )


@click.command(name="import-text")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", help="Name of the model. [default: that of the folder]")
@click.option(
    "--to", default=".cache/published", show_default=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder that the model's new folder is made in.",
)  # fmt: skip
@click.option("--licence", default="see the model's own card", help="Licence of the weights, for the model's card.")
def import_text(folder: Path, name: str | None, to: Path, licence: str) -> None:
    """Make a language model in FOLDER, as transformers saves it, a model of text for receivers.

    Causal models (GPT-2, Llama, …) and masked ones (BERT, RoBERTa, …) with a tokenizer of their own are taken; their
    weights must be safetensors. Nothing is downloaded.
    """
    from tokcom.cli.output import progress_bar
    from tokcom.models.text_import import import_text_model

    name = name or folder.resolve().name
    with progress_bar() as bar:
        row = bar.add_task(f"importing {name}", total=1.0)
        import_text_model(folder, to / name, licence, lambda share: bar.update(row, completed=share))
    click.echo(f"{to / name}: try ./run text --model {name} TEXT")
