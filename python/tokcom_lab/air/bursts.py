"""Sent bursts, and the outcome of each at a receiver."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver, Reception
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom.packets.codebook import Codebook
from tokcom.packets.header import BurstHeader
from tokcom.packets.layout import pack, packet_layout
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.phy.profile import Profile, profile
from tokcom_lab.photographs import load_photographs

CODEBOOK = Codebook("random", 1024)
TOKENS_PER_PACKET = 4
AHEAD = (600, 700)
"""Smallest and largest number of samples before a burst."""
BEHIND = 1200
CHUNK = 8192
"""Samples passed to the receiver at a time."""


@dataclass(frozen=True)
class SentBurst:
    """Burst as sent.

    Attributes:
        frame: its frame.
        header: its header.
        profile: profile of its preamble.
        packets: int32 (n_packets, tokens_per_packet), its tokens by packet.
        samples: complex64, of unit mean power.
    """

    frame: TokenFrame
    header: BurstHeader
    profile: Profile
    packets: np.ndarray
    samples: np.ndarray


def send(frame: TokenFrame, mcs: str, profile_name: str = "standard") -> SentBurst:
    """Modulate a frame to a burst, all packets with one MCS."""
    transmitter = Transmitter(TransmitConfig(mcs, TOKENS_PER_PACKET, profile_name), [CODEBOOK])
    seed = frame.frame_id
    packets = transmitter.packetize(frame, seed)
    header = transmitter.header(frame, seed, transmitter.choose_mcs(len(packets)), TOKENS_PER_PACKET)
    return SentBurst(frame, header, profile(profile_name), packets, transmitter.transmit(frame, seed))


def random_burst(
    rng: np.random.Generator, number: int, mcs: str, packets: int = 64, profile_name: str = "standard"
) -> SentBurst:
    """Make a burst of packets of four random tokens, with a random label."""
    tokens = rng.integers(0, CODEBOOK.size, TOKENS_PER_PACKET * packets, dtype=np.int32)
    frame = TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, cmi=int(rng.integers(4000)), frame_id=number)
    return send(frame, mcs, profile_name)


@dataclass(frozen=True)
class Album:
    """Photographs as tokens.

    Attributes:
        tokens: int32 (n, rows, columns).
        labels: class of each; None if unknown.
        codebook: codebook of the tokens.
        source: origin of the photographs.
    """

    tokens: np.ndarray
    labels: tuple[int | None, ...]
    codebook: Codebook
    source: str

    def frame(self, number: int) -> TokenFrame:
        """Make frame `number` of photograph `number` modulo their count."""
        index = number % len(self.tokens)
        tokens = self.tokens[index]
        words = self.codebook
        return TokenFrame(
            tokens.ravel(), words.name, words.size, tokens.shape, words.modality, self.labels[index], number
        )


@lru_cache(maxsize=2)
def album(data: Path | None, count: int, model: str, seed: int) -> Album:
    """Tokenize photographs by a model's encoder alone: a search would not change what is tested here.

    Args:
        data: photographs, as for `load_photographs`.
        count: number of photographs.
        model: name or folder of the model.
        seed: seed of the choice.
    """
    tokenizer, classifier = load_tokenizer(model), load_classifier(model)
    photographs = load_photographs(data, count, tokenizer.image_size, classifier, seed)
    nearest = load_tokenizer(model, visits=0)
    tokens = np.concatenate(
        [nearest.encode(photographs.pictures[i : i + 16]) for i in range(0, len(photographs.pictures), 16)]
    )
    labels = tuple(
        classifier.label(picture) if label is None else label
        for picture, label in zip(photographs.pictures, photographs.labels, strict=True)
    )
    return Album(tokens.astype(np.int32), labels, codebook(model), photographs.source)


def noise_power(esn0_db: float) -> float:
    """Compute the noise variance per sample at an Es/N0 in dB, for bursts of unit mean power."""
    return 10 ** (-(esn0_db - ESN0_OVER_SNR_DB) / 10)


def placed(sent: SentBurst, rng: np.random.Generator, extra: int = 0) -> tuple[np.ndarray, int]:
    """Place a burst in silence with `extra` more samples after it; return the samples, complex128, and its start."""
    start = int(rng.integers(*AHEAD))
    return np.pad(sent.samples.astype(np.complex128), (start, BEHIND + extra)), start


def receive(receiver: Receiver, samples: np.ndarray) -> list[Reception]:
    """Pass samples to a receiver piece by piece, and return its receptions."""
    whole = np.ascontiguousarray(samples, np.complex64)
    return [each for i in range(0, len(whole), CHUNK) for each in receiver.receive(whole[i : i + CHUNK])]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a burst.

    Attributes:
        found: whether its header was received.
        accepted: bool (n_packets,), packets accepted by the receiver.
        matching: bool (n_packets,), packets with the tokens that were sent, accepted or not.
    """

    found: bool
    accepted: np.ndarray
    matching: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Packets accepted and correct, bool (n_packets,)."""
        return self.accepted & self.matching

    @property
    def wrong(self) -> np.ndarray:
        """Packets accepted although wrong, bool (n_packets,)."""
        return self.accepted & ~self.matching


COUNTED = ("bursts", "found", "sent", "lost", "wrong", "lost_genie")
"""Keys of `tally`'s counts: bursts in the first two, packets in the others."""


def tally(counts: dict[str, int], result: Outcome, right_by_genie: np.ndarray) -> None:
    """Add to counts of `COUNTED` a burst's outcome, and the packets that the genie decoded, bool (n_packets,)."""
    counts["bursts"] += 1
    counts["found"] += int(result.found)
    counts["sent"] += len(result.right)
    counts["lost"] += int((~result.right).sum())
    counts["wrong"] += int(result.wrong.sum())
    counts["lost_genie"] += int((~right_by_genie).sum())


def outcome(sent: SentBurst, receptions: Sequence[Reception]) -> Outcome:
    """Determine the outcome of a burst: from the recovered frame if the receiver recovers, else from the CRCs."""
    for reception in receptions:
        header = reception.header
        same = (header.stream_id, header.frame_id, header.codebook_id) == (
            sent.header.stream_id, sent.header.frame_id, sent.header.codebook_id
        )  # fmt: skip
        if not same or header.n_tokens != sent.header.n_tokens:
            continue
        recovered = reception.recovered
        frame = reception.frame if recovered is None else recovered.frame
        accepted = reception.packets_ok if recovered is None else recovered.packets_ok
        layout = packet_layout(header.n_tokens, header.tokens_per_packet, sent.header.layout_seed)
        return Outcome(True, accepted, (pack(frame.tokens, layout) == sent.packets).all(axis=1))
    nothing = np.zeros(len(sent.packets), bool)
    return Outcome(False, nothing, nothing)
