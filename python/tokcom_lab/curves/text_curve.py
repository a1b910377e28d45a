"""Errors of text over Es/N0, for receivers that weigh more and more: `link.text.RECEIVERS`."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tokcom.context.acceptance import Acceptance, log_odds_of
from tokcom.link.text import RECEIVERS, TOKENS_PER_PACKET, SentText
from tokcom.models.installed import model_card
from tokcom.models.text import load_text_link
from tokcom.tokenizers.text import SURE
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of, precision_content
from tokcom_lab.curves.calibration import wilson
from tokcom_lab.curves.crossing import esn0_at

TER = 0.1
"""Token error rate whose Es/N0 is reported."""
DRAWS = 1000
"""Draws of messages for intervals."""


OTHER_ROOMS = ("adaptation", "models", "multiple_access", "protocol", "security", "source")
"""Rooms of the library that texts do not pass; what is in a model counts by its content."""


@dataclass(frozen=True)
class Message:
    """One message as decoded by a receiver at one Es/N0.

    Attributes:
        esn0_db: Es/N0 in dB.
        receiver: of `link.text.RECEIVERS`.
        tokens, wrong: number of tokens, and of wrong ones.
        confidence: of each word shown, before calibration.
        mistaken: which of the words are wrong.
        packets: log-odds of each packet that the CRC left open, before calibration, and whether it was decoded right.
        seconds: processor time from LLRs to words.
    """

    esn0_db: float
    receiver: str
    tokens: int
    wrong: int
    confidence: tuple[float, ...]
    mistaken: tuple[int, ...]
    packets: tuple[tuple[float, bool], ...]
    seconds: float

    @classmethod
    def kept(cls, figures: dict) -> "Message":
        """A message from what a cache holds of it."""
        packets = tuple((odds, right) for odds, right in figures["packets"])
        lists = {name: tuple(figures[name]) for name in ("confidence", "mistaken")}
        return cls(**figures | lists | {"packets": packets})

    def sure(self, certainty: Acceptance) -> np.ndarray:
        """Tell which of its words are shown as certain, bool (words,), once their posteriors are calibrated."""
        confidence = np.array(self.confidence)
        if self.receiver == "context":
            confidence = certainty.posterior(log_odds_of(confidence))
        return confidence >= SURE


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
        # Kept without calibration, which may be fitted to what is kept.
        self.link = load_text_link(model, receivers, mcs, tokens_per_packet, calibrated=False)
        self.model, self.seed = model, seed
        self._store = None if kept is None else Table(kept / RESULTS, "texts")
        self._content = [
            _weights(model), precision_content(), mcs, tokens_per_packet, seed,
            code_of("tokcom", without=(*SELDOM, *OTHER_ROOMS)),
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
                    known[key] = _measured(sent, value, name)
                    self._keep(key, known[key])
                found += [known[key] for key in keys.values()]
                progress(1)
        return found

    def remembered(self, content: object, measure: Callable[[], list | dict]) -> list | dict:
        """Return what was measured with the same model, code and content; else measure it now."""
        key = key_of(self._content, content)
        for _, figures, _ in self._store.find([key]) if self._store is not None else ():
            return figures["found"]
        found = measure()
        if self._store is not None:
            self._store.add({key: ({"found": found}, None)})
        return found

    def _known(self, keys: Iterable[str]) -> dict[str, Message]:
        if self._store is None:
            return {}
        return {key: Message.kept(figures) for key, figures, _ in self._store.find(keys)}

    def _keep(self, key: str, message: Message) -> None:
        if self._store is not None:
            self._store.add({key: (asdict(message), None)})


def _weights(model: str) -> list:
    """Content of a model's parts, calibration left out."""
    card = model_card(model)
    return [[name, card.part(name)["sha256"], card.part(name)["config"]] for name in card.parts]


