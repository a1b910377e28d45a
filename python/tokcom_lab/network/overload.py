"""A relay that is asked for more than it can carry: which packets it drops, and what pictures lose by it."""

import numpy as np

from tokcom.adaptation.predictability import token_bits
from tokcom.packets.layout import SEEDS, packet_positions
from tokcom.protocol.importance import packet_costs
from tokcom.protocol.priority import packet_bits
from tokcom.protocol.relay import RANDOM, SUREST, TAIL
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress
from tokcom_lab.network.simulated import overloaded

SUREST_BY_BITS = "surest by bits"
"""The same queue with classes by surprise alone, not by what a guess costs the picture."""


UNSORTED_TAIL = "tail, unsorted"
"""The latest datagrams are dropped, of a sender that knows no classes: others send the surest of a picture last."""
POLICIES = {SUREST_BY_BITS: SUREST, UNSORTED_TAIL: TAIL}


def importance(material: Material, progress: Progress = lambda done: None) -> dict[str, list[np.ndarray | None]]:
    """float (n_packets,) of each photograph, by what is dropped first: importance of its packets."""
    costs, bits = [], []
    for frame in material.frames:
        positions = packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)
        costs.append(packet_costs(material.filled, frame, positions, material.photographs.pictures[frame.frame_id]))
        bits.append(packet_bits(token_bits(material.prior, frame), positions))
        progress(1)
    unknown = [None] * len(costs)
    return {SUREST: costs, SUREST_BY_BITS: bits, RANDOM: costs, TAIL: costs, UNSORTED_TAIL: unknown}


def overload_rows(
    material: Material, factor: float, seed: int, progress: Progress = lambda done: None
) -> list[dict]:  # fmt: skip
    """By what a relay drops, and "none" without overload: PSNR of the pictures, their lost tokens guessed.

    Args:
        material: what is sent, a few pictures per session.
        factor: demand over what the relay carries.
        seed: of random dropping.
        progress: called with the number of frames done since the last call.

    Returns:
        drop, psnr_db, lost_db (against "none"), packets_lost (share), undecodable (share).
    """
    whole = np.array([material.psnr_db(frame) for frame in material.frames])
    rows = [{"drop": "none", "psnr_db": float(whole.mean()), "lost_db": 0.0, "packets_lost": 0.0, "undecodable": 0.0}]
    for drop, scores in importance(material, progress).items():
        got = overloaded(material, scores, factor, POLICIES.get(drop, drop), seed)
        psnr, lost = [], []
        for frame in material.frames:
            progress(1)
            received = got.get(frame.frame_id)
            if received is None:
                psnr.append(material.grey_psnr_db(frame.frame_id))
                lost.append(1.0)
            else:
                psnr.append(material.filled_psnr_db(received.frame))
                lost.append(1 - received.packets_ok.mean())
        row = {"drop": drop, "psnr_db": float(np.mean(psnr)), "lost_db": float(whole.mean() - np.mean(psnr))}
        row |= {"packets_lost": float(np.mean(lost)), "undecodable": 1 - len(got) / len(material.frames)}
        rows.append(row)
    return rows
