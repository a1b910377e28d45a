"""Texts written by a large causal model at the edge, of which a small one on the device drafts most words
(speculative decoding; Leviathan et al., ICML 2023, arXiv 2211.17192)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import randbits

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING
from tokcom.context.sampling import Sampling
from tokcom.errors import MessageError, ParameterError, TransportError
from tokcom.offload.address import EdgeAddress
from tokcom.offload.connection import EdgeConnection
from tokcom.offload.draft_messages import MAX_DRAFTS, VERDICT, DraftRequest, read_verdict
from tokcom.offload.drafts import IDENTICAL, IN_LAW, RECORD_BITS, Draft, drafted
from tokcom.offload.wire import Reader, require_kind
from tokcom.packets.codebook import codebook_id

RULES = {"identical": IDENTICAL, "law": IN_LAW}
"""Ways to settle drafts, by name (`offload.drafts`)."""


@dataclass
class ContinuationCounters:
    """Counts of a continuation.

    Attributes:
        rounds: questions that the server answered.
        drafted: words drafted in these.
        accepted: those of them that the server accepted.
        written: words that came of these, the server's own included.
        here: words that the device wrote alone, because the server had failed.
        forgotten: questions that were repeated with the whole text.
        draft_bits: bits of the drafts.
    """

    rounds: int = 0
    drafted: int = 0
    accepted: int = 0
    written: int = 0
    here: int = 0
    forgotten: int = 0
    draft_bits: int = 0


@dataclass(frozen=True, eq=False)
class Continuation:
    """Words that continue a text.

    Attributes:
        tokens: int32 (n,).
        by_edge: bool (n,), whether the large model has settled each; otherwise the small one wrote it alone.
    """

    tokens: np.ndarray
    by_edge: np.ndarray


class DraftingPrior:
    """A small model on the device that writes with a large one at an edge server.

    Args:
        server: address of the server, as in `EdgeAddress.of`, or a connection to it.
        small: the model on the device; its codebook is the large one's.
        drafts: words per question, 1 to MAX_DRAFTS.
        rule: one of RULES: "identical" writes, word for word, what the large model would by itself with the same
            `Sampling`; "law" follows its probabilities.
        deadline_s: seconds from a question to its answer; None for the address's.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        ParameterError: a parameter is out of its range.
        TransportError: the address is invalid.
    """

    def __init__(
        self, server: "str | EdgeAddress | EdgeConnection", small: CausalPrior, *, drafts: int = 4,
        rule: str = "identical", deadline_s: float | None = None, told: Callable[[str], None] = lambda said: None,
    ):  # fmt: skip
        if not 1 <= drafts <= MAX_DRAFTS:
            raise ParameterError(f"drafts is {drafts}; it must be 1 to {MAX_DRAFTS} words")
        if rule not in RULES:
            raise ParameterError(f"rule is {rule!r}; it must be one of {', '.join(RULES)}")
        self.connection = server if isinstance(server, EdgeConnection) else EdgeConnection(server, deadline_s, told)
        self.counters = ContinuationCounters()
        self._small, self._drafts, self._rule = small, drafts, RULES[rule]

    def continued(self, tokens: np.ndarray, count: int, sampling: Sampling) -> Continuation:
        """Continue a text. The small model writes alone while the server fails.

        Args:
            tokens: int (n,), the text so far.
            count: number of words to write.
            sampling: how they are drawn; its temperature must be above 0 for rule "law".

        Raises:
            ParameterError: the temperature does not fit the rule.
        """
        if self._rule == IN_LAW and not sampling.temperature:
            raise ParameterError('temperature is 0; rule "law" needs one above 0: use rule "identical"')
        text = _Text(self._small.paths(NOTHING), list(map(int, tokens)))
        if text.tokens:
            text.paths.follow(np.array(text.tokens), weigh=False)
        first, by_edge = len(text.tokens), []
        while len(by_edge) < count:
            drafts, states = self._draft(text, min(self._drafts, count - len(by_edge) - 1), sampling)
            try:
                words, settled = self._settled(text, drafts, sampling), True
                self.counters.written += len(words)
            except TransportError:
                words, settled = [each.word for each in drafts] or [self._alone(text, sampling)], False
                self.counters.here += len(words)
                text.session, text.known = randbits(64), 0
            text.go_on(words, states)
            by_edge += [settled] * len(words)
        return Continuation(np.array(text.tokens[first:], np.int32), np.array(by_edge, bool))

    def _draft(self, text: "_Text", count: int, sampling: Sampling) -> tuple[list[Draft], list[Paths]]:
        """Draft words; return them, and the small model's path before the first and behind each."""
        drafts, states = [], [text.paths]
        for place in range(len(text.tokens), len(text.tokens) + count):
            drafts.append(drafted(states[-1].log_probabilities[0], sampling, place, self._rule))
            ahead = states[-1].fork()
            ahead.follow(np.array([drafts[-1].word]), weigh=False)
            states.append(ahead)
        return drafts, states

    def _alone(self, text: "_Text", sampling: Sampling) -> int:
        return sampling.draw(text.paths.log_probabilities[0], len(text.tokens))

    def _settled(self, text: "_Text", drafts: Sequence[Draft], sampling: Sampling) -> list[int]:
        """Ask the server; return the words that follow.

        Raises:
            TransportError: it fails.
        """
        words = self._asked(text, drafts, sampling)
        if words is None:
            self.counters.forgotten += 1
            text.known = 0
            words = self._asked(text, drafts, sampling)
        self.counters.rounds += 1
        self.counters.drafted += len(drafts)
        self.counters.accepted += len(words) - 1
        self.counters.draft_bits += RECORD_BITS * len(drafts)
        text.known = len(text.tokens) + len(words)
        return words

    def _asked(self, text: "_Text", drafts: Sequence[Draft], sampling: Sampling) -> list[int] | None:
        request = DraftRequest(
            codebook_id(self._small.codebook), max(1, round(1000 * self.connection.deadline_s)), text.session,
            text.known, np.array(text.tokens[text.known :], np.int32),
            np.array([each.record for each in drafts], np.uint64), self._rule, sampling,
        )  # fmt: skip

        def read(kind: int, reader: Reader) -> list[int] | None:
            require_kind(kind, VERDICT)
            words = read_verdict(reader, [each.word for each in drafts], self._small.codebook_size)
            if words is None and not text.known:
                raise MessageError("a server has forgotten a text that it was told in the same message")
            return words

        return self.connection.ask([request.encode], [read])[0]


class _Text:
    """A text that grows: the small model's path, its tokens, and how many of them the server has."""

    def __init__(self, paths: Paths, tokens: list[int]):
        self.paths, self.tokens = paths, tokens
        self.session, self.known = randbits(64), 0

    def go_on(self, words: Sequence[int], states: Sequence[Paths]) -> None:
        """Add words, of which all but perhaps the last are those of `states`."""
        self.tokens += words
        self.paths = states[len(words) - 1]
        self.paths.follow(np.array(words[-1:]), weigh=False)
