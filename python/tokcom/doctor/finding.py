"""What a check has found."""

from dataclasses import dataclass
from enum import Enum


class State(str, Enum):  # noqa: UP042 (Python 3.10 and older must get as far as being told)
    """How bad it is: `FAILURE` stops the module; `WARNING` takes something away; `NOTE` is for those who need it."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        state: how it is.
        found: what was found.
        remedy: what to do; empty where nothing need be done.
    """

    subject: str
    state: State
    found: str
    remedy: str = ""
