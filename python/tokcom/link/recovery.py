"""Recovery of frames with failed packets, in one of the modes of `modes`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.coding.token_steps import TokenSteps
from tokcom.context.acceptance import Acceptance, log_odds_of
from tokcom.context.causal import CausalPrior
from tokcom.context.causal_beams import CausalBeams
from tokcom.context.causal_filling import CausalFilling
from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import DENSE_WORDS, ContextSettings, JointDecision, Strategy
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
from tokcom.tokenizers.groups import frames_of, is_group


@dataclass(frozen=True)
class RecoveredFrame:
    """Frame after recovery.

    Attributes:
        frame: the frame; LOST only where no prior could guess, or recovery was cancelled.
        confidence: float32 (n_tokens,), probability of each token; 0 for kept ones, for which it is unknown.
        packets_ok: bool (n_packets,), accepted packets; empty if nothing was known of the packets.
        passes: number of passes of the prior in mode "context".
        log_odds: float64 (n_packets,), log-odds of list-decoded packets before calibration; infinite if the CRC held.
            Empty in the other modes.
    """

    frame: TokenFrame
    confidence: np.ndarray
    packets_ok: np.ndarray
    passes: int = 0
    log_odds: np.ndarray = field(default_factory=lambda: np.zeros(0))


PRIOR_BYTES = 2 << 30
"""Limit on the memory of a frame's probabilities: a header of a few milliseconds can announce more."""


STRATEGIES: dict[str, Callable[..., Strategy]] = {ANY: MaskedTurns, CAUSAL: CausalBeams}
"""Strategies of joint decoding by the order of a prior."""


