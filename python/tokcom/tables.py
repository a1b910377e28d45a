"""Tables that live as JSON beside the code: read once, checked when loaded."""

import json
from functools import cache
from importlib import resources

from tokcom.errors import ParameterError


@cache
def load_table(package: str, name: str) -> dict[str, dict]:
    """Load the rows, by name, of the table `name`.json in a package of the library."""
    return json.loads(resources.files(package).joinpath(f"{name}.json").read_text(encoding="utf-8"))


def table_row(package: str, name: str, what: str, key: str) -> dict:
    """Look up one row of a table.

    Raises:
        ParameterError: the row does not exist; the message lists the rows.
    """
    table = load_table(package, name)
    if key not in table:
        raise ParameterError(f"{what} is {key!r}; it must be one of {', '.join(table)}")
    return table[key]
