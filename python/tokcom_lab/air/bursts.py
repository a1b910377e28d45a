"""Bursts as they are sent, and what a receiver made of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tokcom.frame import TokenFrame
from tokcom.link.bursts import Receiver, Reception, TransmitConfig, Transmitter
from tokcom.models.zoo import codebook, load_classifier, load_tokenizer
from tokcom.packets.codebook import Codebook
from tokcom.packets.header import BurstHeader
from tokcom.packets.layout import pack, packet_layout
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.phy.profile import Profile, profile
from tokcom_lab.photographs import load_photographs

CODEBOOK = Codebook("random", 1024)
TOKENS_PER_PACKET = 4
AHEAD = (600, 700)
"""Least and greatest number of samples ahead of a burst."""
BEHIND = 1200
CHUNK = 8192
"""Samples that the receiver is given at once."""


@dataclass(frozen=True)
class SentBurst:
    """A burst.

    Attributes:
        frame: its tokens.
        header: what it says of itself.
        profile: of its preamble.
        packets: int32 (n_packets, tokens_per_packet), its tokens as they travel.
        samples: complex64, of unit mean power.
    """

    frame: TokenFrame
    header: BurstHeader
    profile: Profile
    packets: np.ndarray
    samples: np.ndarray


def send(frame: TokenFrame, mcs: str, profile_name: str = "standard") -> SentBurst:
    """The burst of a frame, all packets in one MCS."""
    transmitter = Transmitter(TransmitConfig(mcs, TOKENS_PER_PACKET, profile_name), [CODEBOOK])
    seed = frame.frame_id
    packets = transmitter.packetize(frame, seed)
    header = transmitter.header(frame, seed, transmitter.choose_mcs(len(packets)), TOKENS_PER_PACKET)
    return SentBurst(frame, header, profile(profile_name), packets, transmitter.transmit(frame, seed))


def random_burst(
    rng: np.random.Generator, number: int, mcs: str, packets: int = 64, profile_name: str = "standard"
) -> SentBurst:
    """A burst of packets of four random tokens, with a random label."""
    tokens = rng.integers(0, CODEBOOK.size, TOKENS_PER_PACKET * packets, dtype=np.int32)
    frame = TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, cmi=int(rng.integers(4000)), frame_id=number)
    return send(frame, mcs, profile_name)


@dataclass(frozen=True)
class Album:
    """Photographs as tokens.

    Attributes:
        tokens: int32 (n, rows, columns).
        labels: class of each; None where there is none.
        codebook: of the tokens.
        source: where the photographs come from.
    """

    tokens: np.ndarray
    labels: tuple[int | None, ...]
    codebook: Codebook
    source: str

    def frame(self, number: int) -> TokenFrame:
        """Photograph `number`, modulo their count, as frame `number`."""
        index = number % len(self.tokens)
        tokens = self.tokens[index]
        words = self.codebook
        return TokenFrame(
            tokens.ravel(), words.name, words.size, tokens.shape, words.modality, self.labels[index], number
        )


@lru_cache(maxsize=2)
def album(data: Path | None, count: int, model: str, seed: int) -> Album:
    """So many photographs in a model's tokens, each the nearest word: a search would not change what is tested here.

    Args:
        data: as `load_photographs` takes it.
        count: photographs.
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
    """Noise variance of a sample at an Es/N0, where bursts have unit mean power."""
    return 10 ** (-(esn0_db - ESN0_OVER_SNR_DB) / 10)


def placed(sent: SentBurst, rng: np.random.Generator, extra: int = 0) -> tuple[np.ndarray, int]:
    """complex128 samples with the burst in silence, so many more behind it, and where it begins."""
    start = int(rng.integers(*AHEAD))
    return np.pad(sent.samples.astype(np.complex128), (start, BEHIND + extra)), start


def receive(receiver: Receiver, samples: np.ndarray) -> list[Reception]:
    """What a receiver makes of samples, given piece by piece."""
    whole = np.ascontiguousarray(samples, np.complex64)
    return [each for i in range(0, len(whole), CHUNK) for each in receiver.receive(whole[i : i + CHUNK])]


@dataclass(frozen=True)
class Outcome:
    """What became of a burst.

    Attributes:
        found: its header arrived.
        accepted: bool (n_packets,), declared good.
        matching: bool (n_packets,), with the tokens that were sent, declared good or not.
    """

    found: bool
    accepted: np.ndarray
    matching: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """bool (n_packets,): declared good, and it is."""
        return self.accepted & self.matching

    @property
    def wrong(self) -> np.ndarray:
        """bool (n_packets,): declared good, and it is not."""
        return self.accepted & ~self.matching


COUNTED = ("bursts", "found", "sent", "lost", "wrong", "lost_genie")
"""What `tally` counts; packets, but for the first two."""


def tally(counts: dict[str, int], result: Outcome, right_by_genie: np.ndarray) -> None:
    """Add a burst to counts of `COUNTED`: what became of it, and which packets, bool (n_packets,), the genie got."""
    counts["bursts"] += 1
    counts["found"] += int(result.found)
    counts["sent"] += len(result.right)
    counts["lost"] += int((~result.right).sum())
    counts["wrong"] += int(result.wrong.sum())
    counts["lost_genie"] += int((~right_by_genie).sum())


def outcome(sent: SentBurst, receptions: Sequence[Reception]) -> Outcome:
    """What became of a burst: by the recovered frame, where the receiver recovers, else by the CRC."""
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
