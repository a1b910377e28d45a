"""Soft information on the packets of a frame, sent once or several times, for recovery to decode.

Log-likelihoods of transmissions of the same packets add (Chase, 1985). They are added trellis step by trellis step of
the mother code, so that nothing is lost where the transmissions differ in MCS, puncturing, encryption or noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.coding.token_steps import TokenSteps
from tokcom.context.goodness_of_fit import GoodnessOfFit, WinnersFit
from tokcom.context.prediction import Prediction
from tokcom.errors import FrameError
from tokcom.link.packet_link import PacketLink
from tokcom.link.packets import MixedPackets
from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import TokenLabels

CERTAIN = 7.0
"""Log-odds of a code word, against none, from which the prior has no share in its tokens' posteriors: a thousandth."""


class Transmission(Protocol):
    """Soft information that one transmission brought on packets of a frame."""

    sent: np.ndarray
    """bool (n_packets,), packets that it contains."""
    n_bytes: int
    """Bytes held in memory."""

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        """Decode all packets by this transmission alone: tokens, and bool (n_packets,), whether the CRC holds."""

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, stages, words): log-likelihoods of the code words of every trellis step of the packets `rows`,
        in the noise that the test of fit has found."""

    def fit_of(self, rows: np.ndarray, tokens: np.ndarray) -> WinnersFit | None:
        """Test how well tokens, int (n, tokens_per_packet), explain the packets `rows`; None: there is no test."""

    def decode_steps(self, steps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode the packets `rows` by steps as from `steps`: tokens, and bool (n,), whether the CRC holds."""

    def decide(
        self, steps: np.ndarray, rows: np.ndarray, priors: Prediction, settings: ListSettings | None
    ) -> ListDecision:
        """List-decode the packets `rows` by steps as from `steps`."""

    def token_steps(self, steps: np.ndarray, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        """Decode the packet `row` token by token by steps, (stages, words); see `ReceivedPackets.token_steps`."""


@dataclass(frozen=True)
class ReceivedPackets:
    """The packets of a frame as they came from the channel.

    Attributes:
        positions: int (n_packets, tokens_per_packet), the place in the frame of each packet's tokens, or PADDING.
        transmissions: of these packets, at least one.
    """

    positions: np.ndarray
    transmissions: tuple[Transmission, ...]

    @classmethod
    def of_burst(
        cls, header: BurstHeader, codebook_size: int, llrs: np.ndarray, labels: TokenLabels | None = None,
        misfit: np.ndarray | None = None, identity: PacketIdentity | None = None,
    ) -> "ReceivedPackets":  # fmt: skip
        """Wrap the LLRs of a burst.

        Args:
            header: of the burst.
            codebook_size: words of the tokens' codebook.
            llrs: float32, of all packets.
            labels: under which the tokens were sent; None: natural.
            misfit: float32 (n_packets, 2), as from `MixedPackets.misfit`: code words that do not fit are not believed.
                None: the LLRs are believed as they are, which only noise that is known allows.
            identity: `BurstHeader.opened`, of packets that are encrypted; None: they are not.

        Raises:
            LockedError: the packets are encrypted, and no identity is given.
        """
        coded = MixedPackets.of(codebook_size, header.tokens_per_packet, header.mcs, labels)
        return cls(header.positions(), (MixedTransmission(coded, identity or header.opened(None), llrs, misfit),))

    @property
    def n_packets(self) -> int:
        return len(self.positions)

    @cached_property
    def sent(self) -> np.ndarray:
        """bool (n_packets,), packets that at least one transmission contains."""
        return np.logical_or.reduce([each.sent for each in self.transmissions])

    @property
    def times_sent(self) -> np.ndarray:
        """int (n_packets,), number of transmissions of each packet."""
        return np.sum([each.sent for each in self.transmissions], axis=0)

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        return sum(each.n_bytes for each in self.transmissions)

    def with_more(self, other: "ReceivedPackets") -> "ReceivedPackets":
        """Add further transmissions of the same packets.

        Raises:
            FrameError: they are not the same packets.
        """
        if self.positions is not other.positions and not np.array_equal(self.positions, other.positions):
            raise FrameError("packets that carry other tokens are no repetition of these")
        return ReceivedPackets(self.positions, self.transmissions + other.transmissions)

    def latest(self, count: int) -> "ReceivedPackets":
        """Keep at most the `count` latest transmissions."""
        if len(self.transmissions) <= count:
            return self
        return ReceivedPackets(self.positions, self.transmissions[-count:])

    def decode(self, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Decode packets by the Viterbi algorithm and check their CRCs.

        Args:
            rows: int (n,), the packets; None: all.

        Returns:
            int32 tokens (n, tokens_per_packet), and bool (n,): the packet was sent and its CRC holds.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        rows = np.arange(self.n_packets) if rows is None else rows
        first, *more = self.transmissions
        tokens, ok = (
            first.decode_steps(self.steps(rows), rows) if more else tuple(each[rows] for each in first.decode())
        )
        return np.where(self.sent[rows, None], tokens, 0), ok & self.sent[rows]

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """Return log-likelihoods of the code words of every trellis step of packets, summed over transmissions.

        Args:
            rows: int (n,), the packets; a packet may be named several times.

        Returns:
            float32 (n, stages, words), up to a constant per step, as `coding.list_decoding.ListDecoder` takes them.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        return _sum([each.steps(rows) for each in self.transmissions])

    def list_decode(self, rows: np.ndarray, priors: Prediction, settings: ListSettings | None = None) -> ListDecision:
        """List-decode packets and test winners for their fit.

        Args:
            rows: int (n,), the packets; one may come several times.
            priors: of those, as in `coding.list_decoding.ListDecoder.decode`.
            settings: how far the search goes.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        decision = self.transmissions[0].decide(self.steps(rows), rows, priors, settings)
        fits = [each.fit_of(rows, decision.tokens) for each in self.transmissions]
        if any(fit is None for fit in fits):
            return decision
        fit = _sum(fits)
        chosen = priors.at(decision.tokens[..., None])[..., 0]
        odds = fit.code_word_odds(chosen.sum(axis=1, dtype=np.float64))
        # Where no code word explains the packet, the prior remains.
        doubted = np.flatnonzero(odds < CERTAIN)
        share = np.float32(1 / (1 + np.exp(np.clip(odds[doubted], -80, 80))))[:, None, None]
        before = (
            priors.log_probability[doubted] if decision.words is None else priors[doubted].at(decision.words[doubted])
        )
        decision.marginals[doubted] += share * (np.exp(before) - decision.marginals[doubted])
        return replace(decision, log_odds=fit.believed(decision.log_odds, odds))

    def token_steps(self, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        """One packet token by token.

        Args:
            row: the packet.
            log_frequencies: float32 (codebook_size,), stands for priors of tokens that are not known yet.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
            ParameterError: the tokens do not fill the memory of the code.
        """
        return self.transmissions[0].token_steps(self.steps(np.array([row]))[0], row, log_frequencies)

    def believed(
        self, rows: np.ndarray, tokens: np.ndarray, log_prior: np.ndarray, log_odds: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """Log-odds of packets' tokens once their fit is tested.

        Args:
            rows: int (n,), the packets.
            tokens: int (n, tokens_per_packet).
            log_prior: float64 (n,), of the tokens.
            log_odds: float64 (n,), against all other tokens.

        Returns:
            float64 (n,).
        """
        fits = [each.fit_of(rows, tokens) for each in self.transmissions]
        if any(fit is None for fit in fits):
            return log_odds
        fit = _sum(fits)
        return fit.believed(log_odds, fit.code_word_odds(log_prior))


@dataclass(frozen=True, eq=False)
class MixedTransmission:
    """A `Transmission` of packets with an MCS each.

    Attributes:
        coded: how they are coded.
        identity: that their CRCs are bound to, and what they are encrypted with.
        llrs: float32, of all packets.
        misfit: as from `MixedPackets.misfit`; None: there is no test of fit.
    """

    coded: MixedPackets
    identity: PacketIdentity
    llrs: np.ndarray
    misfit: np.ndarray | None = None

    @property
    def sent(self) -> np.ndarray:
        return self.coded.bits > 0

    @property
    def n_bytes(self) -> int:
        return self.llrs.nbytes + (0 if self.misfit is None else self.misfit.nbytes)

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        return self.coded.decode(self.llrs, self.identity)

    def steps(self, rows: np.ndarray) -> np.ndarray:
        return self.coded.steps(self._scaled, rows, self.identity)

    def fit_of(self, rows: np.ndarray, tokens: np.ndarray) -> WinnersFit | None:
        if self._fit is None:
            return None
        return self._fit.of_winners(rows, self.coded.beyond_nearest(self.llrs, rows, tokens, self.identity))

    def decode_steps(self, steps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.coded.decode_steps(steps, rows, self.identity)

    def decide(
        self, steps: np.ndarray, rows: np.ndarray, priors: Prediction, settings: ListSettings | None
    ) -> ListDecision:
        return self.coded.decide(steps, rows, priors, self.identity, settings)

    def token_steps(self, steps: np.ndarray, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        return self.coded.token_steps(steps, row, log_frequencies, self.identity)

    @cached_property
    def _fit(self) -> GoodnessOfFit | None:
        if self.misfit is None:
            return None
        closest = self.coded.closest_beyond_nearest(self.llrs, self.identity)
        return GoodnessOfFit.of_burst(self.coded.whole_symbols, self.misfit, closest)

    @cached_property
    def _scaled(self) -> np.ndarray:
        """The LLRs in the noise that the fit has found."""
        if self._fit is None or (self._fit.noise == 1).all():
            return self.llrs
        return (self.llrs / np.repeat(self._fit.noise, self.coded.bits)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PlainTransmission:
    """A `Transmission` of packets that are all coded alike, in noise that is known.

    Attributes:
        link: how they are coded.
        sent: bool (n_packets,), which were sent.
        llrs: float32 (packets sent, coded_length).
    """

    link: PacketLink
    sent: np.ndarray
    llrs: np.ndarray

    @property
    def n_bytes(self) -> int:
        return self.llrs.nbytes + self.sent.nbytes

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        return self.link.decode(self._of_all)

    def steps(self, rows: np.ndarray) -> np.ndarray:
        return np.where(self.sent[rows, None, None], self.link.steps(self._of_all[rows]), np.float32(0))

    def fit_of(self, rows: np.ndarray, tokens: np.ndarray) -> None:
        return None

    def decode_steps(self, steps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.link.decode_steps(steps)

    def decide(
        self, steps: np.ndarray, rows: np.ndarray, priors: Prediction, settings: ListSettings | None
    ) -> ListDecision:
        return self.link.decide(steps, priors, settings)

    def token_steps(self, steps: np.ndarray, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        return self.link.token_steps(steps, log_frequencies)

    @cached_property
    def _of_all(self) -> np.ndarray:
        """float32 (n_packets, coded_length), zeros for packets that were not sent."""
        out = np.zeros((len(self.sent), self.llrs.shape[1]), np.float32)
        out[self.sent] = self.llrs
        return out


def _sum(parts: Sequence) -> object:
    """Return the sum of one or more parts."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
