"""The page of all commands of tokcom, made from click."""

import click

from tokcom.cli.main import main


def commands(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, with their names from the first on."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found += commands(command.get_command(context, name), (*path, name))
    return found


def page() -> str:
    """The page, in Markdown."""
    parts = [
        "# Commands",
        "`./run COMMAND` is `tokcom COMMAND` in the checkout's own environment; `man tokcom` says the same as this "
        "page, and `./run COMMAND --help` what your version takes.",
    ]
    for path, command in commands(main, ("tokcom",)):
        context = click.Context(command, info_name=" ".join(path), terminal_width=100, max_content_width=100)
        parts += [f"{'#' * min(len(path) + 1, 4)} {' '.join(path)}", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts)
