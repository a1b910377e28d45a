"""Makes the recordings in this folder: bursts of random tokens through a noisy channel, and what they held.

One for each version of the header, so that later receivers are held to it: `./run exec python tests/vectors/make.py`.
The channel is plain NumPy, on purpose not the library's.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sigmf import SigMFFile

from tokcom.frame import TokenFrame
from tokcom.link.bursts import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.header import MCS_NOT_SENT, VERSIONS, two_groups
from tokcom.packets.labels import CONTEXTUAL, NATURAL, SEMANTIC, TokenLabels
from tokcom.packets.layout import packet_layout

FOLDER = Path(__file__).parent
LABELS_OF_VERSIONS = dict(zip(VERSIONS, (NATURAL, NATURAL, SEMANTIC, CONTEXTUAL), strict=True))
LABELS = {
    kind: TokenLabels(np.random.default_rng(1024 + i).permutation(1024))
    for i, kind in enumerate((SEMANTIC, CONTEXTUAL))
}
CODEBOOK = Codebook("vector-1024", 1024, labels=LABELS)
SAMPLE_RATE = 1e6
ESN0_DB = {1: 15.0, 2: 35.0, 3: 35.0, 4: 35.0}
"""By version: the first knows no 256-QAM."""
SILENCE = 3000
PATHS = {0: 1.0, 2: 0.25j, 5: -0.12 + 0.05j}
"""Delay in samples, and gain."""
PEAK = 8.0
"""Largest sample, relative to a burst's mean amplitude, that the recording can hold."""


@dataclass(frozen=True)
class Sent:
    """One burst, and the channel that it goes through: frequency offset in rad/sample and amplitude."""

    config: TransmitConfig
    frame: TokenFrame
    seed: int
    cfo: float
    amplitude: float
    mcs: np.ndarray | None = None

    def samples(self) -> np.ndarray:
        return Transmitter(self.config, [CODEBOOK]).transmit(self.frame, self.seed, self.mcs)

    def received_tokens(self) -> list[int]:
        """Its tokens, -1 where their packet is not sent."""
        tokens = self.frame.tokens.copy()
        if self.mcs is not None:
            layout = packet_layout(len(tokens), self.config.tokens_per_packet, self.seed)
            missing = layout[self.mcs == MCS_NOT_SENT]
            tokens[missing[missing >= 0]] = -1
        return tokens.tolist()


def bursts(version: int, rng: np.random.Generator) -> list[Sent]:
    """What is sent."""
    plain = version == 1

    def frame(n_tokens: int, grid: tuple[int, ...], cmi: int | None, frame_id: int) -> TokenFrame:
        tokens = rng.integers(0, CODEBOOK.size, n_tokens)
        return TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, grid, CODEBOOK.modality, cmi, frame_id)

    mixed = np.array([0, 3, 12, 8, MCS_NOT_SENT, 14, 13, 11, 2, 5, 6, 13], np.uint8)
    if plain:
        mixed = np.where((mixed > 11) & (mixed != MCS_NOT_SENT), mixed - 6, mixed)

    def config(mcs: str | int, per_packet: int, profile: str, stream_id: int) -> TransmitConfig:
        return TransmitConfig(mcs, per_packet, profile, stream_id, LABELS_OF_VERSIONS[version])

    return [
        Sent(
            config(8, 4, "standard", 5),
            frame(64, (8, 8), 42, 1),
            11,
            0.02,
            1.0,
            None if plain else two_groups(8, 20, 16),
        ),
        Sent(config("16qam-1/2", 3, "standard", 0), frame(35, (35,), None, 2), 12, -0.013, 0.7, mixed),
        Sent(
            config("bpsk-1/2" if plain else "256qam-1/1", 4, "robust", 63),
            frame(24, (4, 6), 4094, 0xFFFFF),
            0xFFFF,
            0.009,
            1.2,
        ),
        Sent(config("qpsk-1/2", 4, "standard", 7), frame(48, (6, 8), None, 3), 5, 0.0, 1.0),
    ]


def channel(sent: list[Sent], esn0_db: float, rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Samples, and where each burst begins in them."""
    pieces, starts, length = [np.zeros(SILENCE, complex)], [], SILENCE
    for burst in sent:
        starts.append(length)
        samples = burst.samples()
        faded = np.zeros(len(samples) + SILENCE, complex)
        for delay, gain in PATHS.items():
            faded[delay : delay + len(samples)] += gain * samples
        turn = np.exp(1j * (burst.cfo * np.arange(len(faded)) + rng.uniform(0, 2 * np.pi)))
        pieces.append(burst.amplitude * faded * turn)
        length += len(faded)
    signal = np.concatenate(pieces)
    # A burst's unit power is on 52 of 64 carriers.
    variance = 64 / 52 * 10 ** (-esn0_db / 10)
    noise = rng.standard_normal((len(signal), 2)) @ [1, 1j]
    return signal + noise * np.sqrt(variance / 2), starts


def expected(burst: Sent, start: int) -> dict:
    """What a receiver should find."""
    n_packets = -(-len(burst.frame.tokens) // burst.config.tokens_per_packet)
    mcs = Transmitter(burst.config, [CODEBOOK]).choose_mcs(n_packets) if burst.mcs is None else burst.mcs
    header = Transmitter(burst.config, [CODEBOOK]).header(burst.frame, burst.seed, mcs, burst.config.tokens_per_packet)
    fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
    return {
        "start": start,
        "profile": burst.config.profile,
        "cfo": burst.cfo,
        "header": fields | {"mcs": header.mcs.tolist()},
        "tokens": burst.received_tokens(),
    }


def make(version: int) -> None:
    """Write the recording of a version of the header, and what it holds."""
    name, kind = f"air-interface-{version}", LABELS_OF_VERSIONS[version]
    rng = np.random.default_rng(20_25)
    sent = bursts(version, rng)
    samples, starts = channel(sent, ESN0_DB[version], rng)
    scaled = np.round(samples / PEAK * 32768).astype(complex)
    values = np.stack([scaled.real, scaled.imag], axis=1).clip(-32768, 32767).astype("<i2")
    data = values.tobytes()
    (FOLDER / f"{name}.sigmf-data").write_bytes(data)
    metadata = {
        "global": {
            "core:datatype": "ci16_le",
            "core:sample_rate": SAMPLE_RATE,
            "core:description": f"Bursts of air interface version {version}, made by tests/vectors/make.py",
            "core:sha512": hashlib.sha512(data).hexdigest(),
        },
        "captures": [{"core:sample_start": 0}, {"core:sample_start": starts[2] - SILENCE // 2}],
        "annotations": [],
    }
    file = SigMFFile(metadata=metadata)
    file.validate()
    file.tofile(FOLDER / name, overwrite=True)
    found = [expected(burst, start) for burst, start in zip(sent, starts, strict=True)]
    codebook = {"name": CODEBOOK.name, "size": CODEBOOK.size}
    if kind != NATURAL:
        codebook |= {"labels": CODEBOOK.labels[kind].of_tokens.tolist()}
    content = {"codebook": codebook, "bursts": found}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for version in VERSIONS:
        make(version)
