"""From what the network left of a frame to a whole one: packets without index put in place, lost tokens guessed."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom.frame import Payload, TokenFrame
from tokcom.link.frame_memory import FrameMemory
from tokcom.link.recovery import FrameRecovery, LeftOver
from tokcom.link.recovery_set import RecoverySet
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.receiver import Question
from tokcom.protocol.repeat_requests import RepeatPolicy
from tokcom.protocol.unordered import placed


@dataclass(frozen=True)
class WholeFrame:
    """A frame of the network, made whole.

    Attributes:
        frame: LOST where nobody could guess.
        guessed: tokens that were guessed.
        packets, packets_lost: of the frame, and those that did not come.
        confidence: float32 (n_tokens,), probability of each token; 1 for those that came, 0 for those still LOST.
        arrived: the frame with the tokens that came, in their places.
        problem: why it is no better; empty: nothing.
    """

    frame: Payload
    guessed: int
    packets: int
    packets_lost: int
    confidence: np.ndarray
    arrived: Payload
    problem: str = ""


class FrameKeeper:
    """Decides which missing packets to request, and makes frames whole; frames that continue another are predicted
    from that, if it came in the same session.

    Args:
        recovery: guesses lost tokens; None: they stay LOST.
        policies: by a codebook's name, what says which packets are wanted; None where its model is not here. It is
            asked once for each.
    """

    def __init__(
        self, recovery: FrameRecovery | RecoverySet | None, policies: Callable[[str], RepeatPolicy | None]
    ):  # fmt: skip
        self._memory = FrameMemory()
        self._recovery = None if recovery is None else StreamRecovery(recovery, self._memory)
        self._find = policies
        self._policies: dict[str, RepeatPolicy | None] = {}
        self._lock = Lock()

    def prepare(self, codebook: str) -> None:
        """Load what is needed for frames of a codebook now."""
        self._policy(codebook)

    def prior_of(self, codebook: str) -> Prior | None:
        """The prior of a codebook's tokens; None where its model is not here."""
        policy = self._policy(codebook)
        return None if policy is None else policy.prior

    def _policy(self, codebook: str) -> RepeatPolicy | None:
        with self._lock:
            if codebook not in self._policies:
                # A peer may name any number of codebooks.
                if len(self._policies) > 64:
                    return None
                self._policies[codebook] = self._find(codebook)
            return self._policies[codebook]

    def wanted(self, question: Question) -> np.ndarray:
        """int (n,): packets to request again; all missing ones if no model here can predict them."""
        policy = self._policy(question.assembly.outline.codebook)
        return question.assembly.missing if policy is None else policy.wanted(question.assembly)

    def whole(self, received: ReceivedFrame) -> WholeFrame:
        """Frame as far as it has arrived, completed by its model if that is available."""
        policy = self._policy(received.outline.codebook)
        frame = arrived = received.frame
        problem = ""
        lost = len(received.positions) - received.come
        if policy is not None and not lost:
            policy.note(received.assembly or received, 0.0)
        try:
            prior: Prior | None = None if policy is None else policy.prior
            if prior is not None:
                frame = arrived = placed(received, prior)
            left, confidence = int(frame.lost.sum()), np.where(frame.lost, 0, 1).astype(np.float32)
            if left and self._recovery is not None and isinstance(frame, TokenFrame):
                recovered = self._recovery.recover(received.source, LeftOver(frame))
                frame, confidence = recovered.frame, recovered.confidence
            elif isinstance(frame, TokenFrame):
                self._memory.keep(received.source, frame)
            return WholeFrame(frame, left - int(frame.lost.sum()), len(received.positions), lost, confidence, arrived)
        except ModelError as error:
            problem = str(error)
        known = np.where(frame.lost, 0, 1).astype(np.float32)
        return WholeFrame(frame, 0, len(received.positions), lost, known, arrived, problem)
