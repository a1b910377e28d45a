"""Packets that are all coded and modulated alike, with any code: what curves of error rates are made of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.coding.packet_codec import PacketCodec
from tokcom.coding.token_steps import TokenSteps
from tokcom.context.prediction import Prediction
from tokcom.errors import ParameterError
from tokcom.link.packets import trellis_steps
from tokcom.modulation.constellation import LLR_METHODS, Constellation
from tokcom.tables import table_row


@dataclass(frozen=True)
class LinkConfig:
    """A code and a constellation.

    Args:
        code: row of coding/codes.json, "k7" or the paper's "k3"; it brings its CRC and bit order along.
        modulation: row of modulation/constellations.json.
        tokens_per_packet: tokens in each packet, at least 1.
        llr: "exact" or "maxlog"; empty for what the code's row says.
        rate: row of coding/punctures.json.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    code: str = "k7"
    modulation: str = "16qam"
    tokens_per_packet: int = 4
    llr: str = ""
    rate: str = "1/2"

    def __post_init__(self) -> None:
        if self.llr and self.llr not in LLR_METHODS:
            raise ParameterError(f"llr is {self.llr!r}; it must be one of {', '.join(LLR_METHODS)}, or empty")
        PacketCodec(self.code, tokens_per_packet=self.tokens_per_packet, rate=self.rate)
        self.constellation()

    def codec(self, codebook_size: int) -> PacketCodec:
        """The code of packets of a codebook's tokens."""
        return _codec(self.code, codebook_size, self.tokens_per_packet, self.rate)

    def constellation(self) -> Constellation:
        """The constellation, with the code's bit order."""
        return Constellation(self.modulation, self._code_row["bit_order"])

    @property
    def llr_method(self) -> str:
        return self.llr or self._code_row["llr"]

    @property
    def _code_row(self) -> dict:
        return table_row("tokcom.coding", "codes", "code", self.code)


@lru_cache(maxsize=16)
def _codec(code: str, codebook_size: int, tokens_per_packet: int, rate: str) -> PacketCodec:
    return PacketCodec(code, codebook_size, tokens_per_packet, rate)


class PacketLink:
    """Packets that are all coded and modulated alike, one row each.

    Args:
        config: code and constellation.
        codebook_size: words of the tokens' codebook.
    """

    def __init__(self, config: LinkConfig, codebook_size: int = 1024):
        self.config = config
        self._codec = config.codec(codebook_size)
        self._constellation = config.constellation()

    def modulate(self, packets: np.ndarray) -> np.ndarray:
        """complex64 symbols (n_packets, n_symbols) of tokens (n_packets, tokens_per_packet)."""
        return self._constellation.map(self._codec.encode(packets))

    def demap(self, symbols: np.ndarray, noise_variance: float | np.ndarray) -> np.ndarray:
        """float32 LLRs (n_packets, coded_length) of symbols (n_packets, n_symbols) in noise of the given variance."""
        length = self._codec.coded_length
        return self._constellation.llrs(symbols, noise_variance, length, self.config.llr_method)

    def decode(self, llrs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (n_packets, tokens_per_packet), whatever the CRC says, and bool (n_packets,): the CRC holds."""
        return self._codec.decode(llrs)

    def steps(self, llrs: np.ndarray) -> np.ndarray:
        """float32 (n, stages, 2**outputs): what LLRs say of every step of the trellis (`packets.trellis_steps`)."""
        return trellis_steps(self._codec, self._constellation, self.config.llr_method, llrs)

    def decide(
        self, steps: np.ndarray, priors: Prediction | np.ndarray, settings: ListSettings | None = None
    ) -> ListDecision:
        """List-decode packets by their steps, or by the sum of those of several transmissions."""
        return self._codec.list_decoder.decode(steps, priors, settings)

    def token_steps(self, steps: np.ndarray, log_frequencies: np.ndarray) -> TokenSteps:
        """One packet token by token, by its steps (stages, 2**outputs), as `ListDecoder.token_steps`."""
        return self._codec.list_decoder.token_steps(steps, log_frequencies)

    def decode_steps(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same as `decode`, by the packets' steps, or by the sum of those of several transmissions."""
        return self._codec.decode_steps(steps)
