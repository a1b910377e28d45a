"""A second transmitter, written from docs/air-interface.md alone, against the project's own."""

from dataclasses import dataclass, replace
from hashlib import sha256
from math import gcd, sqrt

import numpy as np
import pytest

from tokcom.frame import TokenFrame
from tokcom.link.bursts import TransmitConfig, Transmitter

NOT_SENT = 15
CARRIERS = np.array([k for k in range(-26, 27) if k])
SPARE = (1 + 1j) / sqrt(2)
SHORT = "+-+--+--++++"
LONG = {
    "standard": "++--++-+-++++++--++-+-+++++--++-+-+-----++--+-+-++++",
    "robust": "-+-++-++-+++---+++++-+++---+-+----+-++--+--++++-+++-",
}
BITS_PER_SYMBOL = (1, 2, 4, 6)
SENT_OF_A_AND_B = (np.array([1, 1]), np.array([1, 1, 1, 0]), np.array([1, 1, 1, 0, 0, 1]))


@dataclass(frozen=True)
class Burst:
    """What a burst says; rows 0 for a line of tokens, class_label None for none, mcs one number for each packet."""

    tokens: np.ndarray
    rows: int
    columns: int
    mcs: np.ndarray
    codebook: str = "caltech64"
    codebook_size: int = 1024
    tokens_per_packet: int = 4
    stream_id: int = 5
    frame_id: int = 1234
    layout_seed: int = 99
    class_label: int | None = 42

    @property
    def token_bits(self):
        return max((self.codebook_size - 1).bit_length(), 1)


def signs(text):
    return np.array([1.0 if sign == "+" else -1.0 for sign in text])


def bits_of(value, width):
    return np.array([value >> place & 1 for place in reversed(range(width))], int)


def number_of(bits):
    return int("".join(map(str, bits)), 2)


def pseudo_random(n):
    b = [1] * 15
    while len(b) < n:
        b.append(b[-15] ^ b[-14])
    return np.array(b[:n])


def crc16(bits):
    register = 0xFFFF
    for bit in bits:
        feedback = register >> 15 ^ bit
        register = register << 1 & 0xFFFF ^ 0x1021 * feedback
    return bits_of(register, 16)


def protect(bits, *generators, ahead=()):
    """CRC, six zero bits and the convolutional code; the CRC covers bits ahead that are not sent."""
    data = np.concatenate([bits, crc16([*ahead, *bits]), np.zeros(6, int)])
    outputs = [np.convolve(data, bits_of(generator, 7))[: len(data)] % 2 for generator in generators]
    return np.stack(outputs, axis=1).ravel()


def samples_of(carriers, values):
    """64 samples for each row of values."""
    waves = np.exp(2j * np.pi * np.outer(carriers, np.arange(64)) / 64)
    return values @ waves / sqrt(52)


def step(T):
    wanted = round(T * (sqrt(5) - 1) / 2)
    candidates = sorted(range(2 * wanted + 2), key=lambda q: abs(q - wanted))  # the smaller first
    return next(48 * q + 13 for q in candidates if gcd(48 * q + 13, 48 * T) == 1)


