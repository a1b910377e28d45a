"""Options that several commands of the laboratory share."""

import functools
from collections.abc import Callable
from pathlib import Path

import click

from tokcom.cli.options import Aside, seed_option

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of class folders, or folder or tar of train/CLASS and test/CLASS. [default: crops of the sample "
    "photographs]",
)
split_data_option = click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder or tar of train/CLASS/* and test/CLASS/*."
)
"""Data option of commands that update a model: its training photographs, and others."""
prose_option = click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Files or folders of .txt, .md and .py; several times for more. [default: the checkout's docs and docstrings]",
)
"""Data option of measurements of text."""
models_option = click.option(
    "--models",
    cls=Aside,
    default="models",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of models.",
)


def images_option(default: int, help_text: str = "Photographs to send.") -> Callable:
    """Make the option `--images N`."""
    return click.option("--images", default=default, show_default=True, type=click.IntRange(1), help=help_text)


def jobs_option(default: int) -> Callable:
    """Make the option `--jobs N`."""
    return click.option(
        "--jobs", cls=Aside, default=default, show_default=True, type=click.IntRange(1), help="Number of processes."
    )


def messages_options(count: int, longest: int = 200, help_text: str = "Messages at each Es/N0.") -> Callable:
    """Make the options of messages that are cut from prose, which the command gets as one `draw`, a `MessageDraw`."""
    lengths = click.IntRange(1, 4096)

    def decorated(command: Callable) -> Callable:
        @click.option("--messages", default=count, show_default=True, type=click.IntRange(1), help=help_text)
        @click.option("--shortest", default=50, show_default=True, type=lengths, help="Tokens in a message, at least.")
        @click.option(
            "--longest", default=longest, show_default=True, type=lengths, help="Tokens in a message, at most."
        )
        @seed_option
        @functools.wraps(command)
        def drawing(*, messages: int, shortest: int, longest: int, seed: int, **others):
            from tokcom_lab.text_messages import MessageDraw

            return command(draw=MessageDraw(messages, shortest, longest, seed), **others)

        return drawing

    return decorated
