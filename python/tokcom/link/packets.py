"""Token packets as constellation symbols and back, each packet of a burst with its own MCS."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.coding.packet_codec import PacketCodec
from tokcom.coding.token_steps import TokenSteps
from tokcom.context.prediction import Prediction
from tokcom.errors import FrameError, ParameterError
from tokcom.mcs import Mcs, mcs_table, mother_codec
from tokcom.modulation.constellation import Constellation
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import TokenLabels
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.packets.universal_hash import UniversalHash


class MixedPackets:
    """Packets of a burst, each with its own MCS; bits, symbols and LLRs are flat, one packet after the other.

    Args:
        codebook_size: words of the tokens' codebook.
        tokens_per_packet: tokens in each packet.
        mcs: uint8 (n_packets,), indices of the MCS table, or MCS_NOT_SENT.
        labels: under which the tokens are sent; None: each under its own number.
        tag_bits: of each packet's tag, where a key protects them; 0: they have a CRC.

    Raises:
        ParameterError: an index is not in the table, or the labels belong to another codebook.
    """

    LLR_METHOD = "maxlog"

    @classmethod
    def of(
        cls, codebook_size: int, tokens_per_packet: int, mcs: np.ndarray, labels: TokenLabels | None = None,
        tag_bits: int = 0,
    ) -> "MixedPackets":  # fmt: skip
        """The same as the constructor, kept for when it is asked for again: bursts are often alike."""
        return _kept(codebook_size, tokens_per_packet, np.asarray(mcs, np.int64).tobytes(), labels, tag_bits)

    def __init__(
        self, codebook_size: int, tokens_per_packet: int, mcs: np.ndarray, labels: TokenLabels | None = None,
        tag_bits: int = 0,
    ):  # fmt: skip
        if labels is not None and len(labels) != codebook_size:
            raise ParameterError(f"the labels are of a codebook of {len(labels)} words, the tokens of {codebook_size}")
        self._size, self._tokens, self._mcs, self._labels = codebook_size, tokens_per_packet, np.asarray(mcs), labels
        self._tag_bits = tag_bits
        bits, symbols = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for index in np.unique(self._mcs):
            if index == MCS_NOT_SENT:
                continue
            if not 0 <= index < len(mcs_table()):
                raise ParameterError(f"mcs holds {index}; it must be 0 to {len(mcs_table()) - 1}, or {MCS_NOT_SENT}")
            scheme = mcs_table()[index]
            bits[index] = scheme.codec(codebook_size, tokens_per_packet, tag_bits).coded_length
            symbols[index] = scheme.symbols(codebook_size, tokens_per_packet, tag_bits)
        self.bits, self.symbols = bits[self._mcs], symbols[self._mcs]
        """Numbers of coded bits and symbols of each packet, int64 (n_packets,)."""

    def encode(self, packets: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """uint8 coded bits of tokens (n_packets, tokens_per_packet), their checks bound to stream, frame, codebook and
        each packet's number; encrypted where the identity has a cipher.

        Raises:
            FrameError: the packets are not as many as there are MCS, or the identity does not fit.
        """
        if len(packets) != len(self._mcs):
            raise FrameError(f"{len(packets)} packets do not match {len(self._mcs)} MCS")
        packets = packets if self._labels is None else self._labels.label(packets)
        out, (tag, presets) = np.empty(self.bits.sum(), np.uint8), self._checks(identity)
        for scheme, rows, bits, _ in self._groups:
            codec = scheme.codec(self._size, self._tokens, self._tag_bits)
            bits.put(out, codec.encode(packets[rows], presets[rows], tag))
        stream = self._stream(identity)
        return out if stream is None else out ^ stream

    def map(self, bits: np.ndarray) -> np.ndarray:
        """Map coded bits to symbols, complex64.

        Raises:
            FrameError: the number of bits does not match the MCS.
        """
        self._check(bits, self.bits, "bits")
        out = np.empty(self.symbols.sum(), np.complex64)
        for scheme, _, places, symbols in self._groups:
            symbols.put(out, scheme.constellation().map(places.of(bits)))
        return out

    def demap(self, symbols: np.ndarray, noise_variance: np.ndarray) -> np.ndarray:
        """Compute LLRs, float32, from symbols and the noise variance on each.

        Raises:
            FrameError: the number of symbols or variances does not match the MCS.
        """
        self._check(symbols, self.symbols, "symbols")
        self._check(noise_variance, self.symbols, "noise variances")
        out = np.empty(self.bits.sum(), np.float32)
        for scheme, _, bits, places in self._groups:
            values, variance = places.of(symbols), places.of(noise_variance)
            bits.put(out, scheme.constellation().llrs(values, variance, bits.width, self.LLR_METHOD))
        return out

    def misfit(self, symbols: np.ndarray, noise_variance: np.ndarray) -> np.ndarray:
        """Compute statistics of the packets' fit that LLRs do not contain, from symbols and the noise variance on each.

        Returns:
            float32 (n_packets, 2), in nepers relative to noise alone at its most likely: distance of the symbols from
            the nearest points of their constellation, |difference|^2 over the variance, and how unlikely they are as
            noise alone of unknown power. Symbols that a packet does not fill are left out.

        Raises:
            FrameError: the number of symbols or variances does not match the MCS.
        """
        self._check(symbols, self.symbols, "symbols")
        self._check(noise_variance, self.symbols, "noise variances")
        out = np.zeros((len(self._mcs), 2), np.float32)
        for scheme, rows, bits, places in self._groups:
            constellation = scheme.constellation()
            whole = constellation.whole_symbols(bits.width)
            out[rows] = constellation.misfit(places.of(symbols)[:, :whole], places.of(noise_variance)[:, :whole])
        return out

    @cached_property
    def whole_symbols(self) -> np.ndarray:
        """Numbers of symbols that each packet fills, which `misfit` and `beyond_nearest` count, int64 (n_packets,)."""
        out = np.zeros(len(self._mcs), np.int64)
        for scheme, rows, bits, _ in self._groups:
            out[rows] = scheme.constellation().whole_symbols(bits.width)
        return out

    def beyond_nearest(
        self, llrs: np.ndarray, rows: np.ndarray, packets: np.ndarray, identity: PacketIdentity
    ) -> np.ndarray:
        """Compute how much further some packets' symbols are from given code words than from the nearest points.

        Args:
            llrs: float32, LLRs of all packets, from `demap`.
            rows: int (n,), the packets.
            packets: int (n, tokens_per_packet), their tokens.
            identity: identity of the burst's packets.

        Returns:
            float64 (n,), in the units of `misfit`; 0 for packets that were not sent.

        Raises:
            FrameError: the number of LLRs does not match the MCS.
        """
        self._check(llrs, self.bits, "LLRs")
        tag, presets = self._checks(identity)
        presets = presets[rows]
        packets = packets if self._labels is None else self._labels.label(packets)

        def words(scheme: Mcs, here: np.ndarray, own: np.ndarray) -> np.ndarray:
            codec = scheme.codec(self._size, self._tokens, self._tag_bits)
            return codec.encode(packets[here], presets[here], tag)

        return self._beyond(llrs, rows, words, identity)

    def closest_beyond_nearest(self, llrs: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """Compute the same for all packets and their most likely code words, CRC or not, float64 (n_packets,)."""
        self._check(llrs, self.bits, "LLRs")
        rows = np.arange(len(self._mcs))

        def words(scheme: Mcs, here: np.ndarray, own: np.ndarray) -> np.ndarray:
            return scheme.codec(self._size, self._tokens, self._tag_bits).closest(own)

        return self._beyond(llrs, rows, words, identity)

    @property
    def own_steps(self) -> int:
        """Trellis steps at the end of packets that differ between two transmissions: those of tags, which a key
        generates for each transmission, and the steps after them; none for CRCs."""
        if not self._tag_bits:
            return 0
        codec = mother_codec(self._size, self._tokens, self._tag_bits)
        return codec.coded_length // 2 - codec.payload_bits

    def _stream(self, identity: PacketIdentity) -> np.ndarray | None:
        """uint8, what is added to all coded bits; None where they are not encrypted."""
        return None if identity.cipher is None else identity.cipher.bits(self.bits)

    def _checks(self, identity: PacketIdentity) -> tuple[UniversalHash | None, np.ndarray]:
        """Universal hash that replaces the packets' CRCs, None if nothing does, and int64 (n_packets,), the presets of
        either, which are common to all schemes.

        Raises:
            FrameError: the identity does not fit in its bits, or has a cipher where there are CRCs, or none where there
                are tags.
        """
        codec = mother_codec(self._size, self._tokens, self._tag_bits)
        if (identity.cipher is None) != (self._tag_bits == 0):
            raise FrameError(f"packets with tags of {self._tag_bits} bits (0: with CRCs) do not fit their identity")
        if identity.cipher is None:
            return None, identity.presets(codec.crc, len(self._mcs))
        tag, presets = identity.cipher.tags(codec.payload_bits, len(self._mcs))
        if tag.width != self._tag_bits:
            raise FrameError(f"the identity's tags have {tag.width} bits, those of the packets {self._tag_bits}")
        return tag, presets

    def _beyond(
        self, llrs: np.ndarray, rows: np.ndarray, words: Callable[[Mcs, np.ndarray, np.ndarray], np.ndarray],
        identity: PacketIdentity,
    ) -> np.ndarray:  # fmt: skip
        # Distances follow from the labels that were sent: encrypt code words instead of decrypting LLRs.
        out, stream = np.zeros(len(rows)), self._stream(identity)
        for scheme, packets, bits, _ in self._groups:
            here = np.flatnonzero(np.isin(rows, packets))
            if len(here):
                chosen = np.searchsorted(packets, rows[here])
                own, added = bits.of(llrs)[chosen], None if stream is None else bits.of(stream)[chosen]
                sent = words(scheme, here, _opened(own, added))
                out[here] = scheme.constellation().beyond_nearest(own, sent if added is None else sent ^ added)
        return out

    def decode(self, llrs: np.ndarray, identity: PacketIdentity) -> tuple[np.ndarray, np.ndarray]:
        """int32 tokens (n_packets, tokens_per_packet), whatever the check says, and bool (n_packets,): the check holds.
        Packets that were not sent are zeros that do not hold, and those of another burst do not hold, either.

        Raises:
            FrameError: the LLRs are not as many as the MCS say, or the identity does not fit.
        """
        self._check(llrs, self.bits, "LLRs")
        (tag, presets), llrs = self._checks(identity), _opened(llrs, self._stream(identity))
        tokens = np.zeros((len(self._mcs), self._tokens), np.int32)
        ok = np.zeros(len(self._mcs), bool)
        for scheme, rows, bits, _ in self._groups:
            codec = scheme.codec(self._size, self._tokens, self._tag_bits)
            tokens[rows], ok[rows] = codec.decode(bits.of(llrs), presets[rows], tag)
            if self._labels is not None:
                tokens[rows] = self._labels.tokens(tokens[rows])
        return tokens, ok

    def decide(
        self, steps: np.ndarray, rows: np.ndarray, priors: Prediction | np.ndarray, identity: PacketIdentity,
        settings: ListSettings | None = None,
    ) -> ListDecision:  # fmt: skip
        """List-decode some of the packets.

        Args:
            steps: of those, as from `steps`, or the sum of those of several transmissions.
            rows: int (n,), the packets.
            priors: of those, as in `coding.list_decoding.ListDecoder.decode`.
            identity: of the burst's packets.
            settings: limits of the search.

        Raises:
            FrameError: the identity does not fit.
        """
        if not isinstance(priors, Prediction):
            priors = Prediction.dense(priors)
        if self._labels is not None:
            priors = priors.renamed(self._labels.of_tokens)
        decoder = mother_codec(self._size, self._tokens, self._tag_bits).list_decoder
        tag, presets = self._checks(identity)
        decision = decoder.decode(steps, priors, settings, presets[rows], tag)
        if self._labels is None:
            return decision
        tokens = self._labels.tokens(decision.tokens)
        if decision.words is not None:
            return replace(decision, tokens=tokens, words=self._labels.tokens(decision.words))
        return replace(decision, tokens=tokens, marginals=decision.marginals[..., self._labels.of_tokens])

    def token_steps(
        self, steps: np.ndarray, row: int, log_frequencies: np.ndarray, identity: PacketIdentity
    ) -> TokenSteps:
        """One of the packets token by token.

        Args:
            steps: float32 (stages, 4), of the packet, as in `decide`.
            row: the packet.
            log_frequencies: float32 (codebook_size,), stands for priors of tokens that are not known yet.
            identity: of the burst's packets.

        Raises:
            FrameError: the identity does not fit in its bits.
            ParameterError: the tokens do not fill the memory of the code.
        """
        decoder = mother_codec(self._size, self._tokens, self._tag_bits).list_decoder
        labels = None if self._labels is None else self._labels.of_tokens
        tag, presets = self._checks(identity)
        return decoder.token_steps(steps, log_frequencies, int(presets[row]), labels, tag)

    def log_tag_share(
        self, steps: np.ndarray, rows: np.ndarray, packets: np.ndarray, identity: PacketIdentity
    ) -> np.ndarray:
        """Share of a packet's own tag among all tags that its tokens could have.

        Args:
            steps: float32 (n, stages, 4), of the packets, as in `decide`.
            rows: int (n,), the packets.
            packets: int (n, tokens_per_packet), their tokens.
            identity: of the burst's packets.

        Returns:
            float64 (n,), log of the share, weighed by likelihood.
        """
        codec, (tag, presets) = mother_codec(self._size, self._tokens, self._tag_bits), self._checks(identity)
        packets = packets if self._labels is None else self._labels.label(packets)
        words = codec.encode(packets, presets[rows], tag).reshape(len(rows), -1, 2) @ np.array([2, 1])
        first = codec.payload_bits
        own = np.take_along_axis(steps, words[..., None], axis=2)[:, first:, 0].sum(axis=1, dtype=np.float64)
        return own - codec.log_likelihood_of_checks(packets, steps[:, first:].astype(np.float64))

    def steps(self, llrs: np.ndarray, rows: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """Log-likelihoods of the code words of every trellis step of some packets, each up to a constant per step.

        Args:
            llrs: float32, of all packets, as from `demap`.
            rows: int (n,), the packets; one may come several times.
            identity: of the burst's packets.

        Returns:
            float32 (n, stages, 4), zeros of packets that were not sent.

        Raises:
            FrameError: the number of LLRs does not match the MCS.
        """
        self._check(llrs, self.bits, "LLRs")
        codec, stream = mother_codec(self._size, self._tokens, self._tag_bits), self._stream(identity)
        out = np.zeros((len(rows), codec.coded_length // 2, 4), np.float32)
        for scheme, packets, bits, _ in self._groups:
            here = np.flatnonzero(np.isin(rows, packets))
            if len(here):
                chosen = np.searchsorted(packets, rows[here])
                own, added = bits.of(llrs)[chosen], None if stream is None else bits.of(stream)[chosen]
                own_codec = scheme.codec(self._size, self._tokens, self._tag_bits)
                out[here] = trellis_steps(own_codec, scheme.constellation(), self.LLR_METHOD, own, added)
        return out

    def decode_steps(
        self, steps: np.ndarray, rows: np.ndarray, identity: PacketIdentity
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same as `decode`, of the packets `rows`, by their steps, or by the sum of those of several
        transmissions."""
        tag, presets = self._checks(identity)
        codec = mother_codec(self._size, self._tokens, self._tag_bits)
        tokens, ok = codec.decode_steps(steps, presets[rows], tag)
        return (tokens if self._labels is None else self._labels.tokens(tokens)), ok

    def list_decode(
        self, llrs: np.ndarray, rows: np.ndarray, priors: Prediction | np.ndarray, identity: PacketIdentity,
        settings: ListSettings | None = None,
    ) -> ListDecision:  # fmt: skip
        """List-decode some of the packets by their LLRs alone: `decide` on their `steps`."""
        return self.decide(self.steps(llrs, rows, identity), rows, priors, identity, settings)

    @cached_property
    def _groups(self) -> list[tuple[Mcs, np.ndarray, "_Places", "_Places"]]:
        """Group packets by MCS: the MCS, its packets, and the positions of their bits and symbols."""
        groups = []
        bit_starts, symbol_starts = np.cumsum(self.bits) - self.bits, np.cumsum(self.symbols) - self.symbols
        for index in np.unique(self._mcs):
            if index == MCS_NOT_SENT:
                continue
            rows = np.flatnonzero(self._mcs == index)
            bits = _Places.of_rows(bit_starts[rows], self.bits[rows[0]])
            symbols = _Places.of_rows(symbol_starts[rows], self.symbols[rows[0]])
            groups.append((mcs_table()[index], rows, bits, symbols))
        return groups

    @staticmethod
    def _check(values: np.ndarray, lengths: np.ndarray, what: str) -> None:
        if values.shape != (lengths.sum(),):
            raise FrameError(f"{what} have shape {values.shape}; the packets' MCS need ({lengths.sum()},)")


