"""Joint decoding with a prior in any order: packets take turns, and while one is decoded the others inform the
prior."""

import time
from collections.abc import Callable, Generator
from copy import copy

import numpy as np

from tokcom.bounded_cache import BoundedCache
from tokcom.context.acceptance import Acceptance, log_odds_of
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.joint_decoding import DENSE_WORDS, ContextSettings, JointDecision, PacketDecoder
from tokcom.context.prediction import LEAST, LEVELS, Prediction
from tokcom.context.prior import ANY, Prior
from tokcom.context.questions import Asking, Question
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame

STRANGE = 5.0
"""Nepers by which words' frequencies must explain a frame better than the prior for it to count as out of distribution;
such frames are rare."""
EMPTY_BYTES = 64 << 20
"""Limit on the bytes of cached predictions of empty frames, which are the same for all frames of a condition."""


class MaskedTurns:
    """Strategy that decodes the open packets of frames jointly with a prior, or without one.

    Args:
        prior: the prior, of order ANY; None to decode with the CRC alone.
        settings: the schedule.
        acceptance: calibration of packets' posteriors.
        frequencies: float (codebook_size,), share of each word among all tokens sent, used as the prior if there is no
            other or if they explain the received signal better; None for uniform.

    Raises:
        ParameterError: the prior is not of order ANY.
    """

    def __init__(
        self, prior: Prior | None, settings: ContextSettings | None = None,
        acceptance: Acceptance | None = None, frequencies: np.ndarray | None = None,
    ):  # fmt: skip
        if prior is not None and prior.order != ANY:
            raise ParameterError(f"masked turns need a prior of order {ANY!r}; this one's order is {prior.order!r}")
        self.prior = prior
        self.log_frequencies = None if frequencies is None else np.log(np.asarray(frequencies, np.float32))
        self.settings = settings or ContextSettings()
        self.acceptance = acceptance or Acceptance()
        self.empty: BoundedCache[Prediction] = BoundedCache(EMPTY_BYTES, lambda kept: kept.n_bytes)

    def plausible(self, packets: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Believe every CRC: words of small codebooks are about equally frequent."""
        return np.ones(len(packets), bool)

    def decode(
        self, frame: TokenFrame, positions: np.ndarray, packets: np.ndarray, packets_ok: np.ndarray,
        decoder: PacketDecoder, condition: Condition = NOTHING, cancelled: Callable[[], bool] = lambda: False,
    ) -> Asking[JointDecision]:  # fmt: skip
        """Decode as `joint_decoding.Strategy`."""
        if self.prior is not None:
            self.prior.require_fit(frame, condition)
        if self.log_frequencies is not None and len(self.log_frequencies) != frame.codebook_size:
            raise ModelError(
                f"frame {frame.frame_id} has a codebook of {frame.codebook_size} words, and frequencies are known of "
                f"{len(self.log_frequencies)}"
            )
        work = _Work(self, frame, positions, packets, packets_ok, decoder, condition, cancelled)
        open_rows = np.flatnonzero(~packets_ok)
        if len(open_rows):
            work.decode(open_rows, work.by_frequency(open_rows))
        if self.prior is not None and len(open_rows):
            blind = work.aside()
            outset = yield from work.outset(open_rows)
            work.decode(open_rows, outset)
            for _ in range(self.settings.rounds):
                more = yield from work.round()
                if work.evidence.sum() + STRANGE < blind.evidence.sum():
                    blind.passes, work = work.passes, blind
                    break
                if not more:
                    break
        return JointDecision(work.tokens, work.confidence, work.accepted, work.log_odds, work.passes)


class _Work:
    """State of one frame."""

    def __init__(self, parent: MaskedTurns, frame, positions, packets, packets_ok, decoder, condition, cancelled):
        self.settings, self.acceptance, self.empty = parent.settings, parent.acceptance, parent.empty
        self.log_frequencies = parent.log_frequencies
        self.frame, self.positions, self.decoder, self.cancelled = frame, positions, decoder, cancelled
        self.condition = condition
        self.top = self.settings.top if frame.codebook_size > DENSE_WORDS else None
        self.tokens = np.where(packets_ok[:, None], packets, LOST).astype(np.int32)
        self.confidence = np.where(packets_ok[:, None], np.float32(1), np.float32(0)).repeat(positions.shape[1], 1)
        self.log_odds = np.where(packets_ok, np.inf, -np.inf)
        self.evidence = np.zeros(len(packets_ok))
        self.passes = 0
        self.deadline = None if self.settings.seconds is None else time.monotonic() + self.settings.seconds

    @property
    def accepted(self) -> np.ndarray:
        return self.acceptance.posterior(self.log_odds) >= self.settings.accept

    def aside(self) -> "_Work":
        """Copy the present state; it is not calibrated, because posteriors are exact without the prior."""
        kept = copy(self)
        kept.acceptance = Acceptance()
        for name in ("tokens", "confidence", "log_odds", "evidence"):
            setattr(kept, name, getattr(self, name).copy())
        return kept

    def by_frequency(self, rows: np.ndarray) -> Prediction:
        """Return the words' frequencies as priors."""
        size, places = self.frame.codebook_size, len(self.frame.tokens)
        if self.log_frequencies is not None:
            words = Prediction.dense(self.log_frequencies[None]).top(self.top)[np.zeros(places, np.int64)]
        elif self.top is not None:
            words = Prediction.even((places,), size)
        else:
            words = Prediction.dense(np.full((places, size), -np.log(size), np.float32))
        return self._priors(rows, words, np.arange(places))

    def outset(self, rows: np.ndarray) -> Generator[Question, Prediction, Prediction]:
        """Ask for the initial priors: those of an empty frame."""
        places = len(self.frame.tokens)
        key = places, self.condition
        found = self.empty.find(key)
        if found is None:
            answer = yield Question(np.full(places, LOST, np.int32), self.condition, self.top)
            found = self.empty.get(key, lambda: answer)
        return self._priors(rows, found, np.arange(places))

    def round(self) -> Generator[Question, Prediction, bool]:
        """Decode every open packet once more; return False if nothing changed, or nothing is open."""
        before = self._shown(np.zeros(0, np.int64))
        settled = log_odds_of(self.settings.settle)
        open_rows = np.flatnonzero(self.log_odds < settled)
        # Most certain first, as they inform the prior most, and distributed so that each group is mixed.
        open_rows = open_rows[np.argsort(-self.log_odds[open_rows], kind="stable")]
        for turn in range(min(self.settings.turns, len(open_rows))):
            rows = open_rows[turn :: self.settings.turns]
            if self.cancelled() or (self.deadline is not None and time.monotonic() > self.deadline):
                return False
            shown = self._shown(rows)
            answer = yield Question(shown, self.condition, self.top)
            self.passes += 1
            self.decode(rows, self._priors(rows, answer, np.cumsum(shown == LOST) - 1))
        return not np.array_equal(before, self._shown(np.zeros(0, np.int64)))

    def decode(self, rows: np.ndarray, priors: Prediction) -> None:
        decision = self.decoder(rows, priors)
        self.log_odds[rows], self.evidence[rows] = decision.log_odds, decision.evidence
        accepted = self.acceptance.posterior(decision.log_odds) >= self.settings.accept
        likeliest = decision.marginals.argmax(axis=-1)
        if decision.words is None:
            self.tokens[rows] = np.where(accepted[:, None], decision.tokens, likeliest)
            chosen = np.take_along_axis(decision.marginals, self.tokens[rows][..., None], -1)[..., 0]
        else:
            likeliest = np.take_along_axis(decision.words, likeliest[..., None], -1)[..., 0]
            self.tokens[rows] = np.where(accepted[:, None], decision.tokens, likeliest)
            chosen = np.where(decision.words == self.tokens[rows][..., None], decision.marginals, 0).sum(axis=-1)
        self.confidence[rows] = chosen

    def _shown(self, hidden: np.ndarray) -> np.ndarray:
        """Return the frame as shown to the prior while the packets `hidden` are decoded."""
        certain = self.confidence >= self.settings.inform
        certain[hidden] = False
        used = (self.positions >= 0) & certain
        shown = np.full(self.positions.max() + 1, LOST, np.int32)
        shown[self.positions[used]] = self.tokens[used]
        return shown

    def _priors(self, rows: np.ndarray, found: Prediction, index: np.ndarray) -> Prediction:
        """Arrange predictions by packet; `index`, int (n_tokens,), maps positions of the frame to entries of
        `found`."""
        places = self.positions[rows]
        priors, padding = found[index[places]], places < 0
        if self.frame.sizes:
            words = np.arange(priors.codebook_size) if priors.words is None else priors.words
            impossible = words >= self.frame.limits[places][..., None]
            priors.log_probability[impossible] = -np.inf if priors.words is None else LEAST
        if padding.any():
            impossible = -np.inf if priors.words is None else LEAST
            priors.log_probability[padding] = impossible
            priors.log_probability[padding, 0] = 0
            if priors.words is not None:
                priors.words[padding] = np.arange(priors.words.shape[-1])
                priors.rest[padding] = LEAST
            if priors.levels is not None:
                priors.levels[padding] = len(LEVELS) - 1
        return priors
