import numpy as np

from tokcom import keys
from tokcom.channel.awgn import noise_variance
from tokcom.link import LinkConfig, Receiver

from ._pdu import PduBlock, packet_rows, required


class token_demapper(PduBlock):
    """Turn received symbols into log-likelihood ratios of the coded bits, positive where the bit is likelier 1.

    Input: message port "symbols", PDUs of c32 symbols.
    Output: message port "llrs", PDUs of f32 LLRs, with esn0_db added.

    Parameters:
        esn0_db: Es/N0 of the channel in dB.
        llr: "exact" sums over the constellation, "maxlog" takes the nearest points; empty for what goes with the code.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "symbols", "llrs", "complex64", "demapper"

    def __init__(self, esn0_db: float = 7.0, llr: str = ""):
        PduBlock.__init__(self, "Token Demapper")
        self._llr = LinkConfig(llr=llr).llr
        self.set_esn0_db(esn0_db)

    def set_esn0_db(self, esn0_db: float) -> None:
        self._noise_variance = noise_variance(esn0_db)
        self._esn0_db = float(esn0_db)

    def process(self, meta: dict, data: np.ndarray) -> tuple[dict, np.ndarray]:
        config = LinkConfig(
            required(meta, keys.CODE, str), required(meta, keys.MODULATION, str),
            required(meta, keys.TOKENS_PER_PACKET, int), self._llr,
        )  # fmt: skip
        size = required(meta, keys.CODEBOOK_SIZE, int)
        llrs = Receiver(config).demap(packet_rows(meta, data), self._noise_variance, size)
        return {keys.ESN0_DB: self._esn0_db}, llrs
