"""Stress tests of the receiver: malicious headers, and hours of a channel with every fault."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import numpy as np

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import HeaderError
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver, Reception
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.elements import Element, join
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_base import HeaderBase
from tokcom.packets.header_fields import BASE_BITS, CRC, FIELDS, FRAME_IDS, VERSION, extension_length
from tokcom.packets.labels import LABELS
from tokcom.packets.layout import pack
from tokcom.phy.burst import plan_burst
from tokcom.phy.profile import profile
from tokcom_lab.air.everything import Everything
from tokcom_lab.curves.waveform import CODEBOOK
from tokcom_lab.memory import resident_mb

FAULTS = ChannelSettings(
    snr_db=12.0, cfo_hz=5e3, sfo_ppm=10.0, linewidth_hz=5.0, profile="epa", doppler_hz=5.0, clip_db=8.0,
    iq_gain_db=0.3, iq_phase_deg=2.0, dc_offset=0.05, impulse_rate=20.0, impulse_length=50, impulse_db=20.0,
    gap_rate=5.0, gap_length=300,
)  # fmt: skip
"""Every fault of a cheap radio on a busy computer at once."""
SAMPLE_RATE = 250e3
GAPS = (300, 6500)
"""Smallest and largest number of silent samples before a burst: 100,000 bursts take an hour."""
RECENT = 64
"""Number of sent frames kept for comparison; no burst is later than that."""
SETTLED = 0.1
"""Share of a soak test after which memory counts as settled."""


def random_headers(count: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> dict[str, int]:
    """Parse headers whose CRCs hold: a third of random bits, a third random but of this version with elements in their
    extension, a third valid with some bits flipped.

    Args:
        count: headers to parse.
        seed: seed of their bits.
        progress: called with the number of headers done since the last call.

    Returns:
        Number of headers refused, by kind; number that announce a possible burst; largest number of tokens and of
        packets announced.
    """
    rng = np.random.default_rng(seed)
    result = {"headers": count, "usable": 0, "version": 0, "element": 0, "contents": 0, "tokens": 0, "packets": 0}
    for start in range(0, count, 4096):
        size = min(4096, count - start)
        for number in range(size):
            base, extension = _flipped(rng) if number % 3 == 2 else _random(rng, number % 3 == 1)
            header = _parse(base, extension)
            if isinstance(header, str):
                result[header] += 1
                continue
            result["usable"] += 1
            result["tokens"] = max(result["tokens"], header.n_tokens)
            result["packets"] = max(result["packets"], header.n_packets)
        progress(size)
    return result


def _random(rng: np.random.Generator, known: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw base and extension at random, without their CRCs; with `known`, of this version, with or without an
    extension of elements."""
    base = rng.integers(0, 2, BASE_BITS - CRC.width, dtype=np.uint8)
    if known:
        base[: FIELDS["version"]] = [int(bit) for bit in f"{VERSION:0{FIELDS['version']}b}"]
        base[-FIELDS["extension_symbols"] :] *= rng.integers(0, 2, dtype=np.uint8)
    symbols = int("".join(map(str, base[-FIELDS["extension_symbols"] :])), 2)
    room = extension_length(symbols) // 8 - CRC.width // 8 if symbols > 1 else 0
    elements = b""
    for number in sorted(set(rng.integers(1, 8, rng.integers(0, 4)).tolist())) if known else ():
        element = Element(number, rng.bytes(int(rng.integers(0, 9))), optional=bool(rng.integers(0, 2)) and number > 3)
        elements += join([element]) if len(elements) + 11 < room else b""
    filled = elements.ljust(room, b"\0") if known else rng.bytes(room)
    return base, np.unpackbits(np.frombuffer(filled, np.uint8))


