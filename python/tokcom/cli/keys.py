"""`tokcom keys`: keys shared by transmitters and receivers."""

from pathlib import Path

import click

from tokcom.cli.groups import LazyGroup

HERE = "tokcom.cli.keys"


@click.group(cls=LazyGroup, places={"new": f"{HERE}:new", "show": f"{HERE}:show", "trust": f"{HERE}:trust"})
def keys() -> None:
    """Manage keys shared by transmitters and receivers."""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--private", is_flag=True, help="A private key of this end, to agree on shared keys with (X25519).")
def new(file: str, private: bool) -> None:
    """Make a key and write it to a new file, which only its owner may read."""
    from tokcom.security.agreement import PrivateKey, public_text, save_private_key
    from tokcom.security.keys import new_key, save_key

    key = new_key()
    if private:
        own = PrivateKey(key.secret)
        save_private_key(own, file)
        click.echo(f"{file}: {public_text(own.public)}")
        return
    save_key(key, file)
    click.echo(f"{file}: key 0x{key.id:04x}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def show(file: str) -> None:
    """The id by which bursts name a key, or the public key of a private one; secrets are not shown."""
    from tokcom.errors import KeyFileError
    from tokcom.security.agreement import load_private_key, public_text
    from tokcom.security.keys import load_key

    try:
        said = f"key 0x{load_key(file).id:04x}"
    except KeyFileError as error:
        try:
            said = public_text(load_private_key(file).public)
        except KeyFileError:
            raise error from None
    click.echo(f"{file}: {said}")


@click.command()
@click.argument("private", type=click.Path(dir_okay=False))
@click.argument("public")
@click.argument("file", type=click.Path(dir_okay=False))
def trust(private: str, public: str, file: str) -> None:
    """Pin the public key of another end, and write the key that both ends then share to a new file.

    PRIVATE is this end's private key, from `tokcom keys new --private`; PUBLIC is what `tokcom keys show` says of the
    other's, or a file that holds it.
    """
    from tokcom.errors import KeyFileError
    from tokcom.security.agreement import direction_of, load_private_key, public_of, shared_key
    from tokcom.security.keys import save_key

    own, path = load_private_key(private), Path(public)
    try:
        text = path.read_text(encoding="ascii")[:200] if not public.startswith("tokcom-public") else public
    except (OSError, UnicodeDecodeError):
        raise KeyFileError(f"{public} is neither a public key nor a file that holds one") from None
    other = public_of(text)
    key = shared_key(own, other)
    save_key(key, file)
    click.echo(f"{file}: key 0x{key.id:04x}; this end transmits in direction {direction_of(own, other)}")