def block(values):
    """A row of 48 turned cells for each symbol; as few symbols as hold the values."""
    T = -(-len(values) // 48)
    cells = np.full(48 * T, SPARE)
    if T:
        cells[np.arange(len(values)) * step(T) % (48 * T)] = values
    b = pseudo_random(2 * 48 * T)
    return (cells * 1j ** (2 * b[0::2] + b[1::2])).reshape(T, 48)


def preamble(profile):
    short = np.tile(samples_of(np.setdiff1d(np.arange(-24, 25, 4), 0), (1 + 1j) * sqrt(52 / 24) * signs(SHORT)), 10)
    long = samples_of(CARRIERS, signs(LONG[profile]))
    if profile == "standard":
        return np.concatenate([short[:160], long[-32:], long, long])
    return np.concatenate([short, *(sign * np.append(long[-16:], long) for sign in signs("+++--+-+"))])


def header_block(bits, profile):
    values = 2.0 * protect(bits, 0o133, 0o171, 0o165) - 1
    values = np.append(values, np.ones(-len(values) % 48))
    return block(np.concatenate([np.roll(values, -5 * c) for c in range(3 if profile == "robust" else 1)]))


def extension_nibbles(mcs):
    runs = [1]
    at = 0
    while at < len(mcs):
        length = 1
        while length < 256 and at + length < len(mcs) and mcs[at + length] == mcs[at]:
            length += 1
        runs += [mcs[at], length - 1 >> 4, length - 1 & 15]
        at += length
    return min([0, *mcs], runs, key=len)


def extension_bits(mcs):
    mcs = [int(each) for each in mcs]
    if len(set(mcs)) == 1 and mcs[0] != NOT_SENT:
        return np.zeros(0, int)
    nibbles = extension_nibbles(mcs)
    return np.concatenate([bits_of(nibble, 4) for nibble in nibbles + [0] * (len(nibbles) % 2)])


def identity(burst):
    return [(burst.stream_id, 6), (burst.frame_id % 2**20, 20), (codebook_id(burst), 16)]


def codebook_id(burst):
    return int.from_bytes(sha256(burst.codebook.encode()).digest()[:2], "big")


def base_bits(burst):
    extension = len(extension_bits(burst.mcs)) // 8
    fields = [
        (1, 4),
        (0, 5),
        *identity(burst),
        (burst.layout_seed, 16),
        (burst.rows, 8),
        (burst.columns, 12),
        (burst.tokens_per_packet - 1, 6),
        (burst.token_bits, 5),
        (0 if burst.class_label is None else burst.class_label + 1, 12),
        (NOT_SENT if extension else int(burst.mcs[0]), 4),
        (extension, 8),
    ]
    return np.concatenate([bits_of(*field) for field in fields])


def gray_mapped(bits, per_symbol):
    bits = np.append(bits, np.zeros(-len(bits) % per_symbol, int)).reshape(-1, per_symbol)
    if per_symbol == 1:
        return 2.0 * bits[:, 0] - 1

    def levels(half):
        """Odd numbers in the order of the Gray code: -3, -1, 1, 3 for 00, 01, 11, 10."""
        binary = np.cumsum(half, axis=1) % 2
        return 2.0 * (binary @ (1 << np.arange(half.shape[1])[::-1])) - (2 ** half.shape[1] - 1)

    power = {2: 2, 4: 10, 6: 42}[per_symbol]
    return (levels(bits[:, : per_symbol // 2]) + 1j * levels(bits[:, per_symbol // 2 :])) / sqrt(power)


def layout(seed, tokens):
    return np.argsort(np.random.PCG64(seed).random_raw(tokens), kind="stable")


def packet_values(burst):
    n = burst.tokens_per_packet
    order = layout(burst.layout_seed, len(burst.tokens))
    slots = np.append(burst.tokens[order], np.zeros(-len(order) % n, int))
    values = [np.zeros(0)]
    for number, (tokens, mcs) in enumerate(zip(slots.reshape(-1, n), burst.mcs, strict=True)):
        if mcs != NOT_SENT:
            ahead = np.concatenate([bits_of(*field) for field in [*identity(burst), (number, 12)]])
            bits = np.concatenate([bits_of(int(token), burst.token_bits) for token in tokens])
            coded = protect(bits, 0o133, 0o171, ahead=ahead)
            sent = np.resize(SENT_OF_A_AND_B[mcs % 3], len(coded)) == 1
            values.append(gray_mapped(coded[sent], BITS_PER_SYMBOL[mcs // 3]))
    return np.concatenate(values)


def transmit(burst, profile):
    blocks = [header_block(base_bits(burst), profile)]
    extension = extension_bits(burst.mcs)
    if len(extension):
        blocks.append(header_block(extension, profile))
    blocks.append(block(packet_values(burst)))
    data = np.concatenate(blocks)
    b = pseudo_random(8192 + 4 * len(data))
    symbols = []
    for t, row in enumerate(data):
        pilots = CARRIERS[5 * t % 13 + 13 * np.arange(4)]
        signs_of_pilots = 1 - 2 * b[8192 + 4 * t : 8196 + 4 * t]
        symbols.append(samples_of(np.setdiff1d(CARRIERS, pilots), row) + samples_of(pilots, signs_of_pilots))
    symbols = np.array(symbols)
    return np.append(preamble(profile), np.hstack([symbols[:, -16:], symbols]).ravel())


def projects_own(burst, profile):
    grid = (burst.rows, burst.columns) if burst.rows else (burst.columns,)
    frame = TokenFrame(
        burst.tokens.astype(np.int32),
        codebook=burst.codebook,
        codebook_size=burst.codebook_size,
        grid=grid,
        cmi=burst.class_label,
        frame_id=burst.frame_id,
    )
    config = TransmitConfig(
        mcs="16qam-1/2", tokens_per_packet=burst.tokens_per_packet, profile=profile, stream_id=burst.stream_id
    )
    return Transmitter(config).transmit(frame, burst.layout_seed, mcs=burst.mcs.astype(np.uint8))


def a_burst(rows, columns, mcs, seed=0, **fields):
    burst = Burst(np.zeros(0), rows, columns, np.asarray(mcs), **fields)
    tokens = np.random.default_rng(seed).integers(burst.codebook_size, size=max(rows, 1) * columns)
    return replace(burst, tokens=tokens)


def random_mcs(packets, seed=0):
    return np.random.default_rng(seed).choice([*range(12), NOT_SENT], packets)


SMALLEST = dict(
    tokens_per_packet=1, codebook_size=2, stream_id=0, frame_id=0, layout_seed=0, class_label=None, codebook="é"
)
LARGEST = dict(
    tokens_per_packet=64, codebook_size=2**18, stream_id=63, frame_id=2**20 - 1, layout_seed=2**16 - 1, class_label=4094
)
BURSTS = {
    **{f"every packet in MCS {mcs}": a_burst(16, 16, [mcs] * 64, seed=mcs) for mcs in range(12)},
    "the document's example": a_burst(16, 16, [6] * 30 + [8] * 33 + [NOT_SENT]),
    "a packet for itself": a_burst(16, 16, random_mcs(64)),
    "padding slots": a_burst(0, 37, random_mcs(6), tokens_per_packet=7, codebook_size=5000),
    "no packet sent": a_burst(4, 5, [NOT_SENT] * 5),
    "forms of equally many nibbles": a_burst(0, 3, [NOT_SENT] * 3, **SMALLEST),
    "forms of equally many bytes, runs shorter": a_burst(0, 7, [3] * 4 + [9] * 3, **SMALLEST),
    "forms of equally many bytes, runs longer": a_burst(0, 2, [NOT_SENT] * 2, **SMALLEST),
    "forms of equally many nibbles, two runs": a_burst(0, 6, [3] * 4 + [9] * 2, **SMALLEST),
    "a run that has to be split": a_burst(0, 700, [4] * 600 + [NOT_SENT] * 100, **SMALLEST),
    "a block of one symbol": a_burst(0, 1, [9], tokens_per_packet=1),
    "the smallest fields": a_burst(0, 1, [0], **SMALLEST),
    "the largest fields": a_burst(255, 1028, [NOT_SENT] * 4090 + [11] * 6, **LARGEST),
    "the longest line": a_burst(0, 4095, [11] * 64, **LARGEST),
    "the longest extension": a_burst(0, 509, np.arange(509) % 12, **SMALLEST),
    "a frame id beyond its field": a_burst(16, 16, [6] * 64, frame_id=2**20 + 7),
    "more cells than the pseudo-random sequence is long": a_burst(64, 64, [0] * 64, tokens_per_packet=64),
}


@pytest.mark.parametrize("profile", ("standard", "robust"))
@pytest.mark.parametrize("burst", BURSTS.values(), ids=BURSTS.keys())
def test_both_transmitters_send_the_same_samples(burst, profile):
    ours, theirs = transmit(burst, profile), projects_own(burst, profile)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, atol=1e-5)


def test_the_pseudo_random_sequence_begins_as_the_document_says_and_repeats():
    b = pseudo_random(2 * 32767)
    assert "".join(map(str, b[:48])) == "111111111111111000000000000001000000000000011000"
    assert np.array_equal(b[:32767], b[32767:])


def test_the_interleaver_steps_as_the_document_says():
    assert [step(T) for T in (1, 2, 9, 15, 27, 42)] == [61, 61, 301, 397, 829, 1261]


def test_the_header_of_the_example_has_the_documents_bits():
    bits = base_bits(a_burst(16, 16, [6] * 64))
    text = (
        "0001 00000 000101 00000000010011010010 0110101100100011 0000000001100011 00010000 000000010000 "
        "000011 01010 000000101011 0110 00000000 0111000001011110"
    )
    assert "".join(map(str, np.append(bits, crc16(bits)))) == text.replace(" ", "")


def test_the_extension_of_the_example_has_the_documents_bytes():
    bits = extension_bits(BURSTS["the document's example"].mcs)
    assert np.packbits(bits).tobytes() == bytes.fromhex("16 1D 82 0F 00")
    assert number_of(crc16(bits)) == 0xBFF6


def test_the_crc_of_the_first_packet_of_the_example():
    burst = a_burst(16, 16, [6] * 64)
    ahead = np.concatenate([bits_of(*field) for field in [*identity(burst), (0, 12)]])
    bits = np.concatenate([bits_of(token, 10) for token in (1, 2, 3, 4)])
    assert number_of(crc16(ahead)) == 0x780B and number_of(crc16([*ahead, *bits])) == 0xEC07


def test_the_layout_of_the_example_begins_as_the_document_says():
    assert [hex(word) for word in np.random.PCG64(99).random_raw(2)] == ["0x818b39edf54ae299", "0x90a9d85dc1f57127"]
    assert layout(99, 256)[:4].tolist() == [162, 252, 137, 130]
