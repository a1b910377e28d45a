"""Error rates and efficiency of tokens: TER, exact recovery, TCE."""

import math

import numpy as np

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST


def token_error_rate(sent: np.ndarray, received: np.ndarray) -> float:
    """Compute the share of tokens that are lost or wrong.

    Args:
        sent: int array (n,).
        received: int array (n,), LOST where a token is missing.

    Raises:
        FrameError: the arrays differ in shape.
    """
    _require_same_shape(sent, received)
    return float(np.mean(sent != received))


def exact_recovery_rate(sent: np.ndarray, received: np.ndarray, recovered: np.ndarray) -> float | None:
    """Compute the share of lost tokens that recovery filled in with the token sent; None if none was lost.

    This is most likely what the paper reports as "TER after context processing".
    """
    _require_same_shape(sent, received)
    _require_same_shape(sent, recovered)
    lost = received == LOST
    return float(np.mean(recovered[lost] == sent[lost])) if lost.any() else None


def token_communication_efficiency(pixels: int, n_tokens: int, codebook_size: int, transmissions: float = 1.0) -> float:
    """Compute the pixels delivered per token bit sent: h w / (T N log2 Q) (paper, section VI-A).

    Args:
        pixels: height * width of the picture.
        n_tokens: N, tokens per picture.
        codebook_size: Q.
        transmissions: T, mean number of transmissions per packet; 1 without retransmission, 1 / (1 - PER) with it.

    Raises:
        ParameterError: a parameter is out of its range.
    """
    if pixels < 1 or n_tokens < 1 or codebook_size < 2 or transmissions < 1:
        raise ParameterError(
            f"pixels {pixels}, n_tokens {n_tokens}, codebook_size {codebook_size}, transmissions {transmissions}: "
            "at least 1, 1, 2 and 1 are needed"
        )
    return pixels / (transmissions * n_tokens * math.log2(codebook_size))


def _require_same_shape(sent: np.ndarray, other: np.ndarray) -> None:
    if sent.shape != other.shape:
        raise FrameError(f"tokens of shape {other.shape} cannot be compared with sent tokens of shape {sent.shape}")


def wrong_by_packet(sent: np.ndarray, received: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Tokens of a frame that came out wrong, where they travelled.

    Args:
        sent, received: int (n_tokens,).
        positions: int (n_packets, tokens_per_packet), as from `packets.layout.packet_positions`.

    Returns:
        bool (n_packets, tokens_per_packet), False in slots without a token.
    """
    return (received != sent)[positions] & (positions >= 0)
