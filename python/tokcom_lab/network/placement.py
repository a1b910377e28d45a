"""Packets without index and without numbers: how many the model alone puts into the wrong place."""

import numpy as np

from tokcom.frame import LOST
from tokcom.packets.layout import SEEDS, packet_positions
from tokcom.protocol.in_order import Order
from tokcom.protocol.unordered import Placement, windows
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress


def unordered_row(
    material: Material, window: int, indexed: int, seed: int, progress: Progress = lambda done: None
) -> dict:  # fmt: skip
    """Frames whose packets come in any order within windows.

    Args:
        material: what is sent.
        window: packets within which the order is lost.
        indexed: of a frame's packets, how many travel with their index all the same, drawn at random; 0 where the
            window is not the whole frame.
        seed: of the orders.
        progress: called with the number of frames done since the last call.

    Returns:
        window, indexed, frames, misplaced: share of the packets without index whose place holds other tokens in the
        end than were sent there.
    """
    wrong = total = 0
    for frame in material.frames:
        progress(1)
        rng = np.random.default_rng([seed, frame.frame_id])
        positions = packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)
        n_packets = len(positions)
        outline = frame.with_tokens(np.full(len(frame.tokens), LOST))
        known = outline.tokens.copy()
        if window < n_packets:
            order = np.concatenate(
                [start + rng.permutation(min(window, n_packets - start)) for start in range(0, n_packets, window)]
            )
        else:
            order = rng.permutation(n_packets)
        told, order = order[:indexed], order[indexed:]
        known[positions[told]] = frame.tokens[positions[told]]
        packets, allowed = frame.tokens[positions[order]], windows(len(order), n_packets, window)
        if indexed:
            allowed = np.ones((len(order), n_packets), bool)
            allowed[:, told] = False
        place = Placement(material.prior, outline, positions).place(packets, allowed, known)
        wrong += int((frame.tokens[positions[place]] != packets).any(axis=1).sum())
        total += len(order)
    return {"window": window, "indexed": indexed, "frames": len(material.frames), "misplaced": wrong / total}


def ordered_row(
    material: Material, section: int, loss: float, seed: int, progress: Progress = lambda done: None
) -> dict:  # fmt: skip
    """Frames whose packets come in their order, without any hint of how many were lost between them.

    Args:
        material: what is sent.
        section: packets that come or are lost together.
        loss: probability that they are lost.
        seed: of the losses.
        progress: called with the number of frames done since the last call.

    Returns:
        section, loss, frames, misplaced: share of the packets that came whose place holds other tokens in the end than
        were sent there.
    """
    wrong = total = 0
    for frame in material.frames:
        progress(1)
        rng = np.random.default_rng([seed, frame.frame_id])
        positions = packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)
        rows = np.arange(len(positions))
        sections = [rows[start : start + section] for start in range(0, len(rows), section) if rng.random() >= loss]
        if not sections:
            continue
        came = np.concatenate(sections)
        packets, order = (
            frame.tokens[positions[came]],
            Order(tuple(map(len, sections)), gaps=(None,) * (len(sections) - 1)),
        )
        outline = frame.with_tokens(np.full(len(frame.tokens), LOST))
        place = Placement(material.prior, outline, positions).place_in_order(packets, order, np.ones(len(rows), bool))
        wrong += int((frame.tokens[positions[place]] != packets).any(axis=1).sum())
        total += len(came)
    return {"section": section, "loss": loss, "frames": len(material.frames), "misplaced": wrong / total}
