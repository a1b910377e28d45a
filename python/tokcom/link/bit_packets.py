"""Packets of bits whose check does not hold, list-decoded with the check as part of the code.

No model knows what bits are likely, but the check does: of the sequences that the channel finds likely, the likeliest
whose check holds is believed if it is likely enough beside all others. In AWGN, one packet of 760 bits in a hundred is
lost at an Es/N0 1.4 dB lower than by a Viterbi decoder (QPSK 1/2: 2.3 instead of 3.7 dB).
"""

import numpy as np

from tokcom.coding.list_decoding import ListDecision, ListSettings
from tokcom.context.prediction import Prediction
from tokcom.link.received import ReceivedPackets

ACCEPTED = float(np.log(1e3))
"""Log-odds from which a packet is believed: in AWGN, those below are at most one in a thousand at the Es/N0 that list
decoding is for. What bits hold has a check of its own."""
LISTS = ListSettings(list_size=512)
MOST_BITS = 1 << 13
"""Bits of packets that are list-decoded per burst, at most: if they are all noise, that takes a second of a core."""


def list_decoded(received: ReceivedPackets, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List-decode packets of bits.

    Args:
        received: the packets.
        rows: int (n,), those whose check does not hold; beyond `MOST_BITS`, the first are decoded.

    Returns:
        Those packets that are believed: int (m,), and their bits, int32 (m, bits_per_packet).

    Raises:
        FrameError: a transmission has not as many LLRs as its MCS say.
    """
    size = received.positions.shape[1]
    rows = rows[received.sent[rows]][: MOST_BITS // size]
    if not len(rows):
        return rows, np.zeros((0, size), np.int32)
    decision = received.list_decode(rows, even_bits(len(rows), size), LISTS)
    believed = accepted(decision)
    return rows[believed], decision.tokens[believed]


def all_listed(packets: int, bits_per_packet: int) -> bool:
    """Tell whether all packets of a burst are list-decoded even if the check of none holds."""
    return packets <= MOST_BITS // bits_per_packet


def even_bits(packets: int, bits: int) -> Prediction:
    """Make the prediction of packets of bits of which nothing is known."""
    return Prediction.dense(np.full((packets, bits, 2), -np.log(2), np.float32))


def accepted(decision: ListDecision) -> np.ndarray:
    """bool (n,): the packets that are believed."""
    return decision.log_odds >= ACCEPTED
