"""`tokcom models pull`, `push`, `sign`, `verify`, `remove`: models between machines."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tokcom.cli.output import console, progress_bar

from_option = click.option("--from", "server", required=True, metavar="ADDRESS", help="Server (tokcom serve --share).")
signer_option = click.option(
    "--signer", "signers", multiple=True, metavar="SIGNER",
    help="Public key of a signer (tokcom models sign) of whom one must have signed the model; may be repeated.",
)  # fmt: skip


@click.command("pull")
@click.argument("model", required=False)
@from_option
@click.option(
    "--to", default="models", show_default=True, type=click.Path(path_type=Path, file_okay=False), help="Its folder."
)
@signer_option
def pull_model(model: str | None, server: str, to: Path, signers: tuple[str, ...]) -> None:
    """Fetch a model from another machine, and check its hashes and its signature; without MODEL, list what can be had.

    MODEL is a name, the beginning of a version, or the id of a codebook that a receiver has met, such as 0x879cc20a.
    Another version of a model that is here stays beside it. Interrupted, the same command goes on.
    """
    from tokcom.models.travel import available, pull
    from tokcom.security.signatures import read_signer

    if model is None:
        table = Table("model", "version", "codebook", "MB")
        for each in available(server):
            book = f"0x{each.codebook_id:08x}" if each.codebook_id else "-"
            table.add_row(each.name, each.version.hex()[:8], book, f"{each.size / 1e6:.1f}")
        Console().print(table)
        return
    with progress_bar() as bar:
        row = bar.add_task(model, total=None)
        folder = pull(
            server, model, to, [read_signer(each) for each in signers],
            lambda done, total: bar.update(row, completed=done, total=total),
        )  # fmt: skip
    click.echo(folder)


@click.command("push")
@click.argument("model")
@click.option("--to", "server", required=True, metavar="ADDRESS", help="Server (tokcom serve --accept SIGNER).")
def push_model(model: str, server: str) -> None:
    """Give a signed model to another machine."""
    from tokcom.models.travel import push

    with progress_bar() as bar:
        row = bar.add_task(model, total=None)
        entry = push(server, model, lambda done, total: bar.update(row, completed=done, total=total))
    console.print(f"{entry.name}, version {entry.version.hex()[:8]}, {entry.size / 1e6:.1f} MB")


@click.command()
@click.argument("model")
@click.option("--key", required=True, type=click.Path(dir_okay=False), help="Private key (tokcom keys new --private).")
def sign(model: str, key: str) -> None:
    """Vouch for a model: write a signature of its card, which names the hashes of all its files, beside it."""
    from tokcom.models.shelf import sign_model
    from tokcom.security.agreement import load_private_key

    click.echo(sign_model(model, load_private_key(key)))


@click.command()
@click.argument("model")
@signer_option
def verify(model: str, signers: tuple[str, ...]) -> None:
    """Check that a model's files are those of its card, and who has signed it."""
    from tokcom.models.card import file_hash
    from tokcom.models.installed import model_card
    from tokcom.models.shelf import CARD, verify_folder
    from tokcom.security.signatures import read_signer, signer_text

    folder = model_card(model).folder
    signer = verify_folder(folder, [read_signer(each) for each in signers])
    said = "signed by nobody" if signer is None else f"signed by {signer_text(signer)}"
    click.echo(f"{folder}: version {file_hash(folder / CARD)[:8]}, files whole, {said}")


@click.command()
@click.argument("model")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(model: str, yes: bool) -> None:
    """Delete a model's folder."""
    import shutil

    from tokcom.models.installed import model_card

    folder = model_card(model).folder
    yes or click.confirm(f"delete {folder}?", abort=True)
    shutil.rmtree(folder)
    console.print(f"{folder} is deleted")
