"""Errors of text over Es/N0, for receivers that weigh more and more: `link.text.RECEIVERS`."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tokcom.link.text import RECEIVERS, TOKENS_PER_PACKET, SentText
from tokcom.models.text import load_text_link
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of, model_content, precision_content

TER = 0.1
"""Token error rate whose Es/N0 is reported."""


@dataclass(frozen=True)
class Message:
    """One message as decoded by a receiver at one Es/N0.

    Attributes:
        esn0_db: Es/N0 in dB.
        receiver: of `link.text.RECEIVERS`.
        tokens, wrong: number of tokens, and of wrong ones.
        words, words_wrong, sure_and_wrong: number of words shown, of wrong ones, and of wrong ones marked as certain.
        seconds: processor time from LLRs to words.
    """

    esn0_db: float
    receiver: str
    tokens: int
    wrong: int
    words: int
    words_wrong: int
    sure_and_wrong: int
    seconds: float


class TextBench:
    """Benchmark that sends texts through noise to several receivers, all of which get the same packets.

    Args:
        model: name or folder of the model.
        receivers: of `link.text.RECEIVERS`.
        mcs: of all packets.
        tokens_per_packet: 1 to 64.
        seed: seed of the noise.
        kept: folder of the cache of messages, from which an interrupted run resumes; None for no cache.

    Raises:
        ModelError: there is no such model, or it is broken.
        ParameterError: a parameter is out of its range.
        TokcomError: the cache cannot be used.
    """

    def __init__(
        self, model: str, receivers: Sequence[str] = tuple(RECEIVERS), mcs: str = "16qam-1/2",
        tokens_per_packet: int = TOKENS_PER_PACKET, seed: int = 0, kept: Path | None = FOLDER,
    ):  # fmt: skip
        self.link, self.seed = load_text_link(model, receivers, mcs, tokens_per_packet), seed
        self._store = None if kept is None else Table(kept / RESULTS, "texts")
        self._content = [
            model_content(model), precision_content(), mcs, tokens_per_packet, seed,
            code_of("tokcom", without=SELDOM), code_of(__name__),
        ]  # fmt: skip

    def messages(
        self, texts: Sequence[str], esn0_db: Sequence[float], progress: Callable[[int], None] = lambda done: None
    ) -> list[Message]:
        """Send every message at every Es/N0 to every receiver.

        Args:
            texts: the messages; the number of a message seeds its noise.
            esn0_db: Es/N0 in dB.
            progress: called with the number of messages done since the last call.

        Raises:
            TextError: a text cannot be sent.
            TokcomError: the cache cannot be used.
        """
        found = []
        for number, text in enumerate(texts):
            for value in esn0_db:
                keys = {name: key_of(self._content, text, number, value, name) for name in self.link.recoveries}
                known = self._known(keys.values())
                missing = {name: key for name, key in keys.items() if key not in known}
                if missing:
                    rng = np.random.default_rng([self.seed, number, round(value * 1000) & 0xFFFFFFFF])
                    sent = self.link.send(text, value, rng)
                for name, key in missing.items():
                    known[key] = self._measured(sent, value, name)
                    self._keep(key, known[key])
                found += [known[key] for key in keys.values()]
                progress(1)
        return found

    def _measured(self, sent: SentText, esn0_db: float, receiver: str) -> Message:
        started = time.process_time()
        received = sent.received(receiver)
        seconds = time.process_time() - started
        wrong = int(received.wrong.sum())
        return Message(esn0_db, receiver, len(sent.tokens), wrong, *received.word_errors(), seconds)

    def _known(self, keys: Iterable[str]) -> dict[str, Message]:
        if self._store is None:
            return {}
        return {key: Message(**figures) for key, figures, _ in self._store.find(keys)}

    def _keep(self, key: str, message: Message) -> None:
        if self._store is not None:
            self._store.add({key: (asdict(message), None)})


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
