"""Channel and context decide together: the packets of a frame are decoded with the context model's probabilities as the
tokens' prior, and what was decoded tells the model more about the rest.

The paper masks whole packets that failed and guesses their tokens. Here nothing is thrown away that the channel said.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from tokcom.context.acceptance import Acceptance
from tokcom.context.model import ContextModel
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame

STRANGE = 5.0
"""Nepers by which words' frequencies must explain a frame better than the model does, for the frame to be strange to
it: frames that are unlike all that the model has learnt from are rare."""


class Decision(Protocol):
    """What a decoder makes of packets, as `coding.list_decoding.ListDecision` does."""

    tokens: np.ndarray
    """int32 (n, tokens_per_packet), the likeliest sequence of each."""
    log_odds: np.ndarray
    """float64 (n,), log of its posterior over that of all others."""
    evidence: np.ndarray
    """float64 (n,), log of the probability, under the priors, of what was received; up to a constant a packet."""
    marginals: np.ndarray
    """float32 (n, tokens_per_packet, codebook_size), posterior of every token."""


class PacketDecoder(Protocol):
    """Decodes the packets `rows` of a frame with log-priors float32 (len(rows), tokens_per_packet, codebook_size)."""

    def __call__(self, rows: np.ndarray, log_priors: np.ndarray) -> Decision: ...


@dataclass(frozen=True)
class ContextSettings:
    """The schedule of decoding with context.

    Args:
        rounds: times at most that every open packet is decoded.
        turns: groups of open packets that take turns in a round: while one is decoded, what is thought of the others
            informs the model. A packet never sees its own guesses.
        inform: posterior from which a token is shown to the model.
        accept: calibrated posterior from which a packet is declared good.
        settle: posterior, before calibration, from which it is not decoded again.
        seconds: time a frame; once spent, the best so far counts. None: no limit.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    rounds: int = 6
    turns: int = 4
    inform: float = 0.9
    accept: float = 0.9985
    settle: float = 0.99999
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("rounds", "turns"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("inform", "accept", "settle"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.seconds is not None and not self.seconds > 0:
            raise ParameterError(f"seconds is {self.seconds}; it must be above 0, or None")


@dataclass(frozen=True)
class JointDecision:
    """What became of a frame.

    Attributes:
        tokens: int32 (n_packets, tokens_per_packet), the likeliest of each.
        confidence: float32 of that shape, the posterior of each token.
        accepted: bool (n_packets,), packets declared good.
        log_odds: float64 (n_packets,) of each packet's last decoding before calibration; infinite where the CRC held.
        passes: passes of the model.
    """

    tokens: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    log_odds: np.ndarray
    passes: int


class JointDecoder:
    """Decodes the open packets of frames together with a context model, or without one.

    Args:
        model: the context model; None leaves the CRC as the only help.
        settings: the schedule.
        acceptance: calibration of packets' posteriors.
        frequencies: float (codebook_size,), share of each word among all tokens sent, the prior where there is no
            model, or where it explains what was received worse than they do; None: all alike.
    """

    def __init__(
        self, model: ContextModel | None, settings: ContextSettings | None = None,
        acceptance: Acceptance | None = None, frequencies: np.ndarray | None = None,
    ):  # fmt: skip
        self.model = model
        self.log_frequencies = None if frequencies is None else np.log(np.asarray(frequencies, np.float32))
        self.settings = settings or ContextSettings()
        self.acceptance = acceptance or Acceptance()

    def decode(
        self, frame: TokenFrame, positions: np.ndarray, packets: np.ndarray, packets_ok: np.ndarray,
        decoder: PacketDecoder, cancelled: Callable[[], bool] = lambda: False,
    ) -> JointDecision:  # fmt: skip
        """Decode the packets that are not ok.

        Args:
            frame: tells codebook, grid and CMI; its tokens do not matter.
            positions: int (n_packets, tokens_per_packet), the place in the frame of each packet's tokens; -1 for slots
                that hold token 0 by agreement.
            packets: int (n_packets, tokens_per_packet), tokens of the packets that are ok.
            packets_ok: bool (n_packets,).
            decoder: of the other packets.
            cancelled: asked before every pass of the model; once true, the best so far is returned.

        Raises:
            ModelError: the model does not fit the frame.
        """
        if self.model is not None:
            self.model.require_fit(frame)
        if self.log_frequencies is not None and len(self.log_frequencies) != frame.codebook_size:
            raise ModelError(
                f"frame {frame.frame_id} has a codebook of {frame.codebook_size} words, and frequencies are known of "
                f"{len(self.log_frequencies)}"
            )
        work = _Work(self, frame, positions, packets, packets_ok, decoder, cancelled)
        open_rows = np.flatnonzero(~packets_ok)
        if len(open_rows):
            work.decode(open_rows, work.by_frequency(open_rows))
        if self.model is not None and len(open_rows):
            blind = work.aside()
            work.decode(open_rows, work.outset(open_rows))
            for _ in range(self.settings.rounds):
                more = work.round()
                if work.evidence.sum() + STRANGE < blind.evidence.sum():
                    blind.passes, work = work.passes, blind
                    break
                if not more:
                    break
        return JointDecision(work.tokens, work.confidence, work.accepted, work.log_odds, work.passes)


class _Work:
    """The state of one frame."""

    def __init__(self, parent: JointDecoder, frame, positions, packets, packets_ok, decoder, cancelled):
        self.model, self.settings, self.acceptance = parent.model, parent.settings, parent.acceptance
        self.log_frequencies = parent.log_frequencies
        self.frame, self.positions, self.decoder, self.cancelled = frame, positions, decoder, cancelled
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
        """What is known now, whatever becomes of this; uncalibrated, for without the model posteriors are exact."""
        kept = copy(self)
        kept.acceptance = Acceptance()
        for name in ("tokens", "confidence", "log_odds", "evidence"):
            setattr(kept, name, getattr(self, name).copy())
        return kept

    def by_frequency(self, rows: np.ndarray) -> np.ndarray:
        """Priors without the model: how often words are sent."""
        words = self.log_frequencies
        if words is None:
            words = np.full(self.frame.codebook_size, -np.log(self.frame.codebook_size), np.float32)
        return self._priors(rows, np.tile(words, (self.positions.max() + 1, 1)))

    def outset(self, rows: np.ndarray) -> np.ndarray:
        """Priors before any token is shown: the model's for an empty frame, which is the same for all of a class."""
        return self._priors(rows, _empty_frame(self.model, len(self.frame.tokens), self.frame.cmi))

    def round(self) -> bool:
        """Decode every open packet once more; False where that changed nothing, or nothing is open."""
        before = self._shown(np.zeros(0, np.int64))
        settled = np.log(self.settings.settle) - np.log1p(-self.settings.settle)
        open_rows = np.flatnonzero(self.log_odds < settled)
        # The most certain first, for they tell the model most, and dealt out, so that each meets others than its like.
        open_rows = open_rows[np.argsort(-self.log_odds[open_rows], kind="stable")]
        for turn in range(min(self.settings.turns, len(open_rows))):
            rows = open_rows[turn :: self.settings.turns]
            if self.cancelled() or (self.deadline is not None and time.monotonic() > self.deadline):
                return False
            shown = self._shown(rows)
            lost = shown == LOST
            log_probability = np.zeros((len(shown), self.frame.codebook_size), np.float32)
            log_probability[lost] = self.model.log_probabilities(shown, self.frame.cmi)
            self.passes += 1
            self.decode(rows, self._priors(rows, log_probability))
        return not np.array_equal(before, self._shown(np.zeros(0, np.int64)))

    def decode(self, rows: np.ndarray, log_priors: np.ndarray) -> None:
        decision = self.decoder(rows, log_priors)
        self.log_odds[rows], self.evidence[rows] = decision.log_odds, decision.evidence
        accepted = self.acceptance.posterior(decision.log_odds) >= self.settings.accept
        likeliest = decision.marginals.argmax(axis=-1)
        self.tokens[rows] = np.where(accepted[:, None], decision.tokens, likeliest)
        self.confidence[rows] = np.take_along_axis(decision.marginals, self.tokens[rows][..., None], -1)[..., 0]

    def _shown(self, hidden: np.ndarray) -> np.ndarray:
        """The frame as the model may see it while the packets `hidden` are decoded."""
        certain = self.confidence >= self.settings.inform
        certain[hidden] = False
        used = (self.positions >= 0) & certain
        shown = np.full(self.positions.max() + 1, LOST, np.int32)
        shown[self.positions[used]] = self.tokens[used]
        return shown

    def _priors(self, rows: np.ndarray, log_probability: np.ndarray) -> np.ndarray:
        places = self.positions[rows]
        priors = log_probability[places]
        priors[places < 0] = -np.inf
        priors[places < 0, 0] = 0
        return priors


@lru_cache(maxsize=64)
def _empty_frame(model: ContextModel, n_tokens: int, cmi: int | None) -> np.ndarray:
    return model.log_probabilities(np.full(n_tokens, LOST, np.int32), cmi)