def _measured(sent: SentText, esn0_db: float, receiver: str) -> Message:
    started = time.process_time()
    received = sent.received(receiver)
    seconds = time.process_time() - started
    shown = received.shown()
    confidence = tuple(round(float(word.confidence), 8) for word, _ in shown)
    mistaken = tuple(place for place, (_, is_wrong) in enumerate(shown) if is_wrong)
    positions = sent.arrival.positions
    right = ~(received.wrong[positions] & (positions >= 0)).any(axis=1)
    packets = tuple(
        (round(float(odds), 4), bool(is_right))
        for odds, is_right in zip(received.log_odds, right, strict=False)
        if np.isfinite(odds)
    )
    return Message(
        esn0_db, receiver, len(sent.tokens), int(received.wrong.sum()), confidence, mistaken, packets, seconds
    )


def summary(messages: Sequence[Message], certainty: Acceptance | None = None, seed: int = 0) -> dict:
    """The curve of every receiver, where it reaches TER, and processor seconds of a message with the language model.

    Args:
        messages: all of them, with the same Es/N0s and receivers.
        certainty: calibration of the language model's certainty; None for none.
        seed: of the draws for intervals, which are of 95 %: over messages for error rates, Wilson's for shares.
    """
    certainty = certainty or Acceptance()
    groups: dict[tuple[float, str], list[Message]] = {}
    for each in messages:
        groups.setdefault((each.esn0_db, each.receiver), []).append(each)
    rates = {key: _rates(own, seed) for key, own in groups.items()}
    curve = [_point(own, rates[key], certainty) for key, own in sorted(groups.items())]
    reached, intervals = {}, {}
    for name in dict.fromkeys(each.receiver for each in messages):
        own = sorted((value, rates[value, receiver]) for value, receiver in rates if receiver == name)
        found = [esn0_at_ter([{"esn0_db": value, "ter": ters[draw]} for value, ters in own]) for draw in range(DRAWS)]
        reached[name] = found[0]
        drawn = [each for each in found[1:] if each is not None]
        whole = found[0] is not None and len(drawn) > 0.9 * DRAWS
        intervals[name] = np.quantile(drawn, (0.025, 0.975)).tolist() if whole else None
    return {
        "curve": curve,
        "esn0_db_at_ter_10": reached,
        "esn0_db_at_ter_10_ci": intervals,
        "seconds_per_message": {
            f"{value:g}": float(np.median([each.seconds for each in own]))
            for (value, name), own in sorted(groups.items())
            if name == "context"
        },
    }


def _rates(messages: Sequence[Message], seed: int) -> np.ndarray:
    """Token error rate of all messages, then of messages drawn with replacement, the same ones at every point,
    float64 (DRAWS,)."""
    tokens, wrong = (np.array([getattr(each, name) for each in messages]) for name in ("tokens", "wrong"))
    drawn = np.random.default_rng(seed).integers(len(messages), size=(DRAWS, len(messages)))
    drawn[0] = np.arange(len(messages))
    return wrong[drawn].sum(axis=1) / tokens[drawn].sum(axis=1)


def _point(messages: Sequence[Message], rates: np.ndarray, certainty: Acceptance) -> dict:
    words = sum(len(each.confidence) for each in messages)
    sure = [each.sure(certainty) for each in messages]
    mistaken = sum(int(own[list(each.mistaken)].sum()) for own, each in zip(sure, messages, strict=True))
    exact = sum(not each.wrong for each in messages)
    return {
        "esn0_db": messages[0].esn0_db,
        "receiver": messages[0].receiver,
        "ter": float(rates[0]),
        "ter_ci": np.quantile(rates[1:], (0.025, 0.975)).tolist(),
        "word_errors": sum(len(each.mistaken) for each in messages) / words,
        "exact_messages": exact / len(messages),
        "exact_messages_ci": wilson(exact, len(messages)),
        "sure_and_wrong": mistaken / words,
        "sure_and_wrong_ci": wilson(mistaken, words),
        "marked_unsure": 1 - sum(int(own.sum()) for own in sure) / words,
        "words": words,
        "messages": len(messages),
    }


def esn0_at_ter(points: Sequence[dict], ter: float = TER) -> float | None:
    """Es/N0 in dB at which a receiver's TER falls to a value, its logarithm interpolated; None where it does not."""
    return esn0_at(((point["esn0_db"], point["ter"]) for point in points), ter, logarithmic=True)
