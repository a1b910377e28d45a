"""Kinds of options common to several commands."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from tokcom.models.folders import DEFAULT_MODEL

SEEDS = click.IntRange(0, 2**31 - 10_000)
"""Range of seeds that every generator accepts, with some room for derived seeds."""


class Aside(click.Option):
    """Option that affects only the destination or speed of results, not the results."""


class Numbers(click.ParamType):
    """List of finite numbers separated by commas."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers like 6,6.5,7", param, context)
        for number in numbers:
            if not math.isfinite(number):
                self.fail(f"{param.name if param else 'it'} is {number}; it must be a finite number", param, context)
        return numbers


class WholeNumbers(Numbers):
    """List of integers separated by commas, each in a range."""

    def __init__(self, lowest: int = 0, highest: int = 2**31 - 1):
        self.lowest, self.highest = lowest, highest

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        numbers = super().convert(value, param, context)
        for number in numbers:
            if number != int(number) or not self.lowest <= number <= self.highest:
                wanted = f"integers from {self.lowest} to {self.highest}"
                self.fail(f"{number:g} is out of range; it must be {wanted}, separated by commas", param, context)
        return [int(number) for number in numbers]


class Names(click.ParamType):
    """List of names separated by commas, each one of those known, or any if `known` is None."""

    name = "names"

    def __init__(self, known: Iterable[str] | None = None):
        self.known = None if known is None else tuple(known)

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[str]:
        names = value if isinstance(value, list) else [name.strip() for name in str(value).split(",")]
        for name in names:
            if self.known is not None and name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, context)
        return names


def require_folder(
    context: click.Context, parameter: click.Parameter, file: click.utils.LazyFile | Path | None
) -> click.utils.LazyFile | Path | None:
    """Refuse an unwritable file now, not after the measurement; an old one is kept until there are figures."""
    path = file if isinstance(file, Path) else Path(file.name) if isinstance(file, click.utils.LazyFile) else None
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"{path}: the folder {path.parent} does not exist")
    if path is not None and path.is_dir():
        raise click.BadParameter(f"{path} is a folder; name a file")
    return file


def json_option(help_text: str) -> Callable:
    """Make the option `--json FILE`, passed as `json_file`."""
    return click.option(
        "--json", "json_file", cls=Aside, type=click.File("w"), callback=require_folder,
        help=f"{help_text}; - for standard output.",
    )  # fmt: skip


def drawing_option(name: str, help_text: str) -> Callable:
    """Make an option for the file of a figure."""
    return click.option(
        name, cls=Aside, type=click.Path(path_type=Path, dir_okay=False), callback=require_folder, help=help_text
    )


device_option = click.option(
    "--device", cls=Aside, default="auto", show_default=True,
    help="Where networks run: auto (a GPU where there is one), cpu, cuda, cuda:N; or onnx, of a model that `models "
    "export` wrote.",
)  # fmt: skip
server_option = click.option(
    "--server", default="", metavar="ADDRESS",
    help="Edge server (tokcom serve) whose context model is asked, such as tcp://127.0.0.1:5570.",
)  # fmt: skip
seed_option = click.option("--seed", default=0, show_default=True, type=SEEDS)


model_option = click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="A model of the zoo, by name or folder."
)
