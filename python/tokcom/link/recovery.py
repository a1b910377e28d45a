"""Recovery of frames with failed packets, in one of the modes of `modes`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.context.acceptance import Acceptance
from tokcom.context.condition import Condition
from tokcom.context.goodness_of_fit import GoodnessOfFit
from tokcom.context.joint_decoding import DENSE_WORDS, ContextSettings, Strategy
from tokcom.context.masked_turns import MaskedTurns
from tokcom.context.prediction import Prediction
from tokcom.context.prior import ANY, Prior
from tokcom.context.questions import Asking, answered, result_of
from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.errors import ModelError, ParameterError, TokcomError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.modes import DEFAULT_MODE, WITH_PRIOR, require_mode
from tokcom.link.packets import MixedPackets
from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import NATURAL, TokenLabels
from tokcom.packets.layout import PADDING, unpack

CERTAIN = 7.0
"""Log-odds of a code word against none from which the prior's share in its tokens' posteriors, a thousandth, is
ignored."""


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


@dataclass(frozen=True)
class ReceivedPackets:
    """Packets of a frame as received from the channel.

    Attributes:
        positions: int (n_packets, tokens_per_packet), position in the frame of each packet's tokens, or PADDING.
        sent: bool (n_packets,), packets about which the channel gives information.
        decode: function that returns the Viterbi decoder's tokens, int (n_packets, tokens_per_packet).
        list_decode: function like `MixedPackets.list_decode` of packets, their priors and settings.
    """

    positions: np.ndarray
    sent: np.ndarray
    decode: Callable[[], np.ndarray]
    list_decode: Callable[[np.ndarray, Prediction, ListSettings], ListDecision]

    @classmethod
    def of_burst(
        cls, header: BurstHeader, codebook_size: int, llrs: np.ndarray, labels: TokenLabels | None = None,
        misfit: np.ndarray | None = None, identity: PacketIdentity | None = None,
    ) -> "ReceivedPackets":  # fmt: skip
        """Make the packets of a burst.

        Args:
            header: header of the burst.
            codebook_size: number of words in the tokens' codebook.
            llrs: float32, LLRs of all packets.
            labels: labels of the tokens; None for natural ones.
            misfit: float32 (n_packets, 2), from `MixedPackets.misfit`; None to take the LLRs at face value.
            identity: `BurstHeader.opened` of encrypted packets; None without encryption.

        Raises:
            ParameterError: the misfit does not have two values per packet.
            FrameError: the number of LLRs does not match the header.
            LockedError: the packets are encrypted, but no identity is given.
        """
        coded = MixedPackets.of(codebook_size, header.tokens_per_packet, header.mcs, labels)
        decoder = _BurstDecoder(coded, identity or header.opened(None), llrs, misfit)
        return cls(header.positions(), coded.bits > 0, decoder.decode, decoder.list_decode)


class _BurstDecoder:
    """Decoder of a burst's packets, with a test of fit for list decisions."""

    def __init__(self, coded: MixedPackets, identity: PacketIdentity, llrs: np.ndarray, misfit: np.ndarray | None):
        self._coded, self._identity, self._llrs, self._misfit = coded, identity, llrs, misfit

    def decode(self) -> np.ndarray:
        return self._coded.decode(self._llrs, self._identity)[0]

    def list_decode(self, rows: np.ndarray, priors: Prediction, settings: ListSettings) -> ListDecision:
        decision = self._coded.list_decode(self._scaled, rows, priors, self._identity, settings)
        if self._fit is None:
            return decision
        beyond = self._coded.beyond_nearest(self._llrs, rows, decision.tokens, self._identity)
        chosen = priors.at(decision.tokens[..., None])[..., 0]
        odds = self._fit.code_word_odds(rows, beyond, chosen.sum(axis=1, dtype=np.float64))
        believed = self._fit.believed(rows, decision.log_odds, odds)
        # A signal that no code word explains carries no information on the tokens: keep the prior.
        doubted = np.flatnonzero(odds < CERTAIN)
        share = np.float32(1 / (1 + np.exp(np.clip(odds[doubted], -80, 80))))[:, None, None]
        before = (
            priors.log_probability[doubted] if decision.words is None else priors[doubted].at(decision.words[doubted])
        )
        decision.marginals[doubted] += share * (np.exp(before) - decision.marginals[doubted])
        return replace(decision, log_odds=believed)

    @cached_property
    def _fit(self) -> GoodnessOfFit | None:
        if self._misfit is None:
            return None
        closest = self._coded.closest_beyond_nearest(self._llrs, self._identity)
        return GoodnessOfFit.of_burst(self._coded.whole_symbols, self._misfit, closest)

    @cached_property
    def _scaled(self) -> np.ndarray:
        """Scale the LLRs to the noise found by the test of fit."""
        if self._fit is None or (self._fit.noise == 1).all():
            return self._llrs
        return (self._llrs / np.repeat(self._fit.noise, self._coded.bits)).astype(np.float32)


