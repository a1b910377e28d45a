"""Output of commands: tables, JSON, progress."""

import json
from collections.abc import Iterable

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

console = Console(stderr=True)
"""Console for everything but results."""


def progress_bar() -> Progress:
    """Make a transient progress bar with the time left, on standard error."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, transient=True)


def show(rows: Iterable[dict], title: str, json_file: click.utils.LazyFile | None = None) -> None:
    """Print rows as JSON if a file is given, else as a table on standard output."""
    rows = list(rows)
    if json_file is not None:
        write_json(rows, json_file)
        return
    table = Table(title=title)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def write_json(content: object, file: click.utils.LazyFile) -> None:
    """Write content as JSON and flush it to disk."""
    file.write(json.dumps(content, indent=1) + "\n")
    file.flush()
