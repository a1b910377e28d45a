"""Groups of commands that import a command when it is called, and report errors in one line."""

import sys
from collections.abc import Mapping
from importlib import import_module

import click

from tokcom.cli.output import console
from tokcom.errors import TokcomError


class LazyGroup(click.Group):
    """Group whose commands are imported on demand.

    Args:
        places: "module:name" of each command by its name. If the laboratory is not installed, its commands say so.
    """

    def __init__(self, *arguments: object, places: Mapping[str, str], **settings: object):
        super().__init__(*arguments, **settings)
        self._places = places

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self._places)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.commands and name in self._places:
            self.add_command(_imported(name, *self._places[name].split(":")), name)
        return self.commands.get(name)


class Program(LazyGroup):
    """Top-level group: reports errors in one line, whether TokcomErrors, errors of the disk, or missing packages."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except TokcomError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            what = error.filename or "the results could not be written"
            raise click.ClickException(f"{what}: {error.strerror or error}") from error
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package in ("", "tokcom", "tokcom_lab"):
                raise
            said = f"this needs the Python package {package}, which this Python cannot find; run: tokcom doctor"
            raise click.ClickException(said) from error
        except KeyboardInterrupt:
            console.print("stopped")
            sys.exit(130)


def _imported(name: str, module: str, attribute: str) -> click.Command:
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "tokcom_lab":
            raise
    return click.Command(
        name,
        callback=lambda: _refuse(name),
        short_help="(of the laboratory, which is not installed)",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _refuse(name: str) -> None:
    raise click.ClickException(
        f"{name} belongs to the laboratory, tokcom_lab, which is not installed: install the Debian package "
        "gr-tokcom-lab, or use ./run in a checkout"
    )