PRIOR_BYTES = 2 << 30
"""Limit on the memory of a frame's probabilities: a header of a few milliseconds can announce more."""


STRATEGIES: dict[str, Callable[..., Strategy]] = {ANY: MaskedTurns}
"""Strategies of joint decoding by the order of a prior."""


@dataclass(frozen=True)
class LeftOver:
    """Frame with losses, and everything known about it.

    Attributes:
        frame: the frame, LOST where a packet failed.
        header: header of its burst; None if unknown.
        llrs: float32, LLRs of all packets; None if unknown. Without header and LLRs, every mode can only guess.
        misfit: float32 (n_packets, 2), from `MixedPackets.misfit`: modes "list" and "context" reject code words that do
            not fit. None to take LLRs at face value, which is valid only in known noise.
        condition: side information; None for what was sent with the frame.
        identity: `BurstHeader.opened` of encrypted packets; None without encryption.
    """

    frame: TokenFrame
    header: BurstHeader | None = None
    llrs: np.ndarray | None = None
    misfit: np.ndarray | None = None
    condition: Condition | None = None
    identity: PacketIdentity | None = None


class FrameRecovery:
    """Recovery of frames of one codebook.

    Args:
        mode: one of MODES.
        prior: prior of the codebook's tokens, or a function that loads it. "mask" and "context" need one; "keep" and
            "list" use it only to guess packets that were not sent, and load it then.
        masked: settings for guessing tokens without any information.
        context: schedule of mode "context".
        lists: limits of list decoding.
        acceptance: calibration of posteriors.
        labels: labels of the frames' codebook by kind; None for natural ones only.
        codebook: name of the codebook of all of these; frames of others are refused. None for the prior's codebook or,
            without a prior, any.
        frequencies: float (codebook_size,), share of each word of the frames' codebook among all tokens sent, used as
            prior in mode "list"; None for uniform.

    Raises:
        ParameterError: the mode does not exist, lacks its prior or does not support the prior's order, or labels or
            frequencies lack a codebook.
    """

    def __init__(
        self, mode: str = DEFAULT_MODE, prior: Prior | Callable[[], Prior] | None = None, *,
        masked: RecoverySettings | None = None, context: ContextSettings | None = None,
        lists: ListSettings | None = None, acceptance: Acceptance | None = None,
        labels: Mapping[str, TokenLabels] | None = None, frequencies: np.ndarray | None = None,
        codebook: str | None = None,
    ):  # fmt: skip
        require_mode(mode)
        if prior is None and mode in WITH_PRIOR:
            raise ParameterError(f"mode {mode!r} needs a context model; without one there are 'keep' and 'list'")
        if isinstance(prior, Prior):
            codebook = codebook or prior.codebook
        if codebook is None and (labels or frequencies is not None or prior is not None):
            raise ParameterError("prior, labels and frequencies of words belong to one codebook: name it in codebook=")
        self.mode, self._codebook, self._masked = mode, codebook, masked
        self._prior, self._loading = prior, Lock()
        if mode in WITH_PRIOR:
            Recovery(self.prior, masked)
        self._context = context or ContextSettings()
        joint = STRATEGIES[self.prior.order] if mode == "context" else MaskedTurns
        self._joint = joint(self.prior if mode == "context" else None, self._context, acceptance, frequencies)
        self._lists, self._labels = lists or ListSettings(), labels or {}

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
        self, frame: TokenFrame, header: BurstHeader | None = None, llrs: np.ndarray | None = None,
        cancelled: Callable[[], bool] = lambda: False, misfit: np.ndarray | None = None,
        condition: Condition | None = None, identity: PacketIdentity | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Recover a frame.

        Args:
            frame, header, llrs, misfit, condition, identity: see `LeftOver`.
            cancelled: called before every pass of the prior; once it returns true, the frame is returned as it is by
                then.

        Raises:
            ModelError: the prior does not fit the frame, its labels are missing, or its tokens and their words exceed
                the memory limit.
            TokcomError: header, LLRs and frame do not match.
        """
        left = LeftOver(frame, header, llrs, misfit, condition, identity)
        return result_of(self._work(left, cancelled), lambda: self.prior)

    def recover_all(
        self, frames: Sequence[LeftOver], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RecoveredFrame | TokcomError]:
        """Recover several frames concurrently, with their questions to the prior in batches.

        Returns:
            Per frame the result of `recover`, or its exception.
        """
        return answered([self._work(each, cancelled) for each in frames], lambda: self.prior)

    def recover_packets(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False, condition: Condition | None = None,
    ) -> RecoveredFrame:  # fmt: skip
        """Do the same for packets from a link other than bursts; None if nothing is known of them."""
        condition = condition or Condition.of(frame)
        return result_of(self._whole(frame, received, condition, cancelled), lambda: self.prior)

    def _work(self, left: LeftOver, cancelled: Callable[[], bool]) -> Asking[RecoveredFrame]:
        frame, header, condition = left.frame, left.header, left.condition or Condition.of(left.frame)
        self._require_fit(frame, condition)
        received = None
        if header is not None and left.llrs is not None:
            labels = self._labels.get(header.labels)
            if header.labels != NATURAL and labels is None:
                raise ModelError(
                    f"frame {frame.frame_id} has {header.labels} labels, but {frame.codebook} has none here"
                )
            received = ReceivedPackets.of_burst(
                header, frame.codebook_size, left.llrs, labels, left.misfit, left.identity
            )
        return (yield from self._whole(frame, received, condition, cancelled))

    def _whole(
        self, frame: TokenFrame, received: ReceivedPackets | None, condition: Condition, cancelled: Callable[[], bool]
    ) -> Asking[RecoveredFrame]:
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
            kept = received.decode()
            unusable = (kept >= frame.codebook_size) | ~received.sent[:, None]
            kept = np.where(ok[:, None], packets, np.where(unusable, LOST, kept)).astype(np.int32)
            whole, confidence = frame.with_tokens(unpack(kept, positions)), known
        else:
            decision = yield from self._joint.decode(
                frame, positions, packets, ok, lambda rows, priors: received.list_decode(rows, priors, self._lists),
                condition, cancelled,
            )  # fmt: skip
            ok, passes, log_odds = decision.accepted, decision.passes, decision.log_odds
            # Without a transmission and without a prior nothing is known.
            unknown = ~received.sent[:, None] & (self.mode == "list")
            whole = frame.with_tokens(unpack(np.where(unknown, LOST, decision.tokens), positions))
            confidence = unpack(np.where(unknown, np.float32(0), decision.confidence), positions)
        guessed = yield from self._guessed(whole, confidence, condition, cancelled)
        return RecoveredFrame(*guessed, ok, passes, log_odds)

    def _require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        if self._codebook not in (None, frame.codebook):
            raise ModelError(
                f"frame {frame.frame_id} has tokens of codebook {frame.codebook}; labels and frequencies here are "
                f"those of {self._codebook}"
            )
        if isinstance(self._prior, Prior):
            self._prior.require_fit(frame, condition)
        # A prior scores all words, however few it names in the end.
        named = self.mode == "list" and frame.codebook_size > DENSE_WORDS
        words = self._context.top if named else frame.codebook_size
        needed = int(frame.lost.sum()) * words * np.dtype(np.float32).itemsize
        if self.mode in ("list", "context") and needed > PRIOR_BYTES:
            raise ModelError(
                f"frame {frame.frame_id} lacks {int(frame.lost.sum())} tokens of {frame.codebook_size} words: to score "
                f"them takes {needed / 2**30:.1f} GiB, the limit is {PRIOR_BYTES / 2**30:g}; mode 'keep' needs "
                "none"
            )

    def _guessed(
        self, frame: TokenFrame, confidence: np.ndarray, condition: Condition, cancelled: Callable[[], bool]
    ) -> Asking[tuple[TokenFrame, np.ndarray]]:
        """Let the prior guess the tokens that are still LOST."""
        if not frame.lost.any() or self.prior is None:
            return frame, confidence
        whole, guesses = yield from Recovery(self.prior, self._masked).fill(frame, condition, cancelled)
        return whole, np.where(frame.lost, guesses, confidence)
