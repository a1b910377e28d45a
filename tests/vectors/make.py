"""Makes the recordings in this folder: bursts through a noisy channel, and what they held.

Later receivers are held to them: `./run exec python tests/vectors/make.py`. The channel is plain NumPy, on purpose not
the library's.
"""

import hashlib
import json
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sigmf import SigMFFile

from tokcom.frame import BitFrame, Payload, TokenFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.elements import Element
from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import CONTEXTUAL, SEMANTIC, TokenLabels
from tokcom.packets.mcs_map import MCS_NOT_SENT, two_groups
from tokcom.security.keys import Key
from tokcom.security.sealer import Sealer

FOLDER = Path(__file__).parent
LABELS = {
    kind: TokenLabels(np.random.default_rng(1024 + i).permutation(1024))
    for i, kind in enumerate((SEMANTIC, CONTEXTUAL))
}
CODEBOOK = Codebook("vector-1024", 1024, labels=LABELS)
SAMPLE_RATE = 1e6
ESN0_DB = 35.0
SILENCE = 3000
PATHS = {0: 1.0, 2: 0.25j, 5: -0.12 + 0.05j}
"""Delay in samples, and gain."""
SECRET = bytes(range(32))
PEAK = 8.0
"""Largest sample, relative to a burst's mean amplitude, that the recording can hold."""


