"""From what the channel left of a frame to a whole one, in one of the modes of `modes`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.coding.token_steps import TokenSteps
from tokcom.context.acceptance import Acceptance
from tokcom.context.causal_beams import CausalBeams
from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import DENSE_WORDS, ContextSettings, Strategy
from tokcom.context.masked_turns import MaskedTurns
from tokcom.context.prediction import Prediction
from tokcom.context.prior import ANY, CAUSAL, Prior
from tokcom.context.questions import Asking, answered, result_of
from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.errors import ModelError, ParameterError, TokcomError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.modes import DEFAULT_MODE, WITH_PRIOR, require_mode
from tokcom.link.received import ReceivedPackets
from tokcom.packets.layout import PADDING, unpack


@dataclass(frozen=True)
class RecoveredFrame:
    """A frame after recovery.

    Attributes:
        frame: LOST only where no prior was there to guess, or recovery was cancelled.
        confidence: float32 (n_tokens,), probability of each token; of kept ones it is not known, and 0.
        packets_ok: bool (n_packets,), packets declared good; empty where nothing was known of the packets.
        passes: passes of the prior in mode "context".
        log_odds: float64 (n_packets,) of packets decoded by list, before calibration; infinite where the CRC held.
            Empty in the other modes.
    """

    frame: TokenFrame
    confidence: np.ndarray
    packets_ok: np.ndarray
    passes: int = 0
    log_odds: np.ndarray = field(default_factory=lambda: np.zeros(0))


PRIOR_BYTES = 2 << 30
"""What the probabilities of a frame's tokens may take in memory: a header of a few milliseconds can announce more."""


STRATEGIES: dict[str, Callable[..., Strategy]] = {ANY: MaskedTurns, CAUSAL: CausalBeams}
"""Joint decoding by the order in which a prior takes tokens."""


@dataclass(frozen=True)
class LeftOver:
    """A frame as the channel left it, and all that is known of it.

    Attributes:
        frame: LOST where a packet failed.
        received: what the channel says of its packets; None: nothing, and guessing is left, in every mode.
        condition: what is known beside the tokens; None: what travelled with the frame.
    """

    frame: TokenFrame
    received: ReceivedPackets | None = None
    condition: Condition | None = None


