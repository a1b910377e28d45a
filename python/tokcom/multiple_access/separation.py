"""Tokens of several transmitters told apart by channel and context together (paper, section V-C).

What was received in a slot is explained by a word of each transmitter. Which words these are, the channels say, and how
likely each is at its place: one prior per transmitter, which knows that transmitter's certain tokens and what its
header told. The most certain tokens are believed first, and tell the priors of the others; then all that is not beyond
doubt is looked at once more, a part at a time, until nothing changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.bounded_cache import BoundedCache
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import ANY, Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST
from tokcom.multiple_access.detection import LEAST, tuple_posteriors
from tokcom.multiple_access.receiver import MultiUserObservation

EMPTY_BYTES = 64 << 20
"""Memory for the predictions of empty frames."""


@dataclass(frozen=True)
class SeparationSettings:
    """The schedule of separation.

    Args:
        rounds: times at most that everything uncertain is asked for again while certain tokens become more.
        sweeps: times at most that all that is not settled is hidden and asked for again, a part at a time.
        turns: parts of a sweep.
        inform: posterior from which a token is shown to the prior.
        settle: posterior from which a slot is not looked at again.
        weight: of the prior's log-probabilities; below 1 the prior is believed less than it says.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    rounds: int = 6
    sweeps: int = 3
    turns: int = 4
    inform: float = 0.9
    settle: float = 0.999
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("sweeps", 0), ("turns", 1)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("inform", "settle", "weight"):
            if not 0 < getattr(self, name) <= 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be above 0 and at most 1")


@dataclass(frozen=True)
class Source:
    """Knowledge about a transmitter's frame other than its signal.

    Attributes:
        prior: of its tokens; None: all words are as likely.
        condition: under which the prior predicts.
    """

    prior: Prior | None = None
    condition: Condition = NOTHING


@dataclass(frozen=True)
class SeparatedTokens:
    """Tokens decided for a burst.

    Attributes:
        tokens: int32 (users, n_slots), the likeliest.
        confidence: float32 (users, n_slots), their posteriors.
        passes: frames that priors were asked for.
    """

    tokens: np.ndarray
    confidence: np.ndarray
    passes: int


class Separator:
    """Separates bursts.

    Args:
        settings: the schedule.
    """

    def __init__(self, settings: SeparationSettings | None = None):
        self.settings = settings or SeparationSettings()
        self._empty: BoundedCache[np.ndarray] = BoundedCache(EMPTY_BYTES, lambda kept: kept.nbytes)
        self._priors: dict[int, Prior] = {}

    def separate(
        self, observed: MultiUserObservation, sources: Sequence[Source], cancelled: Callable[[], bool] = lambda: False
    ) -> SeparatedTokens:
        """The tokens of every user heard.

        Args:
            observed: the burst.
            sources: one for each of `observed.users`.
            cancelled: asked before every pass of a prior; once true, the best so far is returned.

        Raises:
            ParameterError: there are not as many sources as users, or a prior does not fit the burst.
        """
        if len(sources) != len(observed.users):
            raise ParameterError(f"{len(sources)} sources for {len(observed.users)} users heard")
        for source in sources:
            _require_fit(source, observed)
        return _Work(self, observed, sources, cancelled).separated()

    def outset(self, source: Source, n_slots: int) -> np.ndarray:
        """float32 (n_slots, words): what the prior says of an empty frame."""
        lost = np.full((1, n_slots), LOST, np.int32)
        # Held, so that no other prior gets its number.
        self._priors[id(source.prior)] = source.prior
        key = id(source.prior), source.condition, n_slots
        return self._empty.get(key, lambda: source.prior.log_probabilities(lost, lost == LOST, [source.condition]))


def _require_fit(source: Source, observed: MultiUserObservation) -> None:
    prior, plan = source.prior, observed.plan
    if prior is None:
        return
    if prior.order != ANY:
        raise ParameterError(f"separation needs priors of tokens in any order; this one's order is {prior.order}")
    if prior.codebook_size != plan.codebook.size:
        raise ParameterError(
            f"the prior is of {prior.codebook_size} words; the codebook of modulation vectors has {plan.codebook.size}"
        )
    if prior.grid is not None and np.prod(prior.grid) != plan.n_slots:
        raise ParameterError(f"the prior takes {np.prod(prior.grid)} tokens, and a burst has {plan.n_slots} slots")


