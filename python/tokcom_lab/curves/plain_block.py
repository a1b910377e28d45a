"""Blocks of bits without a check, decoded by Viterbi alone."""

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import viterbi
from tokcom.modulation.constellation import Constellation


def is_decoded_wrong(
    bits: np.ndarray, code: ConvolutionalCode, constellation: Constellation, esn0_db: float, rng: np.random.Generator
) -> bool:  # fmt: skip
    """Send a block through AWGN.

    Args:
        bits: uint8 (1, n).
        code: the code.
        constellation: the constellation.
        esn0_db: Es/N0 in dB.
        rng: of the noise.

    Returns:
        Whether any of its bits is wrong at the end.
    """
    coded = code.encode(bits)
    symbols = awgn(constellation.map(coded), esn0_db, rng)
    llrs = constellation.llrs(symbols, noise_variance(esn0_db), coded.shape[1], "exact")
    return not np.array_equal(viterbi(code, llrs, bits.shape[1]), bits)
