from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.link.packets import MixedPackets

from ._burst_keys import mcs_of, seal_of
from ._pdu import required
from ._pdu_block import PduBlock


class token_mapper(PduBlock):
    """Map coded bits to symbols of the Gray constellation that each packet's MCS names.

    Input: message port "bits", PDUs of u8 coded bits, one packet after the other.
    Output: message port "symbols", PDUs of c32 symbols of unit mean energy, one packet after the other.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bits", "symbols", "uint8", "mapper"

    def __init__(self):
        PduBlock.__init__(self, "Token Mapper")

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        sizes = required(meta, keys.CODEBOOK_SIZE, int), required(meta, keys.TOKENS_PER_PACKET, int)
        seal = seal_of(meta)
        return {}, MixedPackets.of(*sizes, mcs_of(meta), tag_bits=0 if seal is None else seal.tag_bits).map(data)
