"""The command that made a result, as cards and reports record it."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tokcom.cli.options import Aside


def recorded_words(**resolved: object) -> list[str]:
    """The words of the command that runs, defaults spelled out, so that later defaults change nothing.

    Files go by their names without folders. What is `Aside`, was not given and has no default, or is an unset flag is
    left out.

    Args:
        resolved: values by the parameters' names where the command chose them itself; None: left out.
    """
    context = click.get_current_context()
    words = ["./run", *context.command_path.split()[1:]]
    for parameter in context.command.params:
        value = resolved.get(parameter.name, context.params.get(parameter.name))
        if not isinstance(parameter, Aside) and value is not None and value is not False:
            words += _words(parameter, value)
    return words


def recorded_command(**resolved: object) -> str:
    """`recorded_words` as a line for a shell."""
    return shlex.join(recorded_words(**resolved))


def _words(parameter: click.Parameter, value: object) -> Iterator[str]:
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(parameter, click.Option):
            yield parameter.opts[0]
        if each is not True:
            yield ",".join(map(_word, each)) if isinstance(each, list) else _word(each)


def _word(value: object) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    name = value if isinstance(value, Path) else getattr(value, "name", None)
    return str(value) if name is None else Path(name).name
