"""A relay that is asked for more than it can carry: which packets it drops, and what pictures lose by it."""

import numpy as np

from tokcom.adaptation.predictability import token_bits
from tokcom.packets.layout import SEEDS, packet_positions
from tokcom.protocol.priority import packet_bits
from tokcom.protocol.relay import DROPS
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress
from tokcom_lab.network.simulated import overloaded


def surprise(material: Material, progress: Progress = lambda done: None) -> list[np.ndarray]:
    """float (n_packets,) of each photograph: surprise of its packets, in bits."""
    found = []
    for frame in material.frames:
        positions = packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)
        found.append(packet_bits(token_bits(material.prior, frame), positions))
        progress(1)
    return found


def overload_rows(
    material: Material, factor: float, seed: int, progress: Progress = lambda done: None
) -> list[dict]:  # fmt: skip
    """By what a relay drops, and "none" without overload: PSNR of the pictures, their lost tokens guessed.

    Args:
        material: what is sent, each picture a session of its own.
        factor: demand over what the relay carries.
        seed: of random dropping.
        progress: called with the number of frames done since the last call.

    Returns:
        drop, psnr_db, lost_db (against "none"), packets_lost (share), undecodable (share).
    """
    bits = surprise(material, progress)
    whole = np.array([material.psnr_db(frame) for frame in material.frames])
    rows = [{"drop": "none", "psnr_db": float(whole.mean()), "lost_db": 0.0, "packets_lost": 0.0, "undecodable": 0.0}]
    for drop in DROPS:
        got = overloaded(material, bits, factor, drop, seed)
        psnr, lost = [], []
        for frame in material.frames:
            progress(1)
            received = got.get(frame.frame_id)
            if received is None:
                psnr.append(material.grey_psnr_db(frame.frame_id))
                lost.append(1.0)
            else:
                psnr.append(material.guessed_psnr_db(received.frame))
                lost.append(1 - received.packets_ok.mean())
        rows.append(
            {
                "drop": drop, "psnr_db": float(np.mean(psnr)), "lost_db": float(whole.mean() - np.mean(psnr)),
                "packets_lost": float(np.mean(lost)),
                "undecodable": 1 - len(got) / len(material.frames),
            }
        )  # fmt: skip
    return rows
