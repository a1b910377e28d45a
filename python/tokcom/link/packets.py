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
from tokcom.packets.seal import BitStream


class MixedPackets:
    """The packets of a burst, each with its own MCS; bits, symbols and LLRs are flat, one packet after the other.

    Args:
        codebook_size: words of the tokens' codebook.
        tokens_per_packet: tokens in each packet.
        mcs: uint8 (n_packets,), indices of the MCS table, or MCS_NOT_SENT.
        labels: under which the tokens are sent; None: each under its own number.

    Raises:
        ParameterError: an index is not in the table, or the labels are of another codebook.
    """

    LLR_METHOD = "maxlog"

    @classmethod
    def of(
        cls, codebook_size: int, tokens_per_packet: int, mcs: np.ndarray, labels: TokenLabels | None = None
    ) -> "MixedPackets":
        """The same as the constructor, kept for when it is asked for again: bursts are often alike."""
        return _kept(codebook_size, tokens_per_packet, np.asarray(mcs, np.int64).tobytes(), labels)

    def __init__(self, codebook_size: int, tokens_per_packet: int, mcs: np.ndarray, labels: TokenLabels | None = None):
        if labels is not None and len(labels) != codebook_size:
            raise ParameterError(f"the labels are of a codebook of {len(labels)} words, the tokens of {codebook_size}")
        self._size, self._tokens, self._mcs, self._labels = codebook_size, tokens_per_packet, np.asarray(mcs), labels
        bits, symbols = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for index in np.unique(self._mcs):
            if index == MCS_NOT_SENT:
                continue
            if not 0 <= index < len(mcs_table()):
                raise ParameterError(f"mcs holds {index}; it must be 0 to {len(mcs_table()) - 1}, or {MCS_NOT_SENT}")
            scheme = mcs_table()[index]
            bits[index] = scheme.codec(codebook_size, tokens_per_packet).coded_length
            symbols[index] = scheme.symbols(codebook_size, tokens_per_packet)
        self.bits, self.symbols = bits[self._mcs], symbols[self._mcs]
        """int64 (n_packets,): coded bits and symbols of each packet."""

    def encode(self, packets: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """uint8 coded bits of tokens (n_packets, tokens_per_packet), their CRCs bound to stream, frame, codebook and
        each packet's number; encrypted where the identity has a key stream.

        Raises:
            FrameError: the packets are not as many as there are MCS, or the identity does not fit in its bits.
        """
        if len(packets) != len(self._mcs):
            raise FrameError(f"{len(packets)} packets are here, the MCS of {len(self._mcs)}")
        packets = packets if self._labels is None else self._labels.label(packets)
        out, presets = np.empty(self.bits.sum(), np.uint8), self._presets(identity)
        for scheme, rows, bits, _ in self._groups:
            codec = scheme.codec(self._size, self._tokens)
            bits.put(out, codec.encode(packets[rows], presets[rows]))
        stream = self._stream(identity)
        return out if stream is None else out ^ stream

    def map(self, bits: np.ndarray) -> np.ndarray:
        """complex64 symbols of coded bits.

        Raises:
            FrameError: the bits are not as many as the MCS say.
        """
        self._check(bits, self.bits, "bits")
        out = np.empty(self.symbols.sum(), np.complex64)
        for scheme, _, places, symbols in self._groups:
            symbols.put(out, scheme.constellation().map(places.of(bits)))
        return out

    def demap(self, symbols: np.ndarray, noise_variance: np.ndarray) -> np.ndarray:
        """float32 LLRs of symbols and the noise variance on each.

        Raises:
            FrameError: the symbols or the variances are not as many as the MCS say.
        """
        self._check(symbols, self.symbols, "symbols")
        self._check(noise_variance, self.symbols, "noise variances")
        out = np.empty(self.bits.sum(), np.float32)
        for scheme, _, bits, places in self._groups:
            values, variance = places.of(symbols), places.of(noise_variance)
            bits.put(out, scheme.constellation().llrs(values, variance, bits.width, self.LLR_METHOD))
        return out

    def misfit(self, symbols: np.ndarray, noise_variance: np.ndarray) -> np.ndarray:
        """What symbols, and the noise variance on each, say of packets beside their LLRs.

        Returns:
            float32 (n_packets, 2), in nepers against noise alone at its likeliest: how far the symbols are from the
            nearest points of their constellation, |difference|^2 over the variance, and how unlikely they are if
            nothing but noise of unknown power is in them. Symbols that a packet does not fill up are left out.

        Raises:
            FrameError: the symbols or the variances are not as many as the MCS say.
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
        """int64 (n_packets,): symbols that each packet fills up, which `misfit` and `beyond_nearest` count."""
        out = np.zeros(len(self._mcs), np.int64)
        for scheme, rows, bits, _ in self._groups:
            out[rows] = scheme.constellation().whole_symbols(bits.width)
        return out

    def beyond_nearest(
        self, llrs: np.ndarray, rows: np.ndarray, packets: np.ndarray, identity: PacketIdentity
    ) -> np.ndarray:
        """How much further the symbols of some packets are from their code words than from the nearest points.

        Args:
            llrs: float32, of all packets, as from `demap`.
            rows: int (n,), the packets.
            packets: int (n, tokens_per_packet), their tokens.
            identity: of the burst's packets.

        Returns:
            float64 (n,), in the units of `misfit`; 0 for packets that were not sent.

        Raises:
            FrameError: the LLRs are not as many as the MCS say.
        """
        self._check(llrs, self.bits, "LLRs")
        presets = self._presets(identity)[rows]
        packets = packets if self._labels is None else self._labels.label(packets)

        def words(scheme: Mcs, here: np.ndarray, own: np.ndarray) -> np.ndarray:
            codec = scheme.codec(self._size, self._tokens)
            return codec.encode(packets[here], presets[here])

        return self._beyond(llrs, rows, words, identity)

    def closest_beyond_nearest(self, llrs: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """The same of all packets and the code words that are likeliest, whatever their CRCs: float64 (n_packets,)."""
        self._check(llrs, self.bits, "LLRs")
        rows = np.arange(len(self._mcs))

        def words(scheme: Mcs, here: np.ndarray, own: np.ndarray) -> np.ndarray:
            return scheme.codec(self._size, self._tokens).closest(own)

        return self._beyond(llrs, rows, words, identity)

    def _stream(self, identity: PacketIdentity) -> np.ndarray | None:
        """uint8, what is added to all coded bits; None where they are not encrypted."""
        if identity.key_stream is None:
            return None
        lengths = np.asarray(self.bits, np.int64).tobytes()
        return _kept_stream(identity.key_stream, identity.stream_id, identity.frame_id, lengths)

    def _presets(self, identity: PacketIdentity) -> np.ndarray:
        """int64 (n_packets,), of the packets' CRCs, which all schemes have in common."""
        return identity.presets(mcs_table()[0].codec(self._size, self._tokens).crc, len(self._mcs))

    def _beyond(
        self, llrs: np.ndarray, rows: np.ndarray, words: Callable[[Mcs, np.ndarray, np.ndarray], np.ndarray],
        identity: PacketIdentity,
    ) -> np.ndarray:  # fmt: skip
        # Distances follow from the labels that were sent: code words are encrypted, not LLRs opened.
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
        """int32 tokens (n_packets, tokens_per_packet), whatever the CRC says, and bool (n_packets,): the CRC holds.
        Packets that were not sent are zeros that do not hold, and those of another burst do not hold, either.

        Raises:
            FrameError: the LLRs are not as many as the MCS say, or the identity does not fit in its bits.
        """
        self._check(llrs, self.bits, "LLRs")
        presets, llrs = self._presets(identity), _opened(llrs, self._stream(identity))
        tokens = np.zeros((len(self._mcs), self._tokens), np.int32)
        ok = np.zeros(len(self._mcs), bool)
        for scheme, rows, bits, _ in self._groups:
            codec = scheme.codec(self._size, self._tokens)
            tokens[rows], ok[rows] = codec.decode(bits.of(llrs), presets[rows])
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
            settings: how far the search goes.

        Raises:
            FrameError: the identity does not fit in its bits.
        """
        if not isinstance(priors, Prediction):
            priors = Prediction.dense(priors)
        if self._labels is not None:
            priors = priors.renamed(self._labels.of_tokens)
        decoder = mother_codec(self._size, self._tokens).list_decoder
        decision = decoder.decode(steps, priors, settings, self._presets(identity)[rows])
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
        decoder = mother_codec(self._size, self._tokens).list_decoder
        labels = None if self._labels is None else self._labels.of_tokens
        return decoder.token_steps(steps, log_frequencies, int(self._presets(identity)[row]), labels)

    def steps(self, llrs: np.ndarray, rows: np.ndarray, identity: PacketIdentity) -> np.ndarray:
        """Log-likelihoods of the code words of every trellis step of some packets, each up to a constant per step.

        Args:
            llrs: float32, of all packets, as from `demap`.
            rows: int (n,), the packets; one may come several times.
            identity: of the burst's packets.

        Returns:
            float32 (n, stages, 4), zeros of packets that were not sent.

        Raises:
            FrameError: the LLRs are not as many as the MCS say.
        """
        self._check(llrs, self.bits, "LLRs")
        codec, stream = mother_codec(self._size, self._tokens), self._stream(identity)
        out = np.zeros((len(rows), codec.coded_length // 2, 4), np.float32)
        for scheme, packets, bits, _ in self._groups:
            here = np.flatnonzero(np.isin(rows, packets))
            if len(here):
                chosen = np.searchsorted(packets, rows[here])
                own, added = bits.of(llrs)[chosen], None if stream is None else bits.of(stream)[chosen]
                own_codec = scheme.codec(self._size, self._tokens)
                out[here] = trellis_steps(own_codec, scheme.constellation(), self.LLR_METHOD, own, added)
        return out

    def decode_steps(
        self, steps: np.ndarray, rows: np.ndarray, identity: PacketIdentity
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same as `decode`, of the packets `rows`, by their steps, or by the sum of those of several
        transmissions."""
        tokens, ok = mother_codec(self._size, self._tokens).decode_steps(steps, self._presets(identity)[rows])
        return (tokens if self._labels is None else self._labels.tokens(tokens)), ok

    def list_decode(
        self, llrs: np.ndarray, rows: np.ndarray, priors: Prediction | np.ndarray, identity: PacketIdentity,
        settings: ListSettings | None = None,
    ) -> ListDecision:  # fmt: skip
        """List-decode some of the packets by their LLRs alone: `decide` on their `steps`."""
        return self.decide(self.steps(llrs, rows, identity), rows, priors, identity, settings)

    @cached_property
    def _groups(self) -> list[tuple[Mcs, np.ndarray, "_Places", "_Places"]]:
        """For each MCS in use: the scheme, its packets, and the places of their bits and symbols."""
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
            raise FrameError(f"{what} have shape {values.shape}; the packets' MCS ask for ({lengths.sum()},)")


@dataclass(frozen=True)
class _Places:
    """Where the packets of one MCS have their bits, or symbols, among those of all packets.

    Attributes:
        where: of one packet after the other: a slice where nothing lies between them, which copies ten times as fast.
        width: bits, or symbols, of each.
    """

    where: slice | np.ndarray
    width: int

    @classmethod
    def of_rows(cls, starts: np.ndarray, width: int) -> "_Places":
        """Those that begin at int (n,)."""
        if (np.diff(starts) == width).all():
            return cls(slice(starts[0], starts[-1] + width), width)
        return cls((starts[:, None] + np.arange(width)).ravel(), width)

    def of(self, flat: np.ndarray) -> np.ndarray:
        """(n, width): what is there of a flat array; a view of it where it can be."""
        return flat[self.where].reshape(-1, self.width)

    def put(self, flat: np.ndarray, rows: np.ndarray) -> None:
        """Put rows (n, width) there."""
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
    # Levels follow from the labels that were sent: the likelihoods change places.
    added = 2 * stream[:, 0::2] + stream[:, 1::2]
    return np.take_along_axis(pairs, (added[..., None] ^ np.arange(4)).astype(np.intp), axis=-1)


def _opened(llrs: np.ndarray, stream: np.ndarray | None) -> np.ndarray:
    """The LLRs of bits ahead of their encryption, of those of the bits that were sent."""
    return llrs if stream is None else llrs * (1 - 2 * stream.view(np.int8))


@lru_cache(maxsize=8)
def _kept_stream(key_stream: BitStream, stream_id: int, frame_id: int, lengths: bytes) -> np.ndarray:
    """The stream of a frame, which the rounds of context decoding ask for again."""
    bits = key_stream.bits(stream_id, frame_id, np.frombuffer(lengths, np.int64))
    bits.flags.writeable = False
    return bits


@lru_cache(maxsize=32)
def _kept(codebook_size: int, tokens_per_packet: int, mcs: bytes, labels: TokenLabels | None) -> MixedPackets:
    return MixedPackets(codebook_size, tokens_per_packet, np.frombuffer(mcs, np.int64), labels)
