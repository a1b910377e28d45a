import numpy as np

from tokcom import keys
from tokcom.link import LinkConfig, Transmitter

from ._pdu import PduBlock, packet_rows, required


class token_mapper(PduBlock):
    """Map coded bits to symbols of a Gray constellation.

    Input: message port "bits", PDUs of u8 coded bits, one packet after the other.
    Output: message port "symbols", PDUs of c32 symbols of unit mean energy, with modulation added.

    Parameters:
        modulation: "bpsk", "qpsk", "16qam", "64qam" or "256qam".
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bits", "symbols", "uint8", "mapper"

    def __init__(self, modulation: str = "16qam"):
        PduBlock.__init__(self, "Token Mapper")
        self._modulation = LinkConfig(modulation=modulation).modulation

    def process(self, meta: dict, data: np.ndarray) -> tuple[dict, np.ndarray]:
        config = LinkConfig(required(meta, keys.CODE, str), self._modulation)
        return {keys.MODULATION: self._modulation}, Transmitter(config).map(packet_rows(meta, data))