def _flipped(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw base and extension of a valid header with up to three bits flipped, without their CRCs."""
    grid = tuple(int(side) for side in rng.integers(1, 11, rng.integers(1, 4)))
    per_packet = int(rng.integers(1, 65))
    n_packets = -(-int(np.prod(grid)) // per_packet)
    mcs = rng.integers(0, 16, 3)[np.sort(rng.integers(0, 3, n_packets))]
    numbers = (int(rng.integers(1 << FIELDS[name])) for name in ("stream_id", "frame_id", "codebook_id"))
    labels = LABELS[rng.integers(len(LABELS))]
    header = BurstHeader(*numbers, grid, per_packet, int(rng.integers(1, 19)), mcs, None, labels=labels)
    base, extension = (bits[: -CRC.width].copy() for bits in header.to_bits())
    for _ in range(rng.integers(0, 4)):
        part = extension if extension.size and rng.integers(0, 2) else base
        part[rng.integers(part.size)] ^= 1
    return base, extension


def _parse(base: np.ndarray, extension: np.ndarray) -> BurstHeader | str:
    """Parse bits without CRCs to a header, or return the reason for which it was refused."""
    try:
        parsed = HeaderBase.from_bits(CRC.append(base[None])[0])
        length = extension_length(parsed.extension_symbols)
        sent = CRC.append(np.resize(extension, length - CRC.width)[None])[0] if length else None
        header = parsed.header(sent)
        plan_burst(header, profile("standard"))
    except HeaderError as error:
        return error.kind
    return header


def soak(
    bursts: int, seed: int, progress: Callable[[int], None] = lambda done: None, *, air: bool = False
) -> dict:  # fmt: skip
    """Send bursts of random length, MCS and profile through a channel with every fault.

    Args:
        bursts: bursts to send.
        seed: seed of everything.
        progress: called with the number of bursts done since the last call.
        air: add late echoes, fading at walking pace, tones, impulses, lost samples and collisions before the channel.

    Returns:
        Simulated seconds, bursts received, share of their packets lost, packets whose CRC held although they were
        wrong, the receiver's counters, and its memory in MB after a tenth of the run and at its end.
    """
    channel, receiver = ChannelModel(FAULTS, SAMPLE_RATE, seed), Receiver([CODEBOOK])
    unkind = Everything(seed) if air else lambda samples: samples
    received = packets = lost = wrong = sent_samples = 0
    memory, recent = resident_mb(), {}
    for burst, (frame, stream) in enumerate(_bursts(bursts, seed)):
        sent_samples += len(stream)
        recent[burst % FRAME_IDS] = frame
        recent.pop((burst - RECENT) % FRAME_IDS, None)
        for reception in receiver.receive(channel.process(unkind(stream))):
            received += 1
            packets += len(reception.packets_ok)
            lost += int((~reception.packets_ok).sum())
            wrong += _wrong(reception, recent.get(reception.header.frame_id))
        if burst == int(SETTLED * bursts):
            memory = resident_mb()
        progress(burst < bursts)
    return {
        "bursts": bursts,
        "simulated_seconds": round(sent_samples / SAMPLE_RATE, 1),
        "received": received,
        "per": round(lost / max(packets, 1), 4),
        "wrong": wrong,
        "unusable": receiver.unusable,
        "counters": asdict(receiver.searcher.counters),
        "rss_mb_settled": round(memory, 1),
        "rss_mb_end": round(resident_mb(), 1),
    }


def _wrong(reception: Reception, sent: TokenFrame | None) -> int:
    """Count packets whose CRC held although their tokens are not those of the frame sent; None if no frame was sent."""
    header = reception.header
    if sent is None or len(sent.tokens) != header.n_tokens:
        return int(reception.packets_ok.sum())
    layout = header.positions()
    same = (pack(reception.frame.tokens, layout) == pack(sent.tokens, layout)).all(axis=1)
    return int((reception.packets_ok & ~same).sum())


def _bursts(count: int, seed: int) -> Iterator[tuple[TokenFrame | None, np.ndarray]]:
    """Yield frames and their bursts of random length, MCS and profile, each after a gap, and at the end samples that
    flush the last one."""
    rng = np.random.default_rng(seed)
    senders = [Transmitter(TransmitConfig(profile=name)) for name in ("standard", "standard", "standard", "robust")]
    for burst in range(count):
        tokens = rng.integers(0, CODEBOOK.size, int(rng.integers(4, 260)), dtype=np.int32)
        frame = TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, frame_id=burst)
        mcs = np.full(-(-len(tokens) // 4), rng.integers(0, 7), np.uint8)
        samples = senders[burst % len(senders)].transmit(frame, burst, mcs)
        yield frame, np.concatenate([np.zeros(rng.integers(*GAPS), np.complex64), samples])
    yield None, np.zeros(2 * GAPS[1], np.complex64)
