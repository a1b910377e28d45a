"""`tokcom keys`: keys shared by transmitters and receivers."""

import click

from tokcom.cli.groups import LazyGroup


@click.group(cls=LazyGroup, places={"new": "tokcom.cli.keys:new", "show": "tokcom.cli.keys:show"})
def keys() -> None:
    """Manage keys shared by transmitters and receivers."""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def new(file: str) -> None:
    """Make a key and write it to a new file, which only its owner may read."""
    from tokcom.security.keys import new_key, save_key

    key = new_key()
    save_key(key, file)
    click.echo(f"{file}: key 0x{key.id:04x}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def show(file: str) -> None:
    """Show the id by which bursts name a key; its secret is not shown."""
    from tokcom.security.keys import load_key

    click.echo(f"{file}: key 0x{load_key(file).id:04x}")