@dataclass(frozen=True)
class LeftOver:
    """Frame with losses, and everything known about it.

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
    """Decodes packets of a frame, as strategies ask for it (`context.joint_decoding.CodedPacketDecoder`): `own`, int
    (n,), are the numbers of the frame's packets among those received."""

    received: ReceivedPackets
    lists: ListSettings
    own: np.ndarray

    def __call__(self, rows: np.ndarray, priors: Prediction) -> ListDecision:
        return self.received.list_decode(self.own[rows], priors, self.lists)

    def token_steps(self, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        return self.received.token_steps(int(self.own[row]), log_frequencies)

    def believed(
        self, rows: np.ndarray, tokens: np.ndarray, log_prior: np.ndarray, log_odds: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        return self.received.believed(self.own[rows], tokens, log_prior, log_odds)


class FrameRecovery:
    """Recovery of frames of one codebook.

    Args:
        mode: one of MODES.
        prior: prior of the codebook's tokens, or a function that loads it. "mask" and "context" need one; "keep" and
            "list" use it only to guess packets that were not sent, and load it then.
        masked: settings for guessing tokens without any information.
        context: schedule of mode "context".
        lists: limits of list decoding.
        acceptance: calibration of packets' posteriors.
        certainty: calibration of tokens' posteriors in mode "context".
        codebook: name of the codebook that all of this is of; frames of others are refused. None: the prior's; without
            a prior, of any.
        frequencies: float (codebook_size,), share of each word of the frames' codebook among all tokens sent, used as
            prior in mode "list"; None for uniform.

    Raises:
        ParameterError: there is no such mode, or it lacks its prior, or none for the prior's order, or prior or
            frequencies are of no codebook.
    """

    def __init__(
        self, mode: str = DEFAULT_MODE, prior: Prior | Callable[[], Prior] | None = None, *,
        masked: RecoverySettings | None = None, context: ContextSettings | None = None,
        lists: ListSettings | None = None, acceptance: Acceptance | None = None,
        certainty: Acceptance | None = None, frequencies: np.ndarray | None = None, codebook: str | None = None,
    ):  # fmt: skip
        require_mode(mode)
        if prior is None and mode in WITH_PRIOR:
            raise ParameterError(f"mode {mode!r} needs a context model; without one there are 'keep' and 'list'")
        if isinstance(prior, Prior):
            codebook = codebook or prior.codebook
        if codebook is None and (frequencies is not None or prior is not None):
            raise ParameterError("prior and frequencies of words belong to one codebook: name it in codebook=")
        self.mode, self._codebook, self._masked = mode, codebook, masked
        self._prior, self._loading = prior, Lock()
        if mode == "mask" and not isinstance(self.prior, CausalPrior):
            Recovery(self.prior, masked)
        self._context = context or ContextSettings()
        joint = STRATEGIES[self.prior.order] if mode == "context" else MaskedTurns
        self._joint = joint(self.prior if mode == "context" else None, self._context, acceptance, frequencies)
        self._lists = lists or ListSettings()
        self._certainty = certainty if mode == "context" and certainty is not None and certainty.log_odds else None

    @property
    def prior(self) -> Prior | None:
        """Prior, loaded on first access."""
        with self._loading:
            if self._prior is not None and not isinstance(self._prior, Prior):
                self._prior = self._prior()
            return self._prior

    @property
    def at_once(self) -> int:
        """Number of frames that are best processed together."""
        return self._prior.at_once if isinstance(self._prior, Prior) else 1

    @property
    def n_bytes(self) -> int:
        """Bytes of its prior in memory."""
        return self._prior.n_bytes if isinstance(self._prior, Prior) else 0

    def recover(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Recover a frame.

        Args:
            frame, received, condition: see `LeftOver`.
            cancelled: called before every pass of the prior; once it returns true, the frame is returned as it is by
                then.

        Raises:
            ModelError: the prior does not fit the frame, or its tokens and their words are more than can be weighed.
            TokcomError: packets and frame do not belong together.
        """
        return result_of(self._whole(LeftOver(frame, received, condition), cancelled), lambda: self.prior)

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Recover several frames concurrently, with their questions to the prior in batches.

        Returns:
            Per frame the result of `recover`, or its exception.
        """
        return answered([self._whole(each, cancelled) for each in frames], lambda: self.prior)

    def _whole(self, left: LeftOver, cancelled: Callable[[], bool]) -> Asking[RecoveredFrame]:
        frame, received = left.frame, left.received
        condition = left.condition or Condition.of(frame)
        if condition.before is not None and self.prior is not None:
            condition = self.prior.usable(condition)
        elif left.condition is None and isinstance(self._prior, Prior):
            condition = self._prior.usable(condition)
        self._require_fit(frame, condition)
        known = np.where(frame.lost, 0, 1).astype(np.float32)
        if received is None:
            guessed = yield from self._guessed(frame, known, left.condition and condition, cancelled)
            return RecoveredFrame(*guessed, np.zeros(0, bool))
        positions = received.positions
        packets = np.where(positions == PADDING, 0, frame.tokens[positions])
        ok = (packets != LOST).all(axis=1)
        if self.mode == "context":
            ok &= self._joint.plausible(packets, positions) | ~received.sent
        passes, log_odds = 0, np.zeros(0)
        if self.mode == "mask" or ok.all():
            whole, confidence = frame, known
        elif self.mode == "keep":
            kept, _ = received.decode()
            unusable = (kept >= frame.limits[positions]) | ~received.sent[:, None]
            kept = np.where(ok[:, None], packets, np.where(unusable, LOST, kept)).astype(np.int32)
            whole, confidence = frame.with_tokens(unpack(kept, positions)), known
        else:
            decide = self._in_turn if self._has_turns(frame, positions) else self._jointly
            decision = yield from decide(frame, packets, ok, received, condition, cancelled)
            ok, passes, log_odds = decision.accepted, decision.passes, decision.log_odds
            # Without a transmission and without a prior nothing is known.
            unknown = ~received.sent[:, None] & (self.mode == "list") | (decision.tokens >= frame.limits[positions])
            whole = frame.with_tokens(unpack(np.where(unknown, LOST, decision.tokens), positions))
            confidence = unpack(np.where(unknown, np.float32(0), self._calibrated(decision.confidence)), positions)
        guessed = yield from self._guessed(whole, confidence, left.condition and condition, cancelled)
        return RecoveredFrame(*guessed, ok, passes, log_odds)

    def _has_turns(self, frame: TokenFrame, positions: np.ndarray) -> bool:
        """Whether a frame is a group of which each frame has packets of its own."""
        if self.mode != "context" or not is_group(frame) or "before" not in self.prior.takes:
            return False
        number = _frame_numbers(frame, positions)
        return bool(((number == number[:, :1]) | (positions == PADDING)).all())

    def _jointly(
        self, frame: TokenFrame, packets: np.ndarray, ok: np.ndarray, received: ReceivedPackets, condition: Condition,
        cancelled: Callable[[], bool],
    ) -> Asking[JointDecision]:  # fmt: skip
        return self._joint.decode(
            frame, received.positions, packets, ok, _OpenPackets(received, self._lists, np.arange(len(ok))), condition,
            cancelled,
        )  # fmt: skip

    def _in_turn(
        self, group: TokenFrame, packets: np.ndarray, ok: np.ndarray, received: ReceivedPackets, condition: Condition,
        cancelled: Callable[[], bool],
    ) -> Asking[JointDecision]:  # fmt: skip
        """Decode the frames of a group one after the other, each in view of the one before as it was decoded."""
        numbers, parts, found = _frame_numbers(group, received.positions)[:, 0], [], []
        for number, frame in enumerate(frames_of(group)):
            own = np.flatnonzero(numbers == number)
            positions = received.positions[own]
            positions = np.where(positions == PADDING, PADDING, positions - number * len(frame.tokens))
            decision = yield from self._joint.decode(
                frame, positions, packets[own], ok[own], _OpenPackets(received, self._lists, own), condition, cancelled
            )
            condition = replace(condition, before=frame.with_tokens(unpack(decision.tokens, positions)))
            parts.append(own)
            found.append(decision)
        order = np.argsort(np.concatenate(parts))
        joined = (
            np.concatenate([getattr(each, name) for each in found])[order]
            for name in ("tokens", "confidence", "accepted", "log_odds")
        )
        return JointDecision(*joined, passes=sum(each.passes for each in found))

    def _calibrated(self, confidence: np.ndarray) -> np.ndarray:
        if self._certainty is None:
            return confidence
        return self._certainty.posterior(log_odds_of(confidence)).astype(np.float32)

    def _require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        if self._codebook not in (None, frame.codebook):
            raise ModelError(
                f"frame {frame.frame_id} holds tokens of codebook {frame.codebook}; frequencies here are those of "
                f"{self._codebook}"
            )
        if isinstance(self._prior, Prior):
            self._prior.require_fit(frame, condition)
        needed = int(frame.lost.sum()) * self._bytes_per_token(frame.codebook_size)
        if self.mode in ("list", "context") and needed > PRIOR_BYTES:
            raise ModelError(
                f"frame {frame.frame_id} lacks {int(frame.lost.sum())} tokens of {frame.codebook_size} words: to score "
                f"them takes {needed / 2**30:.1f} GiB, the limit is {PRIOR_BYTES / 2**30:g}; mode 'keep' needs "
                "none"
            )

    def _bytes_per_token(self, codebook_size: int) -> int:
        """Compute what the probabilities of a token take in memory."""
        if codebook_size <= DENSE_WORDS:
            return 4 * codebook_size
        if self.mode == "list":
            levels = codebook_size if self._joint.log_frequencies is not None else 0
            return 8 * self._context.top + levels
        # A prior scores all words, and a level of each stays.
        return 5 * codebook_size

    def _guessed(
        self, frame: TokenFrame, confidence: np.ndarray, condition: Condition | None, cancelled: Callable[[], bool]
    ) -> Asking[tuple[TokenFrame, np.ndarray]]:
        """Let the prior, which may only be loaded now, guess the tokens that are still LOST; condition None is what was
        sent with the frame."""
        if not frame.lost.any() or self.prior is None:
            return frame, confidence
        if condition is None:
            condition = self.prior.told_with(frame)
        if isinstance(self.prior, CausalPrior):
            filling = CausalFilling(self.prior, self._context.beam, self._context.reach, self._context.seconds)
            whole, guesses = filling.fill(frame, condition, cancelled)
            return whole, np.where(frame.lost, guesses, confidence)
        whole, guesses = yield from Recovery(self.prior, self._masked).fill(frame, condition, cancelled)
        return whole, np.where(frame.lost, guesses, confidence)


def _frame_numbers(group: TokenFrame, positions: np.ndarray) -> np.ndarray:
    """Find the frame of a group that each position is in."""
    return positions // (len(group.tokens) // group.grid[0])
