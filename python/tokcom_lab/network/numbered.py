"""Packets without index through the whole protocol, over a path that shuffles the datagrams of several pictures."""

from dataclasses import replace

import numpy as np

from tokcom.frame import LOST, TokenFrame
from tokcom.packets.layout import PADDING, SEEDS, packet_positions
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.path import PathSettings
from tokcom.protocol.unordered import placed
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress
from tokcom_lab.network.simulated import INTERVAL_S, send_all

DELAY_S, JITTER_S = 0.02, 2.5 * INTERVAL_S
"""Delay of every datagram, and mean of the exponential jitter that comes on top."""
PATIENCE_S = 1.0
"""Wait for late datagrams; less than one in ten thousand is later."""


def numbered_row(
    material: Material, section: int, loss: float, burst: float, lost_before: float, seed: int,
    progress: Progress = lambda done: None,
) -> dict:  # fmt: skip
    """Send pictures without index from a `Sender` to a `Receiver` that waits for late datagrams, and place what came.

    Args:
        material: what is sent; the first picture only establishes the session.
        section: packets of a picture in a datagram.
        loss, burst: share of datagrams lost, and mean number lost in a row.
        lost_before: share of packets that are lost before the sender, as on a radio link ahead of the network.
        seed: of the path, and of losses ahead of it.
        progress: called with the number of frames done since the last call.

    Returns:
        section, loss, burst, lost_before, frames (delivered), come (packets, as a share of those sent), asked (share of
        the frames for which the model was asked), unplaced (share of the packets that came that got no place),
        misplaced (share of them whose place holds other tokens in the end than were sent there), overhead_bytes (per
        packet sent, in the datagrams).
    """
    rng = np.random.default_rng(seed)
    frames = [_thinned(frame, lost_before, rng) for frame in material.frames]
    path, wait = PathSettings(loss, burst, DELAY_S, JITTER_S), WaitSettings(PATIENCE_S, PATIENCE_S, PATIENCE_S)
    got, sender, _ = send_all(
        replace(material, frames=frames), path, PathSettings(delay_s=DELAY_S), "none", seed, wait=wait,
        indexed="none", section_packets=section, tokens_per_packet=TOKENS_PER_PACKET,
    )  # fmt: skip
    come = here = wrong = asked = 0
    for number, (_, received) in got.items():
        progress(1)
        found, sent, places = placed(received, material.prior).tokens, frames[number].tokens, received.positions
        full = ((found[places] != LOST) | (places == PADDING)).all(axis=1)
        wrong += np.count_nonzero(full & (found[places] != sent[places]).any(axis=1))
        here, come, asked = here + np.count_nonzero(full), come + received.come, asked + (received.unplaced is not None)
    counters, content = sender.counters, -(-TOKENS_PER_PACKET * (frames[0].codebook_size - 1).bit_length() // 8)
    offered = sum(_packets(frame) for frame in frames[1:])
    return {
        "section": section, "loss": loss, "burst": burst, "lost_before": lost_before, "frames": len(got),
        "come": come / offered, "asked": asked / len(got), "unplaced": 1 - here / come, "misplaced": wrong / come,
        "overhead_bytes": counters.bytes / counters.packets - content,
    }  # fmt: skip


def _positions(frame: TokenFrame) -> np.ndarray:
    return packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)


def _packets(frame: TokenFrame) -> int:
    """Number of packets without a lost token."""
    positions = _positions(frame)
    return int(((frame.tokens[positions] != LOST) | (positions == PADDING)).all(axis=1).sum())


def _thinned(frame: TokenFrame, share: float, rng: np.random.Generator) -> TokenFrame:
    """A frame without the tokens of a share of its packets."""
    positions = _positions(frame)
    gone = positions[rng.random(len(positions)) < share]
    tokens = frame.tokens.copy()
    tokens[gone[gone != PADDING]] = LOST
    return frame.with_tokens(tokens)