@dataclass(frozen=True)
class _Places:
    """Positions of the bits, or symbols, of one MCS's packets among those of all packets.

    Attributes:
        where: indices, one packet after the other: a slice if they are contiguous, which copies ten times as fast.
        width: bits, or symbols, per packet.
    """

    where: slice | np.ndarray
    width: int

    @classmethod
    def of_rows(cls, starts: np.ndarray, width: int) -> "_Places":
        """Make the positions of rows that begin at int (n,)."""
        if (np.diff(starts) == width).all():
            return cls(slice(starts[0], starts[-1] + width), width)
        return cls((starts[:, None] + np.arange(width)).ravel(), width)

    def of(self, flat: np.ndarray) -> np.ndarray:
        """Extract rows (n, width) of a flat array, as a view if possible."""
        return flat[self.where].reshape(-1, self.width)

    def put(self, flat: np.ndarray, rows: np.ndarray) -> None:
        """Write rows (n, width) to a flat array."""
        flat[self.where] = rows.reshape(-1)


def trellis_steps(
    codec: PacketCodec, constellation: Constellation, llr_method: str, llrs: np.ndarray,
    stream: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Log-likelihoods of the code words of every trellis step, as `coding.list_decoding.ListDecoder` takes them.

    Where both code bits of a step lie on one component of a symbol, its levels are compared as such.

    Args:
        codec: the packets' code.
        constellation: that they were sent with.
        llr_method: that the LLRs were made with.
        llrs: float32 (n, coded_length).
        stream: uint8 of that shape, added to the bits; None: nothing.

    Returns:
        float32 (n, stages, 2**outputs), each up to a constant per step.
    """
    pairs = constellation.pair_metrics(llrs) if codec.code.pairwise and llr_method == "maxlog" else None
    if pairs is None:
        return codec.list_decoder.steps(_opened(llrs, stream))
    if stream is None:
        return pairs
    # Levels follow from the labels that were sent: permute the likelihoods.
    added = 2 * stream[:, 0::2] + stream[:, 1::2]
    return np.take_along_axis(pairs, (added[..., None] ^ np.arange(4)).astype(np.intp), axis=-1)


def _opened(llrs: np.ndarray, stream: np.ndarray | None) -> np.ndarray:
    """Decrypt LLRs: from those of the bits sent to those of the bits before encryption."""
    return llrs if stream is None else llrs * (1 - 2 * stream.view(np.int8))


@lru_cache(maxsize=32)
def _kept(
    codebook_size: int, tokens_per_packet: int, mcs: bytes, labels: TokenLabels | None, tag_bits: int
) -> MixedPackets:
    return MixedPackets(codebook_size, tokens_per_packet, np.frombuffer(mcs, np.int64), labels, tag_bits)
