"""What must never stop the receiver: headers made to fool it, and hours of a channel with every fault."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import numpy as np

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.errors import HeaderError
from tokcom.frame import TokenFrame
from tokcom.link.bursts import Receiver, Reception, TransmitConfig, Transmitter
from tokcom.packets.header import BASE_BITS, CRC, FIELDS, FRAME_IDS, VERSIONS, HeaderBase, extension_length
from tokcom.packets.layout import pack, packet_layout
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
"""Least and greatest number of silent samples ahead of a burst: 100,000 bursts make an hour."""
RECENT = 64
"""Frames that are kept to look at what arrived of them: a burst is never so late."""
SETTLED = 0.1
"""Share of a soak after which memory counts as settled."""


def random_headers(count: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> dict[str, int]:
    """Parse random headers whose CRCs hold, half of them of the version and without reserved bits.

    Args:
        count: headers to parse.
        seed: seed of their bits.
        progress: called with the number of headers done since the last call.

    Returns:
        How many were refused, by kind, and how many announce a burst that could be.
    """
    rng = np.random.default_rng(seed)
    result = {"headers": count, "usable": 0, "version": 0, "contents": 0, "extension": 0}
    first = FIELDS["version"] + FIELDS["flags"]
    for start in range(0, count, 4096):
        size = min(4096, count - start)
        fields = rng.integers(0, 2, (size, BASE_BITS - CRC.width), dtype=np.uint8)
        fields[::2, :first] = [int(bit) for bit in f"{VERSIONS[0]:0{FIELDS['version']}b}" + "0" * FIELDS["flags"]]
        for bits in CRC.append(fields):
            result[_parse(bits, rng)] += 1
        progress(size)
    return result


def _parse(bits: np.ndarray, rng: np.random.Generator) -> str:
    try:
        base = HeaderBase.from_bits(bits)
    except HeaderError as error:
        return error.kind
    extension = None
    if base.extension_bytes:
        length = extension_length(base.extension_bytes) - CRC.width
        extension = CRC.append(rng.integers(0, 2, (1, length), dtype=np.uint8))[0]
    try:
        plan_burst(base.header(extension), profile("standard"))
    except HeaderError:
        return "extension" if base.extension_bytes else "contents"
    return "usable"


def soak(
    bursts: int, seed: int, progress: Callable[[int], None] = lambda done: None, *, air: bool = False
) -> dict:  # fmt: skip
    """Send bursts of random length, MCS and profile through a channel with every fault.

    Args:
        bursts: bursts to send.
        seed: seed of everything.
        progress: called with the number of bursts done since the last call.
        air: late echoes, fading at walking pace, tones, impulses, lost samples and collisions ahead of the channel.

    Returns:
        Simulated seconds, bursts received, share of their packets lost, packets whose CRC held though they are wrong,
        the receiver's counters, and its memory in MB at a tenth of the run and at its end.
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
    """Packets whose CRC held and whose tokens are not those of the frame that was sent; None: there was none."""
    header = reception.header
    if sent is None or len(sent.tokens) != header.n_tokens:
        return int(reception.packets_ok.sum())
    layout = packet_layout(header.n_tokens, header.tokens_per_packet, header.layout_seed)
    same = (pack(reception.frame.tokens, layout) == pack(sent.tokens, layout)).all(axis=1)
    return int((reception.packets_ok & ~same).sum())


def _bursts(count: int, seed: int) -> Iterator[tuple[TokenFrame | None, np.ndarray]]:
    """Frames, and their bursts of random length, MCS and profile, each after a gap; last, what brings the end of the
    last one out."""
    rng = np.random.default_rng(seed)
    senders = [Transmitter(TransmitConfig(profile=name)) for name in ("standard", "standard", "standard", "robust")]
    for burst in range(count):
        tokens = rng.integers(0, CODEBOOK.size, int(rng.integers(4, 260)), dtype=np.int32)
        frame = TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, frame_id=burst)
        mcs = np.full(-(-len(tokens) // 4), rng.integers(0, 7), np.uint8)
        samples = senders[burst % len(senders)].transmit(frame, burst & 0xFFFF, mcs)
        yield frame, np.concatenate([np.zeros(rng.integers(*GAPS), np.complex64), samples])
    yield None, np.zeros(2 * GAPS[1], np.complex64)
