"""Errors of text over Es/N0, for receivers that weigh more and more: `link.text.RECEIVERS`."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tokcom.errors import TokcomError
from tokcom.link.text import TextLink

TER = 0.1
"""Token error rate whose Es/N0 is reported."""


@dataclass(frozen=True)
class Message:
    """One message as decoded by a receiver at one Es/N0.

    Attributes:
        esn0_db: Es/N0 in dB.
        receiver: of `link.text.RECEIVERS`.
        number: number of the message, which seeds its noise.
        digest: hash of its text.
        tokens, wrong: number of tokens, and of wrong ones.
        words, words_wrong, sure_and_wrong: number of words shown, of wrong ones, and of wrong ones marked as certain.
        seconds: processor time from LLRs to words.
    """

    esn0_db: float
    receiver: str
    number: int
    digest: str
    tokens: int
    wrong: int
    words: int
    words_wrong: int
    sure_and_wrong: int
    seconds: float

    @property
    def key(self) -> tuple[float, str, int, str]:
        """Es/N0, receiver, number and digest: the key of a stored message."""
        return self.esn0_db, self.receiver, self.number, self.digest


class MessageStore:
    """Store of measured messages, one line of JSON each, so that an interrupted run can be resumed.

    Args:
        path: the file; None: nothing is stored.
        setting: everything else that determines the figures; lines of other settings are left in the file.

    Raises:
        TokcomError: the file cannot be read.
    """

    def __init__(self, path: Path | None, setting: str):
        self._path, self._setting = path, setting
        self.known: dict[tuple[float, str, int, str], Message] = {}
        if path is None or not path.exists():
            return
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry.pop("setting") == setting:
                    message = Message(**entry)
                    self.known[message.key] = message
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise TokcomError(f"{path}: no file of measured messages ({error}); delete it or name another") from None

    def add(self, message: Message) -> None:
        """Keep a message."""
        self.known[message.key] = message
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(message) | {"setting": self._setting}) + "\n")


def measure_messages(
    link: TextLink, texts: Sequence[str], esn0_db: Sequence[float], store: MessageStore, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Message]:  # fmt: skip
    """Send every message at every Es/N0 to every receiver of a link; all of them get the same packets.

    Args:
        link: the link.
        texts: the messages.
        esn0_db: Es/N0 in dB.
        store: what is measured already.
        seed: of the noise.
        progress: called with the number of messages done since the last call.

    Raises:
        TextError: a text cannot be sent.
    """
    found = []
    for number, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        for value in esn0_db:
            missing = [name for name in link.recoveries if (value, name, number, digest) not in store.known]
            if missing:
                rng = np.random.default_rng([seed, number, round(value * 1000) & 0xFFFFFFFF])
                sent = link.send(text, value, rng)
            for name in missing:
                started = time.process_time()
                received = sent.received(name)
                seconds = time.process_time() - started
                errors = received.word_errors()
                wrong = int(received.wrong.sum())
                store.add(Message(value, name, number, digest, len(sent.tokens), wrong, *errors, seconds))
            found += [store.known[value, name, number, digest] for name in link.recoveries]
            progress(1)
    return found


def summary(messages: Sequence[Message]) -> dict:
    """The curve of every receiver, where it reaches TER, and processor seconds of a message with the language model."""
    points = sorted({(each.esn0_db, each.receiver) for each in messages})
    curve = []
    for value, name in points:
        own = [each for each in messages if (each.esn0_db, each.receiver) == (value, name)]
        words = sum(each.words for each in own)
        curve.append(
            {
                "esn0_db": value,
                "receiver": name,
                "ter": sum(each.wrong for each in own) / sum(each.tokens for each in own),
                "word_errors": sum(each.words_wrong for each in own) / words,
                "exact_messages": sum(not each.wrong for each in own) / len(own),
                "sure_and_wrong": sum(each.sure_and_wrong for each in own) / words,
                "messages": len(own),
            }
        )
    names = list(dict.fromkeys(each.receiver for each in messages))
    return {
        "curve": curve,
        "esn0_db_at_ter_10": {name: esn0_at_ter([p for p in curve if p["receiver"] == name]) for name in names},
        "seconds_per_message": {
            f"{value:g}": float(
                np.median([each.seconds for each in messages if (each.esn0_db, each.receiver) == (value, "context")])
            )
            for value, name in points
            if name == "context"
        },
    }


def esn0_at_ter(points: Sequence[dict], ter: float = TER) -> float | None:
    """Es/N0 in dB at which a receiver's TER falls to a value, its logarithm interpolated; None where it does not."""
    ordered = sorted(points, key=lambda point: point["esn0_db"])
    for before, after in pairwise(ordered):
        if before["ter"] >= ter > after["ter"]:
            high, low = np.log(before["ter"]), np.log(max(after["ter"], 1e-6))
            share = (high - np.log(ter)) / (high - low)
            return float(before["esn0_db"] + share * (after["esn0_db"] - before["esn0_db"]))
    return None
