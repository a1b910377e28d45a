"""Joint decoding in order: paths of tokens grow through the packets of a frame, weighed by channel, check and prior.

A path that the prior finds unlikely is dropped though the channel preferred it, and the other way round; what comes
after a packet speaks for it, too, as long as more than one path lives. Packets that are certain without the prior are
read, not searched: they cost a pass for many tokens at once.

Inside a packet its check does not speak yet, and the right path may lie behind a hundred others. Packets that the
search leaves doubtful are therefore searched a second time with more paths.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from tokcom.context.acceptance import Acceptance, log_odds_of
from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.joint_decoding import DENSE_WORDS, CodedPacketDecoder, ContextSettings, JointDecision
from tokcom.context.masked_turns import MaskedTurns
from tokcom.context.prediction import Prediction
from tokcom.context.prior import CAUSAL, Prior
from tokcom.context.questions import Asking
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame

LISTED = 4096
"""Continuations of a packet's last token whose checks are compared."""
READ_ON = 12
"""Tokens behind the last open packet that speak for it."""
PROPOSED, LEAST_PROPOSED = 8, 1e-3
"""Words of each token that a packet's list decoder proposes at most, and the posterior that they must have."""
DOUBTFUL, CLEAR = 0.9, 0.999
"""Posteriors before calibration: below the first, a packet is searched again with more paths; from the second on, it is
read there."""
SEARCHED_AGAIN = 6
"""Doubtful packets at most that are searched again; in frames that have more, it would take long and help little."""
FAINT = -700.0
"""Log-odds that stand for impossible ones."""


