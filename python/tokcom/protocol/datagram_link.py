"""Datagrams as a `link.arrival.Link`: packets of tokens one way, over whatever carries datagrams.

Nothing comes back: no session, no repeats. What a session would agree on, the formats, is announced with every frame.
"""

from collections import Counter
from collections.abc import Sequence
from math import prod

import numpy as np

from tokcom.errors import DatagramError, ParameterError, TokcomError
from tokcom.frame import LOST, Payload
from tokcom.link.arrival import Arrival
from tokcom.packets.codebook import Codebook, by_id
from tokcom.packets.layout import SEEDS, SPREAD, pack
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.protocol import datagrams as wire
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.frame_elements import FrameElements
from tokcom.protocol.sections import Section, decode_sections, encode_section, payloads_of, tokens_of
from tokcom.protocol.sequence import NUMBERS

MAX_STREAMS = 64
"""Streams whose formats, and frames whose outlines, are kept at once."""
MAX_OUTLINE_BYTES = 64 << 20
"""Bytes that the outlines may hold; the newest is kept, whatever it holds."""


class DatagramLink:
    """One end, or both, of a way for datagrams.

    Args:
        codebooks: those that are known here.
        stream_id: of what this end transmits, 0 to 65535.
        tokens_per_packet: 1 to 64.
        layout: which tokens travel together, one of `packets.layout.LAYOUTS`.
        section_packets: packets in a datagram, at most.
        secret: what both ends share, at most 32 bytes; empty: nothing.
        max_tokens: tokens of a frame that is received, at most.

    Raises:
        ParameterError: max_tokens is below 1.

    Attributes:
        refused: datagrams that could not be used; last_error: why the last one could not.
        unannounced: datagrams of streams whose formats have not come.
    """

    def __init__(
        self, codebooks: Sequence[Codebook] = (), stream_id: int = 0, tokens_per_packet: int = 4, layout: str = SPREAD,
        section_packets: int = 8, secret: bytes = b"", max_tokens: int = 1 << 16,
    ):  # fmt: skip
        if max_tokens < 1:
            raise ParameterError(f"max_tokens is {max_tokens}; it must be at least 1")
        self._codebooks = by_id(codebooks)
        self._stream, self._per_packet, self._layout = stream_id, tokens_per_packet, layout
        self._section_packets, self._secret, self._max_tokens = section_packets, secret, max_tokens
        self._sent = self._outline_bytes = 0
        self._formats: dict[int, FrameFormat] = {}
        self._outlines: dict[tuple, tuple[Payload, np.ndarray]] = {}
        self.refused, self.last_error = 0, ""
        self.unannounced: Counter[int] = Counter()

    def _key(self, stream: int) -> tuple[bytes, bytes, bytes]:
        """Nonce, cookie and key of a stream: there is nobody to ask for others."""
        nonce, cookie = stream.to_bytes(wire.NONCE_BYTES, "big"), bytes(wire.COOKIE_BYTES)
        return nonce, cookie, wire.session_key(nonce, cookie, self._secret)

    def transmit(self, frame: Payload, layout_seed: int = 0, mcs: np.ndarray | None = None) -> list[bytes]:
        """The datagrams of a frame, as `link.arrival.Link` says; of `mcs` matters only which packets stay behind.

        Packets with a token that is LOST stay behind, too.
        """
        form = FrameFormat.of_frame(frame, self._per_packet, self._layout)
        packets = pack(frame.tokens, form.positions(frame.grid, layout_seed))
        payloads = payloads_of(np.maximum(packets, 0), form.token_bits)
        sent = (packets != LOST).all(axis=1)
        if mcs is not None:
            sent &= np.asarray(mcs) != MCS_NOT_SENT
        rows = np.flatnonzero(sent)
        frame_id, seed = frame.frame_id % NUMBERS, layout_seed % SEEDS
        elements = FrameElements.of_frame(frame, None if seed == frame_id % SEEDS else seed)
        nonce, cookie, key = self._key(self._stream)
        out = [wire.encode_connect(nonce, cookie, [form], key)]
        for start in range(0, len(rows), self._section_packets):
            part = rows[start : start + self._section_packets]
            end = start + self._section_packets >= len(rows)
            section = Section(0, frame_id, frame.grid, part, payloads[part], frame.cmi, end, elements)
            self._sent += 1
            out.append(wire.encode_data(self._stream, self._sent % NUMBERS, 0, encode_section(section, form), key))
        return out

    def receive(self, signal: Sequence[bytes]) -> list[Arrival]:
        """The packets of datagrams, as `link.arrival.Link` says."""
        arrivals = []
        for datagram in signal:
            try:
                arrivals += self._take(datagram)
            except TokcomError as error:
                self.refused += 1
                self.last_error = str(error)
        return arrivals

    def _take(self, datagram: bytes) -> list[Arrival]:
        if wire.kind_of(datagram) == wire.CONNECT:
            nonce, _, formats = wire.decode_connect(datagram)
            stream = int.from_bytes(nonce, "big") % NUMBERS
            wire.require_check(datagram, 0, self._key(stream)[2])
            self._formats.pop(stream, None)
            self._formats[stream] = formats[0]
            if len(self._formats) > MAX_STREAMS:
                self._formats.pop(next(iter(self._formats)))
            return []
        stream, number = wire.numbered(datagram)
        body = wire.body_of(datagram)
        wire.require_check(datagram, number, self._key(stream)[2])
        form = self._formats.get(stream)
        if form is None:
            self.unannounced[stream % MAX_STREAMS] += 1
            return []
        return [self._arrival(stream, section, form) for section in decode_sections(body, [form])]

    def _arrival(self, stream: int, section: Section, form: FrameFormat) -> Arrival:
        outline, positions = self._outline(stream, section, form)
        tokens = tokens_of(section.payloads, form.tokens_per_packet, form.token_bits)
        rows = np.zeros(0, np.int64) if section.indices is None else section.indices
        ok = (tokens < outline.codebook_size).all(axis=1)
        return Arrival(stream, outline, positions, rows, tokens[: len(rows)], ok[: len(rows)])

    def _outline(self, stream: int, section: Section, form: FrameFormat) -> tuple[Payload, np.ndarray]:
        """Outline and positions, the same objects for all packets of a frame."""
        key = stream, section.frame_id, section.grid, section.elements, section.label, form
        if key not in self._outlines:
            n_tokens = prod(section.grid)
            if n_tokens > self._max_tokens:
                raise DatagramError(
                    f"frame {section.frame_id} has {n_tokens} tokens; this end takes at most {self._max_tokens}"
                )
            book = self._codebooks.get(form.codebook_id)
            outline = form.empty_frame(section.grid, book, section.label, section.frame_id, section.elements)
            self._outlines[key] = outline, form.positions(section.grid, section.layout_seed)
            self._outline_bytes += _bytes_of(*self._outlines[key])
            while len(self._outlines) > 1 and (
                len(self._outlines) > MAX_STREAMS or self._outline_bytes > MAX_OUTLINE_BYTES
            ):
                self._outline_bytes -= _bytes_of(*self._outlines.pop(next(iter(self._outlines))))
        return self._outlines[key]


def _bytes_of(outline: Payload, positions: np.ndarray) -> int:
    return outline.tokens.nbytes + positions.nbytes
