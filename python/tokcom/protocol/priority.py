"""Classes of packets by how well they can be guessed, and the code points that routers sort by."""

import numpy as np

from tokcom.errors import ParameterError

CLASSES = 3
"""Classes of a frame's packets, of equal size."""
DSCP = {0: 34, 1: 36, 2: 38, 3: 38}
"""Differentiated services code point by class: AF41, AF42, AF43 (RFC 2597), of one queue and rising drop precedence."""


def classes_of(bits: np.ndarray) -> np.ndarray:
    """uint8 (n_packets,): class of each packet of a frame, in thirds; 0 for those hardest to guess.

    Args:
        bits: float (n_packets,), surprise of each packet's tokens (`adaptation.predictability`), in bits; or what it
            costs to guess them, in any measure.
    """
    order = np.argsort(-np.asarray(bits, float), kind="stable")
    classes = np.empty(len(order), np.uint8)
    classes[order] = np.arange(len(order)) * CLASSES // max(len(order), 1)
    return classes


def packet_bits(token_bits: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float64 (n_packets,): surprise of packets, in bits.

    Args:
        token_bits: float (n_tokens,), of each token of the frame.
        positions: int (n_packets, tokens_per_packet), from `packets.layout.packet_positions`.
    """
    return np.where(positions < 0, 0.0, np.asarray(token_bits, float)[positions]).sum(axis=1)


def kept_packets(bits: np.ndarray, budget: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """bool (n_packets,): which packets are sent where not all may be.

    Args:
        bits: float (n_packets,), surprise of each packet.
        budget: packets that may be sent, at least 0.
        rng: drops at random; None: the surest are dropped.

    Raises:
        ParameterError: the budget is below 0.
    """
    if budget < 0:
        raise ParameterError(f"budget is {budget}; it must be at least 0")
    order = np.argsort(-np.asarray(bits, float), kind="stable") if rng is None else rng.permutation(len(bits))
    kept = np.zeros(len(bits), bool)
    kept[order[:budget]] = True
    return kept


def traffic_class(priority: int) -> int:
    """The octet of IP that carries a class's DSCP."""
    return DSCP[priority] << 2
