"""Token packets to coded bits and back: tokens, check, convolutional code."""

from functools import cached_property

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.list_decoding import ListDecoder
from tokcom.coding.viterbi import viterbi, viterbi_of_steps
from tokcom.errors import FrameError, ParameterError
from tokcom.packets.bits import bits_per_token, bits_to_tokens, tokens_to_bits
from tokcom.packets.crc import Crc
from tokcom.packets.universal_hash import UniversalHash
from tokcom.tables import table_row


class PacketCodec:
    """Encoder and decoder of packets of a few tokens, each protected on its own.

    Args:
        code: row of codes.json that names code and CRC: "k7" (default of the project), "k3" (the paper's), "k5", "k9".
        codebook_size: words in the tokens' codebook.
        tokens_per_packet: tokens in each packet, at least 1.
        rate: row of punctures.json.
        tag_bits: bits of a secret check in place of the CRC, which is passed with each packet; 0 for the CRC.

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
        """Coded bits per packet."""
        return self.code.coded_length(self._protected)

    def encode(
        self, packets: np.ndarray, presets: np.ndarray | None = None, tag: UniversalHash | None = None
    ) -> np.ndarray:
        """Encode tokens (n_packets, tokens_per_packet) to bits, uint8 (n_packets, coded_length).

        Args:
            packets: the tokens.
            presets: int64 (n_packets,), preset of each packet's check, as `Crc.presets` gives them; None for the
                check's own.
            tag: the secret check; None for the CRC.

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
        """Decode each packet to its most likely tokens, and check them.

        Args:
            llrs: float (n_packets, coded_length), positive where the bit is more likely 1.
            presets, tag: of the check, as in `encode`.

        Returns:
            int32 tokens (n_packets, tokens_per_packet), and bool (n_packets,), true where the check holds and all
            tokens lie in the codebook.

        Raises:
            ParameterError: the LLRs have another shape.
        """
        return self._decided(viterbi(self.code, llrs, self._protected), presets, tag)

    def _decided(
        self, bits: np.ndarray, presets: np.ndarray | None, tag: UniversalHash | None
    ) -> tuple[np.ndarray, np.ndarray]:
        tokens = bits_to_tokens(bits[:, : self.payload_bits], self.token_bits)
        return tokens, (tag or self.crc).check(bits, presets) & (tokens < self.codebook_size).all(axis=1)

    def decode_steps(
        self, steps: np.ndarray, presets: np.ndarray | None = None, tag: UniversalHash | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same as `decode`, by what is known of every step of the trellis: float32 (n_packets, stages, words), as
        `list_decoding.ListDecoder` takes it."""
        return self._decided(viterbi_of_steps(self.code, steps, self._protected), presets, tag)

    def closest(self, llrs: np.ndarray) -> np.ndarray:
        """Find the code words that the LLRs make most likely, check or not, uint8 (n_packets, coded_length)."""
        return self.code.encode(viterbi(self.code, llrs, self._protected))

    def log_likelihood_of_checks(self, packets: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Sum the likelihoods of all checks, right or wrong, that packets of some tokens could have.

        Args:
            packets: tokens (n, tokens_per_packet).
            steps: float64 (n, check and tail, words), log-likelihoods of the code words of the trellis steps behind the
                tokens.

        Returns:
            float64 (n,), log of the sums.
        """
        outputs, tail = self.code.outputs, self.code.tail
        states = np.arange(len(outputs))
        total = np.full((len(packets), len(states)), -np.inf)
        last = tokens_to_bits(packets, self.token_bits)[:, -self.code.constraint_length + 1 :]
        total[np.arange(len(packets)), last @ (1 << np.arange(last.shape[1] - 1, -1, -1))] = 0
        for t in range(steps.shape[1]):
            after = np.full_like(total, -np.inf)
            for bit in range(2 if t < steps.shape[1] - tail else 1):
                reached = total + steps[:, t, outputs[:, bit]]
                # Two states lead to each: those that differ in their oldest bit.
                to = (2 * states + bit) % len(states)
                both = np.logaddexp(reached[:, : len(states) // 2], reached[:, len(states) // 2 :])
                after[:, to[: len(states) // 2]] = both
            total = after
        return np.logaddexp.reduce(total, axis=1)

    @cached_property
    def list_decoder(self) -> ListDecoder:
        """Decoder that treats the check as part of the code and takes priors of the tokens."""
        check = self.crc
        if self.check_bits != check.width:
            check = UniversalHash(np.zeros(self._protected, np.uint8), self.check_bits, self.payload_bits)
        return ListDecoder(self.code, check, self.token_bits, self.tokens_per_packet)
