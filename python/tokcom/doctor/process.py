"""Calls of other programs, which may be missing, hang or crash."""

import subprocess
import sys
from dataclasses import dataclass

PATIENCE = 60.0
"""Timeout in seconds: the first import of PyTorch from a cold disk takes a while."""


@dataclass(frozen=True)
class Answer:
    """Result of a program.

    Attributes:
        ok: whether it exited with code 0.
        text: its standard output, stripped.
        complaint: last line of its standard error, or why it could not be run.
    """

    ok: bool
    text: str
    complaint: str


def ask(command: list[str], patience: float = PATIENCE) -> Answer:
    """Run a program without input and wait for its result, at most `patience` seconds."""
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
        return Answer(False, "", f"{command[0]} is not installed")
    except OSError as error:
        return Answer(False, "", f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(False, "", f"{command[0]} gave no answer within {patience:g} s")
    lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}" if done.returncode else ""]
    return Answer(done.returncode == 0, done.stdout.strip(), lines[-1])


def ask_python(code: str) -> Answer:
    """Run code in another process of this Python interpreter."""
    return ask([sys.executable, "-c", code])
