import numpy as np

from tokcom import keys
from tokcom.link import LinkConfig, Transmitter

from ._pdu import PduBlock, packet_rows, required


class packet_encoder(PduBlock):
    """Protect each packet with a CRC and a convolutional code.

    Input: message port "packets", PDUs of s32 tokens in packet order.
    Output: message port "bits", PDUs of u8 coded bits, one packet after the other, with code added.

    Parameters:
        code: "k7": K=7 (133,171), rate 1/2, terminated, CRC-16; "k3": the paper's K=3 (5,7), not terminated, CRC-11;
            also "k5" and "k9".
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "packets", "bits", "int32", "encoder"

    def __init__(self, code: str = "k7"):
        PduBlock.__init__(self, "Packet Encoder")
        self._code = LinkConfig(code).code

    def process(self, meta: dict, data: np.ndarray) -> tuple[dict, np.ndarray]:
        packets = packet_rows(meta, data)
        transmitter = Transmitter(LinkConfig(self._code, tokens_per_packet=packets.shape[1]))
        return {keys.CODE: self._code}, transmitter.encode(packets, required(meta, keys.CODEBOOK_SIZE, int))
