"""Record of the command that made a result, for cards and reports."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tokcom.cli.options import Aside


def recorded_words(**resolved: object) -> list[str]:
    """Return the words of the running command, with defaults spelled out, so that later changes of defaults do not
    matter.

    Files are recorded without their folders. Left out are options of class `Aside`, those that were not given and have
    no default, and unset flags.

    Args:
        resolved: values, by parameter, that the command chose itself; None to leave one out.
    """
    context = click.get_current_context()
    words = ["./run", *context.command_path.split()[1:]]
    for parameter in context.command.params:
        value = resolved.get(parameter.name, context.params.get(parameter.name))
        if not isinstance(parameter, Aside) and value is not None and value is not False:
            words += _words(parameter, value)
    return words


def recorded_command(**resolved: object) -> str:
    """Return `recorded_words` as a line for a shell."""
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