@dataclass(frozen=True)
class Sent:
    """One burst, and the channel that it goes through: frequency offset in rad/sample and amplitude. `seal` is
    direction and epoch of the key that protects it, and bits of a tag; None: none does."""

    config: TransmitConfig
    frame: Payload
    seed: int
    cfo: float
    amplitude: float
    mcs: np.ndarray | None = None
    elements: bytes = b""
    seal: tuple[int, int, int] | None = None

    def transmitter(self) -> Transmitter:
        if self.seal is None:
            return Transmitter(self.config, [CODEBOOK])
        direction, epoch, tag_bits = self.seal
        with TemporaryDirectory() as folder:
            Path(folder, "epochs").write_text(f"{epoch}\n", encoding="ascii")
            return Transmitter(
                self.config, [CODEBOOK], Sealer(Key(SECRET), Path(folder, "epochs"), direction, tag_bits)
            )

    def sealed(self) -> tuple[BurstHeader, PacketIdentity]:
        transmitter = self.transmitter()
        per_packet = transmitter.per_packet(self.frame)
        mcs = transmitter.choose_mcs(-(-len(self.frame.tokens) // per_packet)) if self.mcs is None else self.mcs
        header = transmitter.header(self.frame, self.seed, mcs, per_packet)
        fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
        return transmitter.sealed(BurstHeader(**fields | {"elements": self.elements}))

    def samples(self) -> np.ndarray:
        transmitter, (header, identity) = self.transmitter(), self.sealed()
        packets = transmitter.packetize(self.frame, self.seed)
        coded = transmitter.coded(self.frame, header.mcs, packets.shape[1])
        return transmitter.modulate(coded.map(coded.encode(packets, identity)), header)

    def received_tokens(self) -> list[int]:
        """Its tokens, -1 where their packet is not sent."""
        tokens, header = self.frame.tokens.copy(), self.sealed()[0]
        missing = header.positions()[header.mcs == MCS_NOT_SENT]
        tokens[missing[missing >= 0]] = -1
        return tokens.tolist()


def common_bursts(rng: np.random.Generator) -> list[Sent]:
    """Frames that the base of their header tells all of, and packets that all have an MCS of their own."""
    config = TransmitConfig
    mixed = np.array([0, 3, 12, 8, MCS_NOT_SENT, 14, 13, 11, 2, 5, 6, 13], np.uint8)
    return [
        Sent(config(8, 4, "standard", 5), a_frame(rng, (8, 8), 42, 1), 11, 0.02, 1.0),
        Sent(config("16qam-1/2", 3, "standard", 0), a_frame(rng, (35,), None, 2), 12, -0.013, 0.7, mixed),
        Sent(config("256qam-1/1", 4, "robust", 63), a_frame(rng, (4, 8), 4094, 0xFFFFF), 1023, 0.009, 1.2),
        Sent(
            config(8, 4, "standard", 5, SEMANTIC), a_frame(rng, (8, 8), None, 3), 14, 0.01, 1.0, two_groups(8, 20, 16)
        ),
        Sent(config("qpsk-1/2", 4, "standard", 7, CONTEXTUAL), a_frame(rng, (48,), 7, 4), 5, 0.0, 1.0),
    ]


def other_bursts(rng: np.random.Generator) -> list[Sent]:
    """Frames of other shapes, layouts and kinds, and one whose header has elements that may be passed over."""
    config = TransmitConfig
    groups = np.repeat([3, 6, 9, MCS_NOT_SENT], [10, 7, 20, 3]).astype(np.uint8)
    unknown = Element(11, b"\x07", True).to_bytes() + Element(200, b"later", True).to_bytes()
    return [
        Sent(config(8, 4, "standard", 5), a_frame(rng, (3, 7, 9), 42, 1), 11, 0.02, 1.0),
        Sent(config(6, 4, layout="importance"), a_frame(rng, (4, 5, 8), None, 2, 4), 0, -0.013, 0.7, groups),
        Sent(config(3, 32, "robust", 63, layout="contiguous"), a_frame(rng, (300,), None, 0xFFFFF), 0, 0.009, 1.2),
        Sent(config(4, bits_per_packet=400), BitFrame(rng.integers(0, 2, 1003), "vector-bits", 3), 0, 0.01, 1.0),
        Sent(config("qpsk-1/2", 4, "standard", 7), a_frame(rng, (6, 8), None, 4), 5, 0.0, 1.0, elements=unknown),
    ]


def sealed_bursts(rng: np.random.Generator) -> list[Sent]:
    """Frames that a key protects."""
    config = TransmitConfig
    mixed = np.array([0, 3, 12, 8, MCS_NOT_SENT, 14, 13, 11, 2, 5, 6, 13], np.uint8)
    return [
        Sent(config(8, 4, "standard", 5), a_frame(rng, (8, 8), 42, 1), 11, 0.02, 1.0, seal=(0, 0, 32)),
        Sent(config(6, 3, "robust", 9), a_frame(rng, (35,), None, 2), 12, -0.013, 0.7, mixed, seal=(1, 700, 32)),
        Sent(config(4, bits_per_packet=400), BitFrame(rng.integers(0, 2, 1003), "vector-bits", 3), 0, 0.01, 1.0,
             seal=(0, 32767, 56)),
        Sent(config(3, 32, layout="contiguous"), a_frame(rng, (300,), None, 0xFFFFF), 0, 0.009, 1.2, seal=(1, 1, 40)),
    ]  # fmt: skip


def a_frame(
    rng: np.random.Generator, grid: tuple[int, ...], cmi: int | None, frame_id: int, quantizers: int = 1
) -> TokenFrame:
    """A frame of random tokens."""
    tokens = rng.integers(0, CODEBOOK.size, int(np.prod(grid)))
    return TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, grid, CODEBOOK.modality, cmi, frame_id, quantizers)


RECORDINGS = {"common": common_bursts, "other": other_bursts, "sealed": sealed_bursts}


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
    header, _ = burst.sealed()
    fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
    return {
        "start": start,
        "profile": burst.config.profile,
        "cfo": burst.cfo,
        "codebook": burst.frame.codebook,
        "header": fields
        | {
            "mcs": header.mcs.tolist(),
            "elements": header.elements.hex(" "),
            "seal": None if header.seal is None else astuple(header.seal),
        },
        "tokens": burst.received_tokens(),
    }


def make(kind: str) -> None:
    """Write a recording, and what it holds."""
    name = f"air-interface-1-{kind}"
    rng = np.random.default_rng(20_25)
    sent = RECORDINGS[kind](rng)
    samples, starts = channel(sent, ESN0_DB, rng)
    scaled = np.round(samples / PEAK * 32768).astype(complex)
    values = np.stack([scaled.real, scaled.imag], axis=1).clip(-32768, 32767).astype("<i2")
    data = values.tobytes()
    (FOLDER / f"{name}.sigmf-data").write_bytes(data)
    metadata = {
        "global": {
            "core:datatype": "ci16_le",
            "core:sample_rate": SAMPLE_RATE,
            "core:description": f"Bursts of air interface version 1, {kind} ones, made by tests/vectors/make.py",
            "core:sha512": hashlib.sha512(data).hexdigest(),
        },
        "captures": [{"core:sample_start": 0}, {"core:sample_start": starts[2] - SILENCE // 2}],
        "annotations": [],
    }
    file = SigMFFile(metadata=metadata)
    file.validate()
    file.tofile(FOLDER / name, overwrite=True)
    found = [expected(burst, start) for burst, start in zip(sent, starts, strict=True)]
    used = {burst.config.labels for burst in sent} & CODEBOOK.labels.keys()
    labels = {each: CODEBOOK.labels[each].of_tokens.tolist() for each in sorted(used)}
    content = {"codebook": {"name": CODEBOOK.name, "size": CODEBOOK.size, "labels": labels}, "bursts": found}
    if kind == "sealed":
        content["secret"] = SECRET.hex()
    (FOLDER / f"{name}.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for recording in RECORDINGS:
        make(recording)