class CausalBeams:
    """Decodes the open packets of frames together with a prior that takes tokens in order.

    Packets that travel in another order than the frame's, and frames in which no packet is open, are decoded without
    the prior.

    Args:
        prior: the prior, of order CAUSAL.
        settings: the schedule.
        acceptance: calibration of packets' posteriors.
        frequencies: float (codebook_size,), share of each word among all tokens sent, which stands for the prior of
            tokens whose predecessors are not known yet; None: all alike.

    Raises:
        ParameterError: the prior takes tokens in another order.
    """

    def __init__(
        self, prior: Prior, settings: ContextSettings | None = None, acceptance: Acceptance | None = None,
        frequencies: np.ndarray | None = None,
    ):  # fmt: skip
        if not isinstance(prior, CausalPrior):
            raise ParameterError(f"beams need a prior of order {CAUSAL}; this one's order is {prior.order}")
        self.prior, self.settings = prior, settings or ContextSettings()
        self.acceptance = acceptance or Acceptance()
        self._blind = MaskedTurns(None, self.settings, None, frequencies)

    def plausible(self, packets: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Doubt packets whose words are rarer than random ones, as those of nearly all texts are not."""
        frequencies = self._blind.log_frequencies
        if frequencies is None:
            return np.ones(len(packets), bool)
        used = (positions >= 0) & (packets != LOST)
        return (np.where(used, frequencies[packets] + np.log(len(frequencies)), 0).sum(axis=1) >= 0) | ~used.any(axis=1)

    def decode(
        self, frame: TokenFrame, positions: np.ndarray, packets: np.ndarray, packets_ok: np.ndarray,
        decoder: CodedPacketDecoder, condition: Condition = NOTHING, cancelled: Callable[[], bool] = lambda: False,
    ) -> Asking[JointDecision]:  # fmt: skip
        """See `joint_decoding.Strategy`."""
        self.prior.require_fit(frame, condition)
        blind = yield from self._blind.decode(frame, positions, packets, packets_ok, decoder, condition, cancelled)
        used = positions[positions >= 0]
        settled = log_odds_of(self.settings.settle)
        if (blind.log_odds >= settled).all() or not np.array_equal(used, np.arange(len(used))):
            return replace(blind, accepted=self._accepted(blind.log_odds))
        frequencies = self._blind.log_frequencies
        if frequencies is None:
            frequencies = np.full(frame.codebook_size, -np.log(frame.codebook_size), np.float32)
        work = _Work(self, positions, blind, blind.log_odds >= settled, decoder, frequencies, cancelled)
        work.run(self.prior.paths(condition))
        if (again := work.again()) is not None:
            again.run(self.prior.paths(condition))
            work = work if again.late else again
        return JointDecision(work.tokens, work.confidence, self._accepted(work.log_odds), work.log_odds, work.passes)

    def _accepted(self, log_odds: np.ndarray) -> np.ndarray:
        return self.acceptance.posterior(log_odds) >= self.settings.accept


@dataclass
class _Alive:
    """Paths that are followed.

    Attributes:
        metric: float64 (n,), log-probability of each with all that was received so far, up to a constant.
        tokens: int32 (n, packets so far, tokens_per_packet).
        prior: float64 (n, packets so far), log-prior of each packet's tokens.
    """

    metric: np.ndarray
    tokens: np.ndarray
    prior: np.ndarray

    def select(self, kept: np.ndarray) -> "_Alive":
        return _Alive(self.metric[kept], self.tokens[kept], self.prior[kept])

    @property
    def weights(self) -> np.ndarray:
        weights = np.exp(self.metric - self.metric.max())
        return weights / weights.sum()


class _Work:
    """The state of one frame."""

    def __init__(self, parent: CausalBeams, positions, blind, certain, decoder, frequencies, cancelled):
        self.settings, self.decoder, self.cancelled = parent.settings, decoder, cancelled
        self.top = self.settings.top if len(frequencies) > DENSE_WORDS else None
        self.positions, self.certain, self.frequencies = positions, certain, frequencies
        self.blind = blind.tokens
        self.tokens, self.confidence = blind.tokens.copy(), blind.confidence.copy()
        self.log_odds, self.passes = blind.log_odds.copy(), 0
        # Of each packet, the log of what was dropped in it over all that was left.
        self.dropped = np.full(len(positions), -np.inf)
        self.beams = np.full(len(positions), self.settings.beam)
        # Tokens of a former search, which stay among the paths.
        self.former: np.ndarray | None = None
        seconds = self.settings.seconds
        self.deadline = None if seconds is None else time.monotonic() + seconds

    def again(self) -> "_Work | None":
        """The work of searching doubtful packets again, with more paths; None where there is nothing to do."""
        doubtful = ~self.certain & (self.log_odds < log_odds_of(DOUBTFUL))
        if not 0 < doubtful.sum() <= SEARCHED_AGAIN or self.settings.closer <= self.settings.beam or self.late:
            return None
        work = copy(self)
        work.tokens, work.confidence, work.log_odds = self.tokens.copy(), self.confidence.copy(), self.log_odds.copy()
        work.dropped = np.full(len(self.dropped), -np.inf)
        work.certain = self.certain | (self.log_odds >= log_odds_of(CLEAR))
        work.beams = np.where(doubtful, self.settings.closer, self.settings.beam)
        work.former = self.tokens
        return work

    def run(self, paths: Paths) -> None:
        """Follow paths through the frame as long as there is something to decide."""
        n_packets, per_packet = self.positions.shape
        alive = _Alive(np.zeros(1), np.zeros((1, 0, per_packet), np.int32), np.zeros((1, 0)))
        last_open = int(np.flatnonzero(~self.certain)[-1])
        row = 0
        while row < n_packets and not self.late:
            if self.certain[row]:
                end, alone = row + 1, len(alive.metric) == 1
                if row > last_open and (alone or (row - last_open) * per_packet > READ_ON):
                    break
                while alone and end <= last_open and self.certain[end]:
                    end += 1
                alive = self._read(paths, alive, slice(row, end))
                row = end
            else:
                alive = self._search(paths, alive, row)
                row += 1
        self._decide(alive)

    @property
    def late(self) -> bool:
        """Whether the time is spent, or nobody waits any longer."""
        return self.cancelled() or (self.deadline is not None and time.monotonic() > self.deadline)

    def _read(self, paths: Paths, alive: _Alive, rows: slice) -> _Alive:
        """Go on through packets that are certain."""
        known, used = self.tokens[rows], self.positions[rows] >= 0
        weight = paths.follow(known[used], weigh=len(alive.metric) > 1)
        self.passes += 1
        n = len(alive.metric)
        tokens = np.concatenate([alive.tokens, np.broadcast_to(known, (n, *known.shape))], 1)
        prior = np.concatenate([alive.prior, np.zeros((n, len(known)))], 1)
        return self._narrowed(paths, _Alive(alive.metric + weight, tokens, prior))

    def _search(self, paths: Paths, alive: _Alive, row: int) -> _Alive:
        """Go on through a packet that is open.

        Beside the likeliest paths those are followed that go through words which the whole packet proposes: the prior
        may find its first word unlikely, and be wrong.
        """
        steps, proposed = self.decoder.token_steps(row, self.frequencies), self._proposed(paths, alive, row)
        per_packet = self.positions.shape[1]
        alive.metric -= alive.metric.max()
        n = len(alive.metric)
        own, chosen, dropped = np.zeros((n, per_packet), np.int32), np.zeros(n), -np.inf
        ends, origin, hinted = steps.begin(alive.metric), np.arange(n), np.arange(n) == alive.metric.argmax()
        held = self._held(alive, row)
        for place in range(per_packet):
            padding, last = self.positions[row, place] < 0, place == per_packet - 1
            # Behind the last token the check has spoken.
            beam = self.settings.beam if last else self.beams[row]
            if padding:
                log_prior = np.full((len(origin), len(self.frequencies)), -np.inf, np.float32)
                log_prior[:, 0] = 0
            else:
                log_prior = paths.log_probabilities
                self.passes += 1
            found = steps.continuations(place, ends, log_prior, LISTED if last else 4 * beam, proposed[place])
            follows = hinted[found.parent] & np.isin(found.word, proposed[place]) & np.isfinite(found.total)
            kept = found.total >= found.total[0] - self.settings.reach
            kept[beam:] = False
            if not last:
                kept[np.flatnonzero(follows)[: max(beam // 2, 1)]] = True
            holds = held[found.parent] & (found.word == self.tokens[row, place])
            kept = np.flatnonzero(kept | holds)
            parent, word = found.parent[kept], found.word[kept]
            listed = np.logaddexp.reduce(found.total[kept])
            dropped = np.logaddexp(dropped, found.mass + np.log(max(-np.expm1(listed - found.mass), 1e-12)))
            ends, origin = found.select(kept), origin[parent]
            hinted, held = follows[kept], holds[kept]
            chosen, own = chosen[parent] + log_prior[parent, word], own[parent]
            own[:, place] = word
            if not padding:
                paths.branch(parent, word)
        self.dropped[row] = dropped - np.logaddexp(dropped, np.logaddexp.reduce(ends.metric))
        before = alive.select(origin)
        tokens = np.concatenate([before.tokens, own[:, None]], 1)
        return _Alive(ends.metric, tokens, np.concatenate([before.prior, chosen[:, None]], 1))

    def _held(self, alive: _Alive, row: int) -> np.ndarray:
        """Paths, bool (n,), that agree with a former search so far."""
        if self.former is None:
            return np.zeros(len(alive.metric), bool)
        return (alive.tokens == self.former[:row]).all((1, 2))

    def _proposed(self, paths: Paths, alive: _Alive, row: int) -> list[np.ndarray]:
        """Words of each of a packet's tokens, int (m,), that its list decoder takes for possible: it knows the check,
        the prior of the first token, and of the others how frequent words are."""
        places = self.positions[row]
        if (places < 0).any():
            return [word[None] for word in self.blind[row]]
        first = np.logaddexp.reduce(paths.log_probabilities + np.log(alive.weights)[:, None], axis=0)
        dense = np.stack([first, *[self.frequencies] * (len(places) - 1)]).astype(np.float32)
        decision = self.decoder(np.array([row]), Prediction.dense(dense[None]).top(self.top))
        proposed = []
        for place in range(len(places)):
            marginals = decision.marginals[0, place]
            likeliest = np.argsort(-marginals)[:PROPOSED]
            likeliest = likeliest[marginals[likeliest] >= LEAST_PROPOSED]
            words = likeliest if decision.words is None else decision.words[0, place, likeliest]
            proposed.append(np.union1d(words, [self.blind[row, place], self.tokens[row, place]]))
        return proposed

    def _narrowed(self, paths: Paths, alive: _Alive) -> _Alive:
        """The paths that are still worth following."""
        kept = np.flatnonzero(alive.metric >= alive.metric.max() - self.settings.reach)
        if len(kept) < len(alive.metric):
            paths.select(kept)
            alive = alive.select(kept)
        return alive

    def _decide(self, alive: _Alive) -> None:
        """Take the likeliest path, and for every token the share of the paths that agree."""
        best, weights = int(alive.metric.argmax()), alive.weights
        rows = np.flatnonzero(~self.certain[: alive.tokens.shape[1]])
        if not len(rows):
            return
        found, won = alive.tokens[:, rows], alive.tokens[best, rows]
        left = -np.expm1(np.minimum(self.dropped[rows], -1e-12))
        agree = found == won
        self.tokens[rows] = won
        self.confidence[rows] = np.einsum("n,nrt->rt", weights, agree) * left[:, None]
        whole = np.einsum("n,nr->r", weights, agree.all(-1)) * left
        against = np.einsum("n,nr->r", weights, ~agree.all(-1)) * left + (1 - left)
        odds = np.log(np.maximum(whole, np.exp(FAINT))) - np.log(np.maximum(against, np.exp(FAINT)))
        believed = self.decoder.believed(rows, won, alive.prior[best, rows], odds)
        self.log_odds[rows] = believed
        # Where it is doubted that any code word was sent, so is every token.
        share = np.exp(np.minimum(_log_posterior(believed) - _log_posterior(odds), 0))
        self.confidence[rows] *= share[:, None]


def _log_posterior(log_odds: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -log_odds)
