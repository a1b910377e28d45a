"""Token packets as coded bits and back: tokens · check · convolutional code."""

from functools import cached_property

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.list_decoding import ListDecoder
from tokcom.coding.viterbi import viterbi
from tokcom.errors import FrameError, ParameterError
from tokcom.packets.bits import bits_per_token, bits_to_tokens, tokens_to_bits
from tokcom.packets.crc import Crc
from tokcom.packets.universal_hash import UniversalHash
from tokcom.tables import table_row


class PacketCodec:
    """Protects packets of a few tokens each, so that each stands or falls alone.

    Args:
        code: row of codes.json that names code and CRC: "k7" (default of the project), "k3" (the paper's), "k5", "k9".
        codebook_size: words in the tokens' codebook.
        tokens_per_packet: tokens in each packet, at least 1.
        rate: row of punctures.json.
        tag_bits: of a secret check that takes the place of the CRC, and is named with each packet; 0: there is none.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, code: str = "k7", codebook_size: int = 1024, tokens_per_packet: int = 4, rate: str = "1/2",
        tag_bits: int = 0,
    ):  # fmt: skip
        if tokens_per_packet < 1:
            raise ParameterError(f"tokens_per_packet is {tokens_per_packet}; it must be at least 1")
        self.code = ConvolutionalCode.named(code, rate)
        self.crc = Crc.named(table_row("tokcom.coding", "codes", "code", code)["crc"])
        self.codebook_size = codebook_size
        self.tokens_per_packet = tokens_per_packet
        self.token_bits = bits_per_token(codebook_size)
        self.payload_bits = tokens_per_packet * self.token_bits
        self.check_bits = tag_bits or self.crc.width
        self._protected = self.payload_bits + self.check_bits

    @property
    def coded_length(self) -> int:
        """Coded bits of a packet."""
        return self.code.coded_length(self._protected)

    def encode(
        self, packets: np.ndarray, presets: np.ndarray | None = None, tag: UniversalHash | None = None
    ) -> np.ndarray:
        """Coded bits, uint8 (n_packets, coded_length), of tokens (n_packets, tokens_per_packet).

        Args:
            packets: the tokens.
            presets: int64 (n_packets,), of each packet's check, as `Crc.presets` gives them; None: the check's own.
            tag: the secret check; None: the CRC.

        Raises:
            FrameError: a token lies outside the codebook.
            ParameterError: the packets have another number of tokens.
        """
        if packets.ndim != 2 or packets.shape[1] != self.tokens_per_packet:
            raise ParameterError(f"packets have shape {packets.shape}; they must be (n, {self.tokens_per_packet})")
        outside = (packets < 0) | (packets >= self.codebook_size)
        if outside.any():
            raise FrameError(f"token {packets[outside][0]} lies outside the codebook of {self.codebook_size} words")
        return self.code.encode((tag or self.crc).append(tokens_to_bits(packets, self.token_bits), presets))

    def decode(
        self, llrs: np.ndarray, presets: np.ndarray | None = None, tag: UniversalHash | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest tokens of each packet and whether to believe them.

        Args:
            llrs: float (n_packets, coded_length), positive where the bit is likelier 1.
            presets, tag: of the check, as in `encode`.

        Returns:
            int32 tokens (n_packets, tokens_per_packet), and bool (n_packets,): the check holds and all tokens lie in
            the codebook.

        Raises:
            ParameterError: the LLRs have another shape.
        """
        bits = viterbi(self.code, llrs, self._protected)
        tokens = bits_to_tokens(bits[:, : self.payload_bits], self.token_bits)
        return tokens, (tag or self.crc).check(bits, presets) & (tokens < self.codebook_size).all(axis=1)

    def closest(self, llrs: np.ndarray) -> np.ndarray:
        """uint8 (n_packets, coded_length): the code words that are likeliest by LLRs, whatever their checks say."""
        return self.code.encode(viterbi(self.code, llrs, self._protected))

    @cached_property
    def list_decoder(self) -> ListDecoder:
        """The decoder that takes the check for a part of the code and knows the tokens' priors."""
        check = self.crc
        if self.check_bits != check.width:
            check = UniversalHash(np.zeros(self._protected, np.uint8), self.check_bits, self.payload_bits)
        return ListDecoder(self.code, check, self.token_bits, self.tokens_per_packet)
