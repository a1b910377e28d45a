"""From what the channel left of a frame to a whole one, in one of the modes of `modes`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.context.acceptance import Acceptance
from tokcom.context.joint_decoding import ContextSettings, JointDecoder
from tokcom.context.model import ContextModel
from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.modes import DEFAULT_MODE, MODES
from tokcom.link.packets import MixedPackets
from tokcom.packets.header import BurstHeader
from tokcom.packets.labels import NATURAL, TokenLabels
from tokcom.packets.layout import PADDING, packet_layout, unpack


@dataclass(frozen=True)
class RecoveredFrame:
    """A frame after recovery.

    Attributes:
        frame: LOST only where no model was there to guess.
        confidence: float32 (n_tokens,), probability of each token; of kept ones it is not known, and 0.
        packets_ok: bool (n_packets,), packets declared good; empty where nothing was known of the packets.
        passes: passes of the context model in mode "context".
        log_odds: float64 (n_packets,) of packets decoded by list, before calibration; infinite where the CRC held.
            Empty in the other modes.
    """

    frame: TokenFrame
    confidence: np.ndarray
    packets_ok: np.ndarray
    passes: int = 0
    log_odds: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class ReceivedPackets:
    """The packets of a frame as they came from the channel.

    Attributes:
        positions: int (n_packets, tokens_per_packet), the place in the frame of each packet's tokens, or PADDING.
        sent: bool (n_packets,), packets that the channel says something of.
        decode: the Viterbi decoder's tokens, int (n_packets, tokens_per_packet).
        list_decode: as `MixedPackets.list_decode` with LLRs and identity given.
    """

    positions: np.ndarray
    sent: np.ndarray
    decode: Callable[[], np.ndarray]
    list_decode: Callable[[np.ndarray, np.ndarray, ListSettings], ListDecision]

    @classmethod
    def of_burst(
        cls, header: BurstHeader, codebook_size: int, llrs: np.ndarray, labels: TokenLabels | None = None
    ) -> "ReceivedPackets":
        """Those of a burst, from its header, the LLRs, float32, of all packets, and the labels of its tokens (None:
        natural)."""
        coded = MixedPackets.of(codebook_size, header.tokens_per_packet, header.mcs, labels)
        return cls(
            packet_layout(header.n_tokens, header.tokens_per_packet, header.layout_seed), coded.bits > 0,
            lambda: coded.decode(llrs, header.identity)[0],
            lambda rows, log_priors, settings: coded.list_decode(llrs, rows, log_priors, header.identity, settings),
        )  # fmt: skip


class FrameRecovery:
    """Makes frames whole.

    Args:
        mode: one of MODES.
        model: the context model; "mask" and "context" need one, the others let it guess packets that were not sent.
        masked: how tokens are guessed that nothing is known of.
        context: the schedule of mode "context".
        lists: how far list decoding goes.
        acceptance: calibration of posteriors.
        labels: of the frames' codebook, by kind; None: it has none but natural ones.
        frequencies: float (codebook_size,), share of each word of the frames' codebook among all tokens sent, which
            mode "list" weighs; None: all alike.

    Raises:
        ParameterError: there is no such mode, or it lacks its model.
    """

    def __init__(
        self, mode: str = DEFAULT_MODE, model: ContextModel | None = None, *, masked: RecoverySettings | None = None,
        context: ContextSettings | None = None, lists: ListSettings | None = None,
        acceptance: Acceptance | None = None, labels: Mapping[str, TokenLabels] | None = None,
        frequencies: np.ndarray | None = None,
    ):  # fmt: skip
        if mode not in MODES:
            raise ParameterError(f"mode is {mode!r}; it must be one of {', '.join(MODES)}")
        if model is None and mode in ("mask", "context"):
            raise ParameterError(f"mode {mode!r} needs a context model; without one there are 'keep' and 'list'")
        self.mode, self.model = mode, model
        self._guess = None if model is None else Recovery(model, masked)
        self._joint = JointDecoder(model if mode == "context" else None, context, acceptance, frequencies)
        self._lists, self._labels = lists or ListSettings(), labels or {}

    def recover(
        self, frame: TokenFrame, header: BurstHeader | None = None, llrs: np.ndarray | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> RecoveredFrame:  # fmt: skip
        """Make a frame whole.

        Args:
            frame: as received, LOST where a packet failed.
            header: of its burst.
            llrs: float32, of all packets. Without header and LLRs nothing but guessing is left, in every mode.
            cancelled: asked before every pass of the model; once true, the frame comes back as far as it is.

        Raises:
            ModelError: the model does not fit the frame, or the labels that it was sent under are not here.
            TokcomError: header, LLRs and frame do not belong together.
        """
        received = None
        if header is not None and llrs is not None:
            labels = self._labels.get(header.labels)
            if header.labels != NATURAL and labels is None:
                raise ModelError(
                    f"frame {frame.frame_id} has {header.labels} labels, and none of {frame.codebook} are here"
                )
            received = ReceivedPackets.of_burst(header, frame.codebook_size, llrs, labels)
        return self.recover_packets(frame, received, cancelled)

    def recover_packets(
        self, frame: TokenFrame, received: ReceivedPackets | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> RecoveredFrame:  # fmt: skip
        """The same for packets that came by another link than bursts; None: nothing is known of them."""
        if self.model is not None:
            self.model.require_fit(frame)
        known = np.where(frame.lost, 0, 1).astype(np.float32)
        if received is None:
            return RecoveredFrame(*self._guessed(frame, known, cancelled), np.zeros(0, bool))
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
            decision = self._joint.decode(
                frame, positions, packets, ok,
                lambda rows, log_priors: received.list_decode(rows, log_priors, self._lists), cancelled,
            )  # fmt: skip
            ok, passes, log_odds = decision.accepted, decision.passes, decision.log_odds
            # Where nothing was sent and no model spoke, nothing is known.
            unknown = ~received.sent[:, None] & (self.mode == "list")
            whole = frame.with_tokens(unpack(np.where(unknown, LOST, decision.tokens), positions))
            confidence = unpack(decision.confidence, positions)
        return RecoveredFrame(*self._guessed(whole, confidence, cancelled), ok, passes, log_odds)

    def _guessed(
        self, frame: TokenFrame, confidence: np.ndarray, cancelled: Callable[[], bool]
    ) -> tuple[TokenFrame, np.ndarray]:
        """The frame with what is still LOST guessed by the model."""
        if self._guess is None or not frame.lost.any():
            return frame, confidence
        whole, guesses = self._guess.recover(frame, cancelled)
        return whole, np.where(frame.lost, guesses, confidence)
