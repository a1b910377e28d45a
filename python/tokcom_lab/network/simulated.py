"""Photographs sent by the token protocol over simulated paths."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tokcom.packets.codebook import Codebook
from tokcom.protocol.incoming import ReceivedFrame, WaitSettings
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.receiver import Question, Receiver, ReceiverSettings
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.simulation import Simulation
from tokcom_lab.network.material import Material

INTERVAL_S = 0.04
"""From one picture to the next."""
DEADLINE_S = 0.5
SESSIONS, SESSION_PICTURES = 4, 8
"""Sessions at once through an overloaded relay, and pictures of each: a handshake costs a fifth of a picture."""
QUEUE_S = 0.1
"""Capacity of a relay's queue, in seconds of its rate."""


def send_all(
    material: Material, forward: PathSettings, backward: PathSettings, repeats: str, seed: int,
    judge: Callable[[Question], np.ndarray] | None = None, wait: WaitSettings | None = None, **settings: object,
) -> tuple[dict[int, tuple[float, ReceivedFrame]], Sender, Receiver]:  # fmt: skip
    """Send all pictures but the first in one session, INTERVAL_S apart; `wait` is DEADLINE_S unless given.

    Returns:
        For each picture's number, the seconds from its offer to its delivery, and the frame delivered; the sender and
        the receiver.
    """
    sender = Sender(SenderSettings(deadline_s=2.0, **settings))
    books = [Codebook(material.tokenizer.codebook, material.tokenizer.codebook_size)]
    receiver = Receiver(books, ReceiverSettings(repeats, wait or WaitSettings(deadline_s=DEADLINE_S)))
    paths = Path(forward, seed), Path(backward, seed + 1)
    simulation = Simulation({"sender": sender}, receiver, *paths, judge=judge)
    started = 1.0
    # The session is established before the first picture that counts.
    first = material.frames[0]
    simulation.at(0.0, lambda: sender.offer(first.with_tokens(first.tokens), 0.0))
    for number, frame in enumerate(material.frames[1:], 1):
        simulation.at(started + number * INTERVAL_S, lambda frame=frame: sender.offer(frame, simulation.now))
    simulation.run(started + len(material.frames) * INTERVAL_S + 3)
    times = {}
    for each in simulation.deliveries:
        number = each.received.outline.frame_id
        if number:
            times[number] = each.at - started - number * INTERVAL_S, each.received
    return times, sender, receiver


def overloaded(
    material: Material, bits: list[np.ndarray | None], factor: float, drop: str, seed: int
) -> dict[int, ReceivedFrame]:
    """SESSIONS at once, each of SESSION_PICTURES pictures, through a relay that carries 1 / factor of their bytes.

    Args:
        material: what is sent.
        bits: importance of each picture's packets; None: unknown.
        factor: of the overload.
        drop: one of `relay.DROPS`.
        seed: of random dropping.
    """
    block = SESSIONS * SESSION_PICTURES
    session_of = [number // block * SESSIONS + number % SESSIONS for number in range(len(bits))]
    senders = {("host", each): Sender(SenderSettings()) for each in session_of}
    books = [Codebook(material.tokenizer.codebook, material.tokenizer.codebook_size)]
    settings = ReceiverSettings(
        "none", WaitSettings(deadline_s=DEADLINE_S, wait_s=0.2), max_host_sessions=1 << 14, max_sessions=1 << 14
    )
    receiver = Receiver(books, settings)
    picture = _session_bytes(material) / SESSION_PICTURES
    rate = picture / INTERVAL_S / factor
    relay = DropQueue(rate, int(rate * QUEUE_S), drop, picture, seed)
    paths = Path(PathSettings(delay_s=0.01)), Path(PathSettings(delay_s=0.01))
    simulation = Simulation(senders, receiver, *paths, relay=relay)
    for number, (frame, own) in enumerate(zip(material.frames, bits, strict=True)):
        sender = senders["host", session_of[number]]
        simulation.at(
            number * INTERVAL_S, lambda s=sender, f=frame, b=own: s.offer(f, simulation.now, b)
        )  # fmt: skip
    simulation.run(len(material.frames) * INTERVAL_S + 8)
    return {each.received.outline.frame_id: each.received for each in simulation.deliveries}


def _session_bytes(material: Material) -> int:
    """Bytes of a session that nothing is lost of: its handshake and its pictures."""
    sender, receiver, now = Sender(SenderSettings()), Receiver(), 0.0
    total = 0
    for frame in material.frames[:1] * SESSION_PICTURES:
        sender.offer(replace(frame, frame_id=total), now)
        while not sender.finished and now < 5:
            for datagram in sender.poll(now):
                total += len(datagram)
                reply = receiver.receive(datagram, "host", now)
                if reply is not None:
                    sender.receive(reply, now)
            for report, _ in receiver.poll(now):
                sender.receive(report, now)
            now += 0.005
    return total
