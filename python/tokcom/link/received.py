"""Evidence of a channel about the packets of a frame, sent once or several times; recovery decodes it.

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
from tokcom.frame import LOST
from tokcom.link.packet_link import PacketLink
from tokcom.link.packets import MixedPackets
from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import TokenLabels

TAGS_TRIED = 16
"""Tags that may hold for tokens that beams have chosen: a forgery passes with a probability of this number times
2**-(tag bits) for each path that reaches the packet's end."""
CERTAIN = 7.0
"""Log-odds of a code word, against none, from which the prior has no share in its tokens' posteriors: a thousandth."""


class Transmission(Protocol):
    """The packets of a frame, all or some of them, as one transmission brought them."""

    sent: np.ndarray
    """bool (n_packets,), packets that it says something of."""
    n_bytes: int
    """Bytes held in memory."""
    own_steps: int
    """Trellis steps at the end of packets that hold for this transmission alone (`MixedPackets.own_steps`)."""

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of all packets by this transmission alone, and bool (n_packets,): the CRC holds."""

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, stages, words): log-likelihoods of the code words of every trellis step of the packets `rows`,
        in the noise that the test of fit has found."""

    def fit_of(self, rows: np.ndarray, tokens: np.ndarray) -> WinnersFit | None:
        """Goodness of fit of tokens, int (n, tokens_per_packet), to the packets `rows`; None: there is no test of
        fit."""

    def decode_steps(self, steps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the packets `rows` by steps as `steps` gives them, and bool (n,): the CRC holds."""

    def decide(
        self, steps: np.ndarray, rows: np.ndarray, priors: Prediction, settings: ListSettings | None
    ) -> ListDecision:
        """List-decode the packets `rows` by steps as `steps` gives them."""

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
        """Packets received in a burst.

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
        coded = MixedPackets.of(codebook_size, header.tokens_per_packet, header.mcs, labels, header.tag_bits)
        return cls(header.positions(), (MixedTransmission(coded, identity or header.opened(None), llrs, misfit),))

    @property
    def own_steps(self) -> int:
        """Trellis steps at the end of packets, their tags, that differ from one transmission to the next; 0: none."""
        return self.transmissions[0].own_steps

    @property
    def n_packets(self) -> int:
        return len(self.positions)

    @cached_property
    def sent(self) -> np.ndarray:
        """bool (n_packets,), packets that the channel says something of."""
        return np.logical_or.reduce([each.sent for each in self.transmissions])

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        return sum(each.n_bytes for each in self.transmissions)

    def with_more(self, other: "ReceivedPackets") -> "ReceivedPackets":
        """Combine with further transmissions of the same packets.

        Raises:
            FrameError: they are not the same packets.
        """
        same = self.positions is other.positions or np.array_equal(self.positions, other.positions)
        if not same or self.own_steps != other.own_steps:
            raise FrameError("packets that carry other tokens, or other checks, are no repetition of these")
        return ReceivedPackets(self.positions, self.transmissions + other.transmissions)

    def latest(self, count: int) -> "ReceivedPackets":
        """The same by the latest transmissions alone, `count` of them at most."""
        if len(self.transmissions) <= count:
            return self
        return ReceivedPackets(self.positions, self.transmissions[-count:])

    def decode(self, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The Viterbi decoder's tokens and whether to believe them.

        Args:
            rows: int (n,), the packets; None: all.

        Returns:
            int32 tokens (n, tokens_per_packet), and bool (n,): the packet was sent and its check holds. Where a key
            protects packets, tokens of those whose tag does not hold are LOST: they may be anybody's.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        rows = np.arange(self.n_packets) if rows is None else rows
        if len(self.transmissions) == 1:
            tokens, ok = (each[rows] for each in self.transmissions[0].decode())
        else:
            tokens, ok = np.zeros((len(rows), self.positions.shape[1]), np.int32), np.zeros(len(rows), bool)
            steps = self.steps(rows)
            for checked, here in self._checked(rows):
                tokens[here], ok[here] = checked.decode_steps(steps[here], rows[here])
        tokens = np.where(self.sent[rows, None], tokens, 0)
        return np.where(ok[:, None] | (self.own_steps == 0), tokens, LOST), ok & self.sent[rows]

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """Evidence of the channel about packets: float32 (n, stages, words), the log-likelihood of each code word of
        every trellis step, up to a constant per step; as `coding.list_decoding.ListDecoder` takes them. `rows`, int
        (n,), may name a packet several times.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        parts = [each.steps(rows) for each in self.transmissions]
        if self.own_steps and len(parts) > 1:
            last = self._last_sent(rows)
            for number, part in enumerate(parts):
                part[last != number, -self.own_steps :] = 0
        return _sum(parts)

    def _last_sent(self, rows: np.ndarray) -> np.ndarray:
        """int (n,): the latest transmission of packets; the first where they were not sent."""
        return np.max([each.sent[rows] * number for number, each in enumerate(self.transmissions)], axis=0)

    def _checked(self, rows: np.ndarray) -> list[tuple[Transmission, np.ndarray]]:
        """By which transmission's checks packets are decided: the transmissions, and places in `rows`, int."""
        if not self.own_steps:
            return [(self.transmissions[0], np.arange(len(rows)))]
        last = self._last_sent(rows)
        return [(self.transmissions[number], np.flatnonzero(last == number)) for number in np.unique(last)]

    def list_decode(self, rows: np.ndarray, priors: Prediction, settings: ListSettings | None = None) -> ListDecision:
        """List-decode packets and test winners for their fit.

        Args:
            rows: int (n,), the packets; one may come several times.
            priors: of those, as in `coding.list_decoding.ListDecoder.decode`.
            settings: how far the search goes.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
        """
        steps, decision = self.steps(rows), ListDecision.empty(priors)
        for checked, here in self._checked(rows):
            decision.set(here, checked.decide(steps[here], rows[here], priors[here], settings))
        fits = [each.fit_of(rows, decision.tokens) for each in self.transmissions]
        fit, odds = None, np.full(len(rows), np.inf)
        if not any(each is None for each in fits):
            fit = _sum(fits)
            chosen = priors.at(decision.tokens[..., None])[..., 0]
            odds = fit.code_word_odds(chosen.sum(axis=1, dtype=np.float64))
        elif not self.own_steps:
            return decision
        if self.own_steps:
            # A tag proves something only where no more candidates were tried than a list has.
            tried = np.log((settings or ListSettings()).list_size)
            odds = np.where((decision.log_share >= -tried) | ~self.sent[rows], odds, -np.inf)
        # What no code word explains says nothing of the tokens: the prior stays.
        doubted = np.flatnonzero(odds < CERTAIN)
        share = np.float32(1 / (1 + np.exp(np.clip(odds[doubted], -80, 80))))[:, None, None]
        before = (
            priors.log_probability[doubted] if decision.words is None else priors[doubted].at(decision.words[doubted])
        )
        decision.marginals[doubted] += share * (np.exp(before) - decision.marginals[doubted])
        believed = -np.logaddexp(-decision.log_odds, -odds) if fit is None else fit.believed(decision.log_odds, odds)
        return replace(decision, log_odds=believed)

    def token_steps(self, row: int, log_frequencies: np.ndarray) -> TokenSteps:
        """One packet token by token.

        Args:
            row: the packet.
            log_frequencies: float32 (codebook_size,), stands for priors of tokens that are not known yet.

        Raises:
            FrameError: a transmission has not as many LLRs as its MCS say.
            ParameterError: the tokens do not fill the memory of the code.
        """
        rows = np.array([row])
        ((checked, _),) = self._checked(rows)
        return checked.token_steps(self.steps(rows)[0], row, log_frequencies)

    def believed(
        self, rows: np.ndarray, tokens: np.ndarray, log_prior: np.ndarray, log_odds: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """Log-odds of packets' tokens once their fit, and where a key protects them their tags, are tested.

        Args:
            rows: int (n,), the packets.
            tokens: int (n, tokens_per_packet).
            log_prior: float64 (n,), of the tokens.
            log_odds: float64 (n,), against all other tokens.

        Returns:
            float64 (n,).
        """
        if self.own_steps:
            log_odds = np.where(self._proven(rows, tokens) | ~self.sent[rows], log_odds, -np.inf)
        fits = [each.fit_of(rows, tokens) for each in self.transmissions]
        if any(fit is None for fit in fits):
            return log_odds
        fit = _sum(fits)
        return fit.believed(log_odds, fit.code_word_odds(log_prior))

    def _proven(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """bool (n,): the tags of tokens that beams have chosen are among the likeliest that these can have."""
        steps, proven = self.steps(rows), np.zeros(len(rows), bool)
        for checked, here in self._checked(rows):
            share = checked.log_tag_share(steps[here], rows[here], tokens[here])
            proven[here] = share >= -np.log(TAGS_TRIED)
        return proven


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
    def own_steps(self) -> int:
        return self.coded.own_steps

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

    def log_tag_share(self, steps: np.ndarray, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Log of the share of tags; see `MixedPackets.log_tag_share`."""
        return self.coded.log_tag_share(steps, rows, tokens, self.identity)

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
class AlikePackets:
    """The part of a `Transmission` that all have whose packets are coded alike, in noise that is known.

    Attributes:
        link: how they are coded.
    """

    link: PacketLink
    own_steps = 0

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


@dataclass(frozen=True, eq=False)
class PlainTransmission(AlikePackets):
    """A `Transmission` of packets that are all coded alike, in noise that is known.

    Attributes:
        sent: bool (n_packets,), which were sent.
        llrs: float32 (packets sent, coded_length).
    """

    sent: np.ndarray
    llrs: np.ndarray

    @property
    def n_bytes(self) -> int:
        return self.llrs.nbytes + self.sent.nbytes

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        return self.link.decode(self._of_all)

    def steps(self, rows: np.ndarray) -> np.ndarray:
        return np.where(self.sent[rows, None, None], self.link.steps(self._of_all[rows]), np.float32(0))

    @cached_property
    def _of_all(self) -> np.ndarray:
        """float32 (n_packets, coded_length), 0 for packets that were not sent."""
        out = np.zeros((len(self.sent), self.llrs.shape[1]), np.float32)
        out[self.sent] = self.llrs
        return out


def _sum(parts: Sequence) -> object:
    """The sum of one or more; of one, itself."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
