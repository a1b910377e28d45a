"""Base of a received burst header, and the whole header that it makes with its extension."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from tokcom.errors import HeaderError, ParameterError
from tokcom.frame import BITS, TOKENS
from tokcom.packets.element_numbers import sides_of, sizes_of
from tokcom.packets.elements import (
    CHECK,
    COMPANION,
    CONDITION,
    FOLLOWS,
    KEY,
    LAYOUT,
    MCS_MAP,
    NAMES,
    QUANTIZERS,
    SHAPE,
    THINNING,
    join,
    split,
)
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_fields import CRC, MAX_PACKETS, PLAIN_BITS, VERSION, fields_of, layout_of, shape_of
from tokcom.packets.labels import LABELS, NATURAL
from tokcom.packets.layout import FRAMES
from tokcom.packets.mcs_map import MCS_NOT_SENT, mcs_of, two_groups
from tokcom.packets.seal import Seal
from tokcom.packets.thinning import packets_sent


@dataclass(frozen=True)
class HeaderBase:
    """Base of a header whose CRC holds: its fields, checked as far as possible without the extension."""

    fields: dict[str, int]

    @classmethod
    def from_bits(cls, bits: np.ndarray) -> "HeaderBase":
        """Parse BASE_BITS bits.

        Raises:
            HeaderError: the CRC fails, the version is unknown, or a field has an invalid value.
        """
        if not CRC.check(bits[None])[0]:
            raise HeaderError("crc", "the header's CRC fails")
        fields = fields_of(bits)
        if fields["version"] != VERSION:
            raise HeaderError(
                "version", f"the header has version {fields['version']}; this receiver knows version {VERSION}"
            )
        base = cls(fields)
        symbols, mcs = base.extension_symbols, fields["mcs"]
        if symbols == 1 or (mcs == MCS_NOT_SENT and (not symbols or fields["share"])):
            raise HeaderError(
                "contents", f"MCS {mcs}, share {fields['share']} and an extension of {symbols} symbols do not agree"
            )
        if symbols:
            base._header((1,), np.zeros(1, np.uint8))
        elif base._whole.contents[0] != fields:
            # A receiver rebuilds the header's waveform from its contents, so there must be only one form.
            raise HeaderError("contents", "the header is not in its shortest form")
        return base

    @property
    def extension_symbols(self) -> int:
        """OFDM symbols of one copy of the extension; 0 without an extension."""
        return self.fields["extension_symbols"]

    def header(self, extension: np.ndarray | None = None) -> BurstHeader:
        """Parse the header, with the bits of its extension (and their CRC) if it has one.

        Raises:
            HeaderError: the extension's CRC fails, it has a mandatory element that is unknown, or its content is
                impossible or not in its shortest form.
        """
        if not self.extension_symbols:
            return self._whole
        if extension is None or not CRC.check(extension[None])[0]:
            raise HeaderError("crc", "the header extension's CRC fails")
        came = np.packbits(extension[: -CRC.width]).tobytes()
        elements = {element.number: element for element in split(came)}
        unknown = [element for number, element in elements.items() if number not in NAMES]
        needed = [str(element.number) for element in unknown if not element.optional]
        if needed:
            raise HeaderError(
                "element",
                f"frame {self.fields['frame_id']} of stream {self.fields['stream_id']}, codebook "
                f"0x{self.fields['codebook_id']:08x}, needs element {', '.join(needed)} of its header, which this "
                "receiver does not know",
            )
        value = {number: element.value for number, element in elements.items()}
        grid = sides_of(value[SHAPE]) if SHAPE in value else self._plain_grid
        n_packets = self._n_packets(grid)
        thinning = value.get(THINNING, b"")
        described = self._n_described(thinning, grid)
        mcs = mcs_of(value[MCS_MAP], described) if MCS_MAP in value else self._plain_mcs(described)
        mcs = np.pad(mcs, (0, n_packets - described), constant_values=MCS_NOT_SENT)
        told: dict[str, object] = {
            "elements": join(unknown), "seal": Seal.from_bytes(value.get(KEY), value.get(CHECK)), "thinning": thinning,
            "description": value.get(CONDITION, b""), "companion": int.from_bytes(value.get(COMPANION, b""), "big"),
        }  # fmt: skip
        if QUANTIZERS in value:
            told |= {"quantizers": grid[0], "sizes": sizes_of(value[QUANTIZERS])}
        if LAYOUT in value:
            told["layout"] = FRAMES
        if FOLLOWS in value:
            told["follows"] = int.from_bytes(value[FOLLOWS], "big")
        header = self._header(grid, mcs, **told)
        fields, written = header.contents
        if fields != self.fields or came != written.ljust(len(came), b"\0"):
            raise HeaderError("contents", "the header is not in its shortest form")
        return header

    @cached_property
    def _whole(self) -> BurstHeader:
        """Make the header from the base alone."""
        return self._header(self._plain_grid, self._plain_mcs(self._n_packets(self._plain_grid)))

    @property
    def _plain_grid(self) -> tuple[int, ...]:
        """Decode the base's shape."""
        return shape_of(self.fields["shape"])

    def _plain_mcs(self, n_packets: int) -> np.ndarray:
        """Decode the base's MCS of every packet."""
        if self.fields["mcs"] == MCS_NOT_SENT:
            raise HeaderError("contents", "the header announces an MCS map but has none")
        return two_groups(self.fields["mcs"], self.fields["share"], n_packets)

    def _n_packets(self, grid: tuple[int, ...]) -> int:
        """Compute and check the number of packets, before anything of that size is allocated."""
        packets = -(-prod(grid) // self._size[0])
        if not 1 <= packets <= MAX_PACKETS:
            raise HeaderError("contents", f"the header announces {packets} packets; a frame has 1 to {MAX_PACKETS}")
        return packets

    def _n_described(self, thinning: bytes, grid: tuple[int, ...]) -> int:
        """Compute the number of packets whose MCS the header tells."""
        try:
            return packets_sent(thinning, grid, self._size[0])
        except ParameterError as error:
            raise HeaderError("contents", f"the header's rule of what is sent: {error}") from None

    @property
    def _size(self) -> tuple[int, int]:
        """Decode tokens per packet and bits per token."""
        tokens, bits = self.fields["tokens_per_packet"], self.fields["token_bits"]
        return ((tokens << 5 | bits) + 1, 1) if self.fields["payload"] == PLAIN_BITS else (tokens + 1, bits + 1)

    def _header(self, grid: tuple[int, ...], mcs: np.ndarray, **told: object) -> BurstHeader:
        """Make the header of the base's fields, and of what its extension tells by `BurstHeader`'s names."""
        fields = self.fields
        bits = fields["payload"] == PLAIN_BITS
        layout, seed, follows = layout_of(fields["layout"])
        layout = told.pop("layout", layout)
        try:
            return BurstHeader(
                fields["stream_id"], fields["frame_id"], fields["codebook_id"], grid, *self._size, mcs,
                fields["cmi"] - 1 if fields["cmi"] else None, layout, seed,
                NATURAL if bits else LABELS[fields["payload"]], BITS if bits else TOKENS,
                **{"follows": follows} | told,
            )  # fmt: skip
        except ParameterError as error:
            raise HeaderError("contents", f"the header's CRC holds but its values are impossible: {error}") from None