@dataclass(frozen=True)
class _OpenPackets:
    """Decodes packets of a frame, as strategies ask for it (`context.joint_decoding.CodedPacketDecoder`)."""

    received: ReceivedPackets
    lists: ListSettings

    def __call__(self, rows: np.ndarray, priors: Prediction) -> ListDecision:
        return self.received.list_decode(rows, priors, self.lists)

    def token_steps(self, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        return self.received.token_steps(row, log_frequencies)

    def believed(
        self, rows: np.ndarray, tokens: np.ndarray, log_prior: np.ndarray, log_odds: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        return self.received.believed(rows, tokens, log_prior, log_odds)


class FrameRecovery:
    """Makes frames of one codebook whole.

    Args:
        mode: one of MODES.
        prior: of the codebook's tokens, or what loads it. "mask" and "context" need one; "keep" and "list" let it guess
            packets that were not sent, and load it when there are any.
        masked: how tokens are guessed that nothing is known of.
        context: the schedule of mode "context".
        lists: how far list decoding goes.
        acceptance: calibration of posteriors.
        codebook: name of the codebook that all of this is of; frames of others are refused. None: the prior's; without
            a prior, of any.
        frequencies: float (codebook_size,), share of each word of the frames' codebook among all tokens sent, which
            mode "list" weighs; None: all alike.

    Raises:
        ParameterError: there is no such mode, or it lacks its prior, or none for the prior's order, or prior or
            frequencies are of no codebook.
    """

    def __init__(
        self, mode: str = DEFAULT_MODE, prior: Prior | Callable[[], Prior] | None = None, *,
        masked: RecoverySettings | None = None, context: ContextSettings | None = None,
        lists: ListSettings | None = None, acceptance: Acceptance | None = None,
        frequencies: np.ndarray | None = None, codebook: str | None = None,
    ):  # fmt: skip
        require_mode(mode)
        if prior is None and mode in WITH_PRIOR:
            raise ParameterError(f"mode {mode!r} needs a context model; without one there are 'keep' and 'list'")
        if isinstance(prior, Prior):
            codebook = codebook or prior.codebook
        if codebook is None and (frequencies is not None or prior is not None):
            raise ParameterError("prior and frequencies of words are those of one codebook: name it in codebook=")
        self.mode, self._codebook, self._masked = mode, codebook, masked
        self._prior, self._loading = prior, Lock()
        if mode == "mask":
            Recovery(self.prior, masked)
        self._context = context or ContextSettings()
        joint = STRATEGIES[self.prior.order] if mode == "context" else MaskedTurns
        self._joint = joint(self.prior if mode == "context" else None, self._context, acceptance, frequencies)
        self._lists = lists or ListSettings()

    @property
    def prior(self) -> Prior | None:
        """The prior, which is loaded now if it was not before."""
        with self._loading:
            if self._prior is not None and not isinstance(self._prior, Prior):
                self._prior = self._prior()
            return self._prior

    @property
    def at_once(self) -> int:
        """Frames that are best worked on together."""
        return self._prior.at_once if isinstance(self._prior, Prior) else 1

    @property
    def n_bytes(self) -> int:
        """What its prior holds in memory."""
        return self._prior.n_bytes if isinstance(self._prior, Prior) else 0

    def recover(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Make a frame whole.

        Args:
            frame, received, condition: see `LeftOver`.
            cancelled: asked before every pass of the prior; once true, the frame comes back as far as it is.

        Raises:
            ModelError: the prior does not fit the frame, or its tokens and their words are more than can be weighed.
            TokcomError: packets and frame do not belong together.
        """
        return result_of(self._whole(LeftOver(frame, received, condition), cancelled), lambda: self.prior)

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Make several frames whole side by side, their questions to the prior in batches.

        Returns:
            For each what `recover` returns, or raises.
        """
        return answered([self._whole(each, cancelled) for each in frames], lambda: self.prior)

    def _whole(self, left: LeftOver, cancelled: Callable[[], bool]) -> Asking[RecoveredFrame]:
        frame, received, condition = left.frame, left.received, left.condition or Condition.of(left.frame)
        self._require_fit(frame, condition)
        known = np.where(frame.lost, 0, 1).astype(np.float32)
        if received is None:
            guessed = yield from self._guessed(frame, known, condition, cancelled)
            return RecoveredFrame(*guessed, np.zeros(0, bool))
        positions = received.positions
        packets = np.where(positions == PADDING, 0, frame.tokens[positions])
        ok = (packets != LOST).all(axis=1)
        passes, log_odds = 0, np.zeros(0)
        if self.mode == "mask" or ok.all():
            whole, confidence = frame, known
        elif self.mode == "keep":
            kept, _ = received.decode()
            unusable = (kept >= frame.limits[positions]) | ~received.sent[:, None]
            kept = np.where(ok[:, None], packets, np.where(unusable, LOST, kept)).astype(np.int32)
            whole, confidence = frame.with_tokens(unpack(kept, positions)), known
        else:
            decision = yield from self._joint.decode(
                frame, positions, packets, ok, _OpenPackets(received, self._lists), condition, cancelled
            )
            ok, passes, log_odds = decision.accepted, decision.passes, decision.log_odds
            # Where nothing was sent and no prior spoke, nothing is known.
            unknown = ~received.sent[:, None] & (self.mode == "list") | (decision.tokens >= frame.limits[positions])
            whole = frame.with_tokens(unpack(np.where(unknown, LOST, decision.tokens), positions))
            confidence = unpack(np.where(unknown, np.float32(0), decision.confidence), positions)
        guessed = yield from self._guessed(whole, confidence, condition, cancelled)
        return RecoveredFrame(*guessed, ok, passes, log_odds)

    def _require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        if self._codebook not in (None, frame.codebook):
            raise ModelError(
                f"frame {frame.frame_id} holds tokens of codebook {frame.codebook}; frequencies here are those of "
                f"{self._codebook}"
            )
        if isinstance(self._prior, Prior):
            self._prior.require_fit(frame, condition)
        # A prior weighs all words, whatever few of them it names in the end.
        named = self.mode == "list" and frame.codebook_size > DENSE_WORDS
        words = self._context.top if named else frame.codebook_size
        needed = int(frame.lost.sum()) * words * np.dtype(np.float32).itemsize
        if self.mode in ("list", "context") and needed > PRIOR_BYTES:
            raise ModelError(
                f"frame {frame.frame_id} lacks {int(frame.lost.sum())} tokens of {frame.codebook_size} words: to weigh "
                f"them takes {needed / 2**30:.1f} GiB, at most {PRIOR_BYTES / 2**30:g} are taken; mode 'keep' needs "
                "none"
            )

    def _guessed(
        self, frame: TokenFrame, confidence: np.ndarray, condition: Condition, cancelled: Callable[[], bool]
    ) -> Asking[tuple[TokenFrame, np.ndarray]]:
        """The frame with what is still LOST guessed by the prior."""
        if not frame.lost.any() or self.prior is None or self.prior.order != ANY:
            return frame, confidence
        whole, guesses = yield from Recovery(self.prior, self._masked).fill(frame, condition, cancelled)
        return whole, np.where(frame.lost, guesses, confidence)
