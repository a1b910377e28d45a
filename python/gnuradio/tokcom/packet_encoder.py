from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.link.bursts import TransmitConfig, Transmitter
from tokcom.link.packets import MixedPackets

from ._pdu import PduBlock, mcs_of, packet_rows, required, vector_of


class packet_encoder(PduBlock):
    """Protect each packet with a CRC and a convolutional code.

    Packets whose metadata names an MCS for each keep those.

    Input: message port "packets", PDUs of s32 tokens in packet order.
    Output: message port "bits", PDUs of u8 coded bits, one packet after the other, with mcs added.

    Parameters:
        mcs: modulation and coding scheme, by name ("16qam-1/2") or index (0 to 14).
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "packets", "bits", "int32", "encoder"

    def __init__(self, mcs: str = "16qam-1/2"):
        PduBlock.__init__(self, "Packet Encoder")
        self.set_mcs(mcs)

    def set_mcs(self, mcs: str) -> None:
        self._transmitter = Transmitter(TransmitConfig(mcs))

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        packets = packet_rows(meta, data)
        mcs = mcs_of(meta) if keys.MCS in meta else self._transmitter.choose_mcs(len(packets))
        coded = MixedPackets.of(required(meta, keys.CODEBOOK_SIZE, int), packets.shape[1], mcs)
        return {keys.MCS: vector_of(mcs)}, coded.encode(packets)
