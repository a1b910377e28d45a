"""Questions put to other programs, which may be missing, hang or crash."""

import subprocess
import sys
from dataclasses import dataclass

PATIENCE = 60.0
"""Seconds: the first import of PyTorch from a cold disk takes some of them."""


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        ok: it ended well.
        text: its standard output, stripped.
        complaint: the last line of its standard error, or why it could not be asked.
    """

    ok: bool
    text: str
    complaint: str


def ask(command: list[str], patience: float = PATIENCE) -> Answer:
    """Run a program without input and wait for its answer, `patience` seconds at most."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except FileNotFoundError:
        return Answer(False, "", f"there is no program {command[0]}")
    except OSError as error:
        return Answer(False, "", f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(False, "", f"{command[0]} gave no answer within {patience:g} s")
    lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}" if done.returncode else ""]
    return Answer(done.returncode == 0, done.stdout.strip(), lines[-1])


def ask_python(code: str) -> Answer:
    """Run code in another process of this very Python."""
    return ask([sys.executable, "-c", code])