class _Work:
    """The state of one burst."""

    def __init__(
        self, parent: Separator, observed: MultiUserObservation, sources: Sequence[Source],
        cancelled: Callable[[], bool],
    ):  # fmt: skip
        self.settings, self.observed, self.sources, self.cancelled = parent.settings, observed, sources, cancelled
        self.users, self.slots = len(sources), observed.plan.n_slots
        self.vectors = observed.plan.codebook.vectors
        shape = self.users, self.slots, len(self.vectors)
        even = np.full(shape, -np.log(shape[2]), np.float32)
        self.log_priors = even
        self.tokens = np.zeros((self.users, self.slots), np.int32)
        self.confidence = np.zeros((self.users, self.slots), np.float32)
        self.passes = 0
        self.possible: np.ndarray | None = None
        self.outset = [
            None if source.prior is None else parent.outset(source, self.slots) * np.float32(self.settings.weight)
            for source in sources
        ]

    def separated(self) -> SeparatedTokens:
        known = [user for user, source in enumerate(self.sources) if source.prior is not None]
        for user in known:
            self.log_priors[user] = self.outset[user]
        self.decide(np.arange(self.slots))
        if known:
            for _ in range(self.settings.rounds):
                if not self.round(known):
                    break
            for _ in range(self.settings.sweeps):
                if not self.sweep(known):
                    break
        return SeparatedTokens(self.tokens, self.confidence, self.passes)

    def decide(self, slots: np.ndarray) -> None:
        """Decide slots with the priors of now, among the words that came within reach the first time."""
        observed = self.observed
        found = tuple_posteriors(
            observed.values[slots], observed.channels[:, slots], observed.noise[slots], self.vectors,
            self.log_priors[:, slots], None if self.possible is None else self.possible[:, slots],
        )  # fmt: skip
        if self.possible is None:
            self.possible = found > LEAST
        self.tokens[:, slots] = found.argmax(axis=2)
        self.confidence[:, slots] = np.exp(np.take_along_axis(found, self.tokens[:, slots, None], 2)[..., 0])

    def round(self, known: list[int]) -> bool:
        """Ask for all that is uncertain; False where that changed nothing."""
        shown = self.confidence >= self.settings.inform
        before = np.where(shown, self.tokens, LOST)
        if not self.ask(known, ~shown):
            return False
        self.decide(np.flatnonzero((~shown).any(axis=0)))
        return not np.array_equal(before, np.where(self.confidence >= self.settings.inform, self.tokens, LOST))

    def sweep(self, known: list[int]) -> bool:
        """Hide all that is not settled, a part at a time; False where no token changed."""
        before = self.tokens.copy()
        doubtful = np.flatnonzero((self.confidence < self.settings.settle).any(axis=0))
        # The most doubtful last: by then the others are better known.
        doubtful = doubtful[np.argsort(-self.confidence[:, doubtful].min(axis=0), kind="stable")]
        for turn in range(min(self.settings.turns, len(doubtful))):
            part = doubtful[turn :: self.settings.turns]
            hidden = self.confidence < self.settings.inform
            hidden[:, part] = True
            if not self.ask(known, hidden, part):
                return False
            self.decide(part)
        return not np.array_equal(before, self.tokens)

    def ask(self, known: list[int], hidden: np.ndarray, wanted: np.ndarray | None = None) -> bool:
        """Take over what priors say of hidden tokens, bool (users, n_slots), in the slots wanted; False once cancelled.
        Users of one prior ask together."""
        asking = [user for user in known if hidden[user].any()]
        for prior in {id(self.sources[user].prior): self.sources[user].prior for user in asking}.values():
            if self.cancelled():
                return False
            users = [user for user in asking if self.sources[user].prior is prior]
            tokens = np.where(hidden[users], LOST, self.tokens[users]).astype(np.int32)
            answer = prior.log_probabilities(tokens, tokens == LOST, [self.sources[user].condition for user in users])
            ends = np.cumsum(hidden[users].sum(axis=1))
            for user, said in zip(users, np.split(answer, ends[:-1]), strict=True):
                places = np.flatnonzero(hidden[user])
                used = np.ones(len(places), bool) if wanted is None else np.isin(places, wanted)
                self.log_priors[user, places[used]] = said[used] * np.float32(self.settings.weight)
            self.passes += len(users)
        return True
