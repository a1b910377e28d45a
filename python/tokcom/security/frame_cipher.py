"""Protection of the packets of one frame by a key: a key stream over coded bits, and tags in place of CRCs.

The transmitter adds the stream to the coded bits, the receiver turns the signs of their LLRs ahead of the decoder.
Tags are linear in the tokens' bits, as CRCs are. Code, check and context then see what they would have seen without a
key: encryption takes nothing from the link, and lists decode with the tag as a part of the code.
"""

import hmac
import struct
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np

from tokcom.errors import ParameterError
from tokcom.packets.seal import HEADER_TAG_BITS, TAG_BITS, Seal
from tokcom.packets.universal_hash import UniversalHash
from tokcom.security.keys import Key


@dataclass(frozen=True)
class Direction:
    """One way of a link with a key, and tags of one length.

    Args:
        key: shared by both ends.
        number: 0 or 1; two ends that both transmit with one key take one each.
        tag_bits: of each packet's tag, one of `packets.seal.TAG_WIDTHS`.

    Raises:
        ParameterError: the number or the tag's length is not allowed.
    """

    key: Key
    number: int
    tag_bits: int = TAG_BITS

    def __post_init__(self) -> None:
        if self.number not in (0, 1):
            raise ParameterError(f"direction is {self.number}; it must be 0 or 1")
        self.seal(0)

    def seal(self, epoch: int, header_tag: int = 0) -> Seal:
        """Seal for the header of a burst."""
        return Seal(self.key.id, self.number, epoch, self.tag_bits, header_tag)

    @cached_property
    def bits_stream(self) -> "KeyStream":
        return KeyStream(self.key.derive(f"bits {self.number}"))

    @cached_property
    def tags_stream(self) -> "KeyStream":
        return KeyStream(self.key.derive(f"tags {self.number} {self.tag_bits}"))

    @cached_property
    def header_mac(self) -> hmac.HMAC:
        # To be copied: its key is scheduled once.
        return hmac.new(self.key.derive(f"header {self.number}"), digestmod="sha256")


class KeyStream:
    """ChaCha20 (RFC 8439) with one key and any number of nonces; usable from several threads.

    Args:
        secret: 32 bytes.
    """

    def __init__(self, secret: bytes):
        self._secret, self._turn, self._context = secret, Lock(), None

    def bytes(self, nonce: bytes, size: int) -> np.ndarray:
        """uint8 (size,): the stream with a nonce of 16 bytes."""
        with self._turn:
            # One context for all frames, where the library lets it: to make one costs more than a frame's stream.
            if hasattr(self._context, "reset_nonce"):
                self._context.reset_nonce(nonce)
            else:
                # Imported where it is used: who has no key needs no cipher.
                from cryptography.hazmat.primitives.ciphers import Cipher
                from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

                self._context = Cipher(ChaCha20(self._secret, nonce), mode=None).encryptor()
            return np.frombuffer(self._context.update(bytes(size)), np.uint8)


class FrameCipher:
    """The cipher of one frame; what it makes is kept, for the rounds of context decoding ask for it again.

    Args:
        direction: of the transmitter.
        epoch: of the transmitter's start, from `epochs.next_epoch`; below 2**15.
        stream_id: of the frame, 0 to 2**16 - 1.
        frame_id: of the frame, 0 to 2**32 - 1; no two frames of an epoch may have the same.
        header: of the burst, `BurstHeader.sealed_bytes`.

    Attributes:
        header_tag: of the header.
    """

    def __init__(self, direction: Direction, epoch: int, stream_id: int, frame_id: int, header: bytes):
        self._direction = direction
        self._nonce = struct.pack("<IIII", 0, epoch, stream_id, frame_id)
        mac = direction.header_mac.copy()
        mac.update(header)
        digest = mac.digest()
        self.header_tag = int.from_bytes(digest[: HEADER_TAG_BITS // 8], "big")
        # What follows in the digest is in each packet's tag, which so covers the header, too.
        after = digest[HEADER_TAG_BITS // 8 :][: direction.tag_bits // 8]
        self._of_header = np.int64(int.from_bytes(after, "big"))
        self._bits: tuple[bytes, np.ndarray] | None = None
        self._tags: tuple[tuple[int, int], tuple[UniversalHash, np.ndarray]] | None = None

    def bits(self, lengths: np.ndarray) -> np.ndarray:
        """The stream for the coded bits of the frame's packets.

        Args:
            lengths: int (n_packets,), coded bits of each packet. Each has as many bytes as hold the longest.

        Returns:
            uint8 (sum of lengths,), 0 and 1, one packet after the other; read-only.
        """
        lengths = np.asarray(lengths, np.int64)
        if self._bits is None or self._bits[0] != lengths.tobytes():
            longest = int(lengths.max(initial=0))
            rows = np.unpackbits(self._direction.bits_stream.bytes(self._nonce, len(lengths) * -(-longest // 8)))
            rows = rows.reshape(len(lengths), -1)[:, :longest]
            bits = rows.ravel() if (lengths == longest).all() else rows[np.arange(longest) < lengths[:, None]]
            bits.flags.writeable = False
            self._bits = lengths.tobytes(), bits
        return self._bits[1]

    def tags(self, n_bits: int, n_packets: int) -> tuple[UniversalHash, np.ndarray]:
        """The check that takes the place of the CRC.

        Args:
            n_bits: payload bits of each packet.
            n_packets: of the frame.

        Returns:
            The check, and its presets, int64 (n_packets,).
        """
        if self._tags is None or self._tags[0] != (n_bits, n_packets):
            width = self._direction.tag_bits
            n_secret = -(-(n_bits + width - 1) // 8)
            stream = self._direction.tags_stream.bytes(self._nonce, n_secret + n_packets * width // 8)
            pads = np.zeros((n_packets, 8), np.uint8)
            pads[:, 8 - width // 8 :] = stream[n_secret:].reshape(n_packets, -1)
            presets = pads.view(">i8")[:, 0].astype(np.int64) ^ self._of_header
            self._tags = (n_bits, n_packets), (UniversalHash(stream, width, n_bits), presets)
        return self._tags[1]
