"""Your own channel between transmitter and receiver: ./run exec python examples/custom_channel.py

This one is a radio on a turntable: a direct path, and an echo whose phase rotates during the burst. Any function from
complex samples to complex samples will do.
"""

import numpy as np

from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook

SAMPLE_RATE = 1e6
BURSTS = 20


def turntable(
    samples: np.ndarray, echo_db: float, turns_hz: float, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Pass samples through a direct path, an echo six samples later, and noise."""
    turning = np.exp(2j * np.pi * turns_hz * np.arange(len(samples)) / SAMPLE_RATE)
    echo = 10 ** (echo_db / 20) * np.roll(samples, 6) * turning
    noise = rng.normal(size=(2, len(samples))) * 10 ** (-snr_db / 20) / np.sqrt(2)
    return (samples + echo + noise[0] + 1j * noise[1]).astype(np.complex64)


words = Codebook("demo", 1024, "image")
transmitter = Transmitter(TransmitConfig(mcs="qpsk-1/2"))
for echo_db in (-20, -6, -1):
    for turns_hz in (0, 100, 5000):
        rng, found, failed, packets = np.random.default_rng(1), 0, 0, 0
        receiver = Receiver([words])
        for frame_id in range(BURSTS):
            frame = TokenFrame(rng.integers(0, 1024, 256), words.name, words.size, (16, 16), frame_id=frame_id)
            burst = np.pad(transmitter.transmit(frame, layout_seed=frame_id), 400)
            for reception in receiver.receive(turntable(burst, echo_db, turns_hz, 10.0, rng)):
                found += 1
                failed += int((~reception.packets_ok).sum())
                packets += len(reception.packets_ok)
        share = failed / packets if packets else float("nan")
        print(f"echo {echo_db:4d} dB, {turns_hz:4d} turns/s: {found}/{BURSTS} bursts, {share:.3f} of packets fail")
