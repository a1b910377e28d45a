"""Options that several commands of the laboratory share."""

from collections.abc import Callable
from pathlib import Path

import click

from tokcom.cli.options import Aside

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of class folders, or folder or tar of train/CLASS and test/CLASS. [default: parts of the sample "
    "photographs]",
)
split_data_option = click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder or tar of train/CLASS/* and test/CLASS/*."
)
"""Of commands that write into a model: photographs that it was trained on, and others."""
models_option = click.option(
    "--models",
    cls=Aside,
    default="models",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of models.",
)


def images_option(default: int, help_text: str = "Photographs to send.") -> Callable:
    """`--images N`."""
    return click.option("--images", default=default, show_default=True, type=click.IntRange(1), help=help_text)


def jobs_option(default: int) -> Callable:
    """`--jobs N`."""
    return click.option(
        "--jobs", cls=Aside, default=default, show_default=True, type=click.IntRange(1), help="Processes that measure."
    )
