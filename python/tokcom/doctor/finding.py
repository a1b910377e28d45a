"""Result of a check."""

from dataclasses import dataclass
from enum import Enum


class State(str, Enum):  # noqa: UP042 (Python 3.10 and older must get as far as the message)
    """Severity: `FAILURE` stops the module; `WARNING` limits it; `NOTE` matters to some users only."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: name of the check.
        state: severity.
        found: result, as text.
        remedy: what to do; empty if nothing need be done.
    """

    subject: str
    state: State
    found: str
    remedy: str = ""
