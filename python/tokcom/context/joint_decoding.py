"""Joint decoding of channel and context: packets are decoded with the context model's probabilities as the tokens'
prior, and decoded packets inform the model about the rest.

The paper masks whole packets that failed and guesses their tokens. Here no information from the channel is discarded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.questions import Asking
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame

DENSE_WORDS = 8192
"""Largest codebook whose words are all scored individually."""


class Decision(Protocol):
    """Result of decoding packets, as `coding.list_decoding.ListDecision`."""

    tokens: np.ndarray
    """Most likely sequence of each packet, int32 (n, tokens_per_packet)."""
    log_odds: np.ndarray
    """Log of its posterior odds against all others, float64 (n,)."""
    evidence: np.ndarray
    """Log of the probability of the received signal under the priors, up to one constant per packet, float64 (n,)."""
    marginals: np.ndarray
    """Posterior of m words of every token, float32 (n, tokens_per_packet, m)."""
    words: np.ndarray | None
    """Numbers of those words, each once, int32 (n, tokens_per_packet, m); None for the whole codebook in order."""


class PacketDecoder(Protocol):
    """Decodes the packets `rows` of a frame, int (n,), with priors of their tokens, (n, tokens_per_packet)."""

    def __call__(self, rows: np.ndarray, priors: Prediction) -> Decision: ...


class PathEnds(Protocol):
    """State of n paths at one step inside a packet, as `coding.token_steps.PathEnds`."""

    metric: np.ndarray
    """float64 (n,), log-likelihood and log-prior of their tokens."""


class Continuations(Protocol):
    """Paths that are one token longer, as `coding.token_steps.Continuations`, the likeliest first."""

    parent: np.ndarray
    """int64 (m,), the paths that they continue."""
    word: np.ndarray
    """int32 (m,), their last tokens."""
    ends: PathEnds
    total: np.ndarray
    """float64 (m,), log of the sum of all that they can become in the packet."""
    mass: float
    """Log of the same sum over all continuations, listed or not."""

    def select(self, kept: np.ndarray) -> PathEnds:
        """The ends of selected paths; indices int (n,)."""


class PacketSteps(Protocol):
    """Decodes a packet token by token, as `coding.token_steps.TokenSteps`."""

    def begin(self, metric: np.ndarray) -> PathEnds:
        """Paths of the metric float64 (n,) before the packet's first token."""

    def continuations(
        self, place: int, ends: PathEnds, log_prior: np.ndarray, most: int, also: np.ndarray | None = None
    ) -> Continuations:
        """The likeliest paths that are one token longer: `place` is that token's, `log_prior` float32
        (n, codebook_size), `most` bounds how many are listed; the words `also` are, behind every path."""


class CodedPacketDecoder(PacketDecoder, Protocol):
    """Decodes packets of a convolutional code, for strategies that search its trellis themselves."""

    def token_steps(self, row: int, log_frequencies: np.ndarray) -> PacketSteps:
        """One packet token by token; float32 (codebook_size,) stands for priors that are not known yet."""

    def believed(
        self, rows: np.ndarray, tokens: np.ndarray, log_prior: np.ndarray, log_odds: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """float64 (n,): log-odds of packets' tokens (n, tokens_per_packet) once it is asked whether any code word
        explains what was received; `log_prior`, float64 (n,), is that of the tokens."""


@dataclass(frozen=True)
class ContextSettings:
    """Schedule of decoding with context.

    Args:
        rounds: largest number of decodings per open packet.
        turns: groups of open packets that take turns in a round: while one is decoded, the present estimates of the
            others inform the model. A packet never sees its own estimate.
        inform: posterior from which a token is shown to the model.
        accept: calibrated posterior from which a packet is declared good.
        settle: posterior, before calibration, from which it is not decoded again.
        seconds: time a frame; once spent, the best so far counts. None: no limit.
        top: likeliest words of a token that are weighed one by one, where the codebook has more than DENSE_WORDS.
        beam: paths at most that are followed side by side with a prior that takes tokens in order.
        closer: paths at most inside packets that such a search leaves doubtful, when they are searched again; up to
            `beam`: they are not.
        reach: how far, in nepers, a path may lie below the best and is followed on.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    rounds: int = 6
    turns: int = 4
    inform: float = 0.9
    accept: float = 0.9985
    settle: float = 0.99999
    seconds: float | None = None
    top: int = 1024
    beam: int = 40
    closer: int = 160
    reach: float = 14.0

    def __post_init__(self) -> None:
        if not self.reach > 0:
            raise ParameterError(f"reach is {self.reach}; it must be above 0")
        for name in ("rounds", "turns", "top", "beam", "closer"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("inform", "accept", "settle"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.seconds is not None and not self.seconds > 0:
            raise ParameterError(f"seconds is {self.seconds}; it must be above 0, or None")


@dataclass(frozen=True)
class JointDecision:
    """Result of joint decoding of a frame.

    Attributes:
        tokens: int32 (n_packets, tokens_per_packet), most likely tokens.
        confidence: float32 of that shape, posterior of each token.
        accepted: bool (n_packets,), accepted packets.
        log_odds: float64 (n_packets,), log-odds of each packet's last decoding before calibration; infinite if the CRC
            held.
        passes: number of passes of the model.
    """

    tokens: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    log_odds: np.ndarray
    passes: int


class Strategy(Protocol):
    """Strategy for decoding the open packets of a frame jointly with a prior."""

    def plausible(self, packets: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Tell which packets may be believed if their CRC holds, bool (n_packets,); it may hold by chance.

        Args:
            packets: int (n_packets, tokens_per_packet), tokens; LOST in packets whose CRC fails.
            positions: int of the same shape, as for `decode`.
        """

    def decode(
        self, frame: TokenFrame, positions: np.ndarray, packets: np.ndarray, packets_ok: np.ndarray,
        decoder: PacketDecoder, condition: Condition, cancelled: Callable[[], bool],
    ) -> Asking[JointDecision]:  # fmt: skip
        """Decode the packets that are not ok.

        Args:
            frame: a frame with codebook and grid; its tokens are ignored.
            positions: int (n_packets, tokens_per_packet), position in the frame of each packet's tokens; -1 for padding
                slots, which hold token 0.
            packets: int (n_packets, tokens_per_packet), tokens of the packets that are ok.
            packets_ok: bool (n_packets,).
            decoder: decoder of the other packets.
            condition: side information.
            cancelled: called before every question; once it returns true, the best result so far is returned.

        Raises:
            ModelError: the prior does not fit the frame.
        """
