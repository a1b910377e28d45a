"""A second transmitter, written from docs/air-interface.md alone, against the project's own."""

import hmac
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from math import gcd, prod, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.labels import TokenLabels
from tokcom.security.keys import Key
from tokcom.security.sealer import Sealer

NOT_SENT = 15
CARRIERS = np.array([k for k in range(-26, 27) if k])
SPARE = (1 + 1j) / sqrt(2)
SHORT = "+-+--+--++++"
LONG = {
    "standard": "++--++-+-++++++--++-+-+++++--++-+-+-----++--+-+-++++",
    "robust": "-+-++-++-+++---+++++-+++---+-+----+-++--+--++++-+++-",
}
BITS_PER_SYMBOL = (1, 1, 1, 2, 2, 2, 4, 4, 4, 6, 6, 6, 8, 8, 8)
SENT_OF_A_AND_B = {"1/2": [1, 1], "2/3": [1, 1, 1, 0], "3/4": [1, 1, 1, 0, 0, 1], "1/1": [1, 0]}
RATES = ("1/2", "2/3", "3/4") * 4 + ("2/3", "3/4", "1/1")
NEXT_LIGHTER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 11, 12, 13, 14, NOT_SENT)
PAYLOADS = ("natural", "semantic", "contextual", "bits")
LAYOUTS = {"contiguous": 1024, "importance": 1025}


@dataclass(frozen=True)
class Burst:
    """What a burst says; class_label None for none, mcs one number for each packet. Bits are tokens of two words."""

    tokens: np.ndarray
    shape: tuple
    mcs: np.ndarray
    codebook: str = "caltech64"
    codebook_size: int = 1024
    tokens_per_packet: int = 4
    stream_id: int = 5
    frame_id: int = 1234
    layout: str = "spread"
    layout_seed: int = 99
    class_label: int | None = 42
    payload: str = "natural"
    quantizers: int = 1
    words: tuple = ()
    follows: int = 0
    description: bytes = b""
    rule: bytes = b""
    companion: int = 0
    key: tuple | None = None  # secret, direction, epoch, bits of a tag

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


def protect(bits, *generators, check=None):
    """The check (a CRC where nothing else is told), six zero bits and the convolutional code."""
    data = np.concatenate([bits, crc16(bits) if check is None else check, np.zeros(6, int)])
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


def is_power(side):
    return side in (1 << place for place in range(16))


def shape_field(shape):
    """The base's nine bits, or None."""
    if len(shape) == 1 and shape[0] <= 256:
        return shape[0] - 1
    if len(shape) == 2 and is_power(shape[0]) and is_power(shape[1]):
        return 256 + 16 * (shape[0].bit_length() - 1) + shape[1].bit_length() - 1
    return None


def shape_value(shape):
    value = []
    for side in shape:
        groups = [(side - 1) // 128**place % 128 for place in range(10)]
        while len(groups) > 1 and not groups[-1]:
            groups.pop()
        value += [group + 128 for group in groups[:0:-1]] + groups[:1]
    return value


def mcs_of_base(mcs):
    """MCS and share, or None."""
    for share in range(32) if mcs[0] != NOT_SENT else ():
        first = len(mcs) * share // 32 if share else len(mcs)
        if mcs == [mcs[0]] * first + [NEXT_LIGHTER[mcs[0]]] * (len(mcs) - first):
            return mcs[0], share
    return None


def map_value(mcs):
    runs, at = [], 0
    while len(set(mcs[at:])) > 1:
        length = 1
        while length < 256 and mcs[at + length] == mcs[at]:
            length += 1
        runs += [mcs[at], length - 1 >> 4, length - 1 & 15]
        at += length
    runs.append(mcs[-1])
    nibbles = runs if -(-len(runs) // 2) < -(-len(mcs) // 2) else list(mcs)
    nibbles = nibbles + [0] * (len(nibbles) % 2)
    return [16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True)]


def element(number, value, ignorable=False):
    head = 128 * ignorable + 8 * number + min(len(value), 7)
    return [head, *([len(value)] if len(value) >= 7 else []), *value]


def extension_bytes(burst, tag=None):
    """Bytes of the elements, and symbols; the tag of the header is found where it is not told."""
    mcs = [int(each) for each in burst.mcs][: described(burst)]
    elements = []
    if shape_field(burst.shape) is None:
        elements += element(1, shape_value(burst.shape))
    if mcs_of_base(mcs) is None:
        elements += element(2, map_value(mcs))
    if burst.quantizers > 1:
        elements += element(3, shape_value(burst.words))
    if burst.description:
        elements += element(4, burst.description, ignorable=True)
    if burst.companion:
        elements += element(5, [burst.companion], ignorable=True)
    if burst.key is not None:
        secret, direction, epoch, width = burst.key
        elements += element(6, [*hkdf(secret, "tokcom id", 2), 128 * direction + epoch // 256, epoch % 256])
        elements += element(7, [width, *(digest(burst)[:4] if tag is None else tag)])
    if burst.rule:
        elements += element(8, burst.rule)
    if burst.layout == "frames":
        elements += element(9, [])
    if burst.follows and layout_number(burst) < 1026:
        elements += element(14, [burst.follows], ignorable=True)
    symbols = next(S for S in (0, *range(2, 128)) if max(2 * S - 3, 0) >= len(elements))
    return elements + [0] * (max(2 * symbols - 3, 0) - len(elements)), symbols


def extension_bits(burst):
    content, _ = extension_bytes(burst)
    return np.concatenate([np.zeros(0, int), *(bits_of(byte, 8) for byte in content)])


def layout_number(burst):
    number = LAYOUTS.get(burst.layout, burst.layout_seed)
    if burst.follows == 1 and number not in range(1020, 1024):
        return number + (2 if number >= 1024 else 1028)
    return number


def digest(burst):
    """Of a header whose tag is zeros."""
    secret, direction, *_ = burst.key
    whole = np.append(base_bits(burst, tag=bytes(4)), np.zeros(6, int))
    content = np.packbits(whole).tobytes() + bytes(extension_bytes(burst, tag=bytes(4))[0])
    return hmac.digest(hkdf(secret, f"tokcom header {direction}", 32), content, "sha256")


def identity(burst):
    return [(burst.stream_id, 6), (burst.frame_id % 2**20, 20), (codebook_id(burst), 32)]


def codebook_id(burst):
    return int.from_bytes(sha256(burst.codebook.encode()).digest()[:4], "big")


def base_bits(burst, tag=None):
    mcs, share = mcs_of_base([int(each) for each in burst.mcs][: described(burst)]) or (NOT_SENT, 0)
    if burst.payload == "bits":
        size = [(burst.tokens_per_packet - 1, 11)]
    else:
        size = [(burst.tokens_per_packet - 1, 6), (burst.token_bits - 1, 5)]
    fields = [
        (1, 3),
        *identity(burst),
        (PAYLOADS.index(burst.payload), 2),
        (layout_number(burst), 11),
        *size,
        (shape_field(burst.shape) or 0, 9),
        (0 if burst.class_label is None else burst.class_label + 1, 12),
        (mcs, 4),
        (share, 5),
        (extension_bytes(burst, tag)[1], 7),
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

    power = {2: 2, 4: 10, 6: 42, 8: 170}[per_symbol]
    return (levels(bits[:, : per_symbol // 2]) + 1j * levels(bits[:, per_symbol // 2 :])) / sqrt(power)


def described(burst):
    """Packets whose MCS the header tells."""
    return number_of(unpacked(burst.rule[1:3])) // burst.tokens_per_packet if burst.rule else len(burst.mcs)


def unpacked(data):
    return np.concatenate([bits_of(byte, 8) for byte in data])


def halton(shape):
    """Positions in the order in which the sequence visits them."""

    def inverse(i, base):
        digits = []
        while i:
            digits.append(i % base)
            i //= base
        return sum(Fraction(digit, base ** (place + 1)) for place, digit in enumerate(digits))

    bases, visited = (2, 3, 5, 7), {}
    for i in range(1, 16 * prod(shape) + 1):
        cell = [int(inverse(i, base) * side) for side, base in zip(shape, bases, strict=False)]
        visited.setdefault(int(np.ravel_multi_index(cell, shape)))
    return [*visited, *(position for position in range(prod(shape)) if position not in visited)]


def positions_sent(burst):
    """Those of the tokens that the rule sends."""
    if not burst.rule:
        return set(range(len(burst.tokens)))
    count, order, shape = number_of(unpacked(burst.rule[1:3])), halton(burst.shape), burst.shape
    where = {position: [int(each) for each in np.unravel_index(position, shape)] for position in order}
    if burst.rule[0] == 3:
        return set(np.flatnonzero(unpacked(burst.rule[3:])).tolist())
    if burst.rule[0] == 1:
        order = sorted(order, key=lambda position: sum(where[position]) % 2)
    if burst.rule[0] == 2:
        levels = [2 * high + low for high, low in unpacked(burst.rule[3:]).reshape(16, 2)]
        level = {p: levels[4 * (4 * where[p][0] // shape[0]) + 4 * where[p][1] // shape[1]] for p in order}
        of_level = [[p for p in order if level[p] == each] for each in range(4)]
        rank = {
            p: 8 * k * len(order) // (len(own) * 2 ** (3 - each))
            for each, own in enumerate(of_level)
            for k, p in enumerate(own)
        }
        order = sorted(order, key=rank.get)
    return set(order[:count])


def layout(burst):
    order, sent = whole_layout(burst), positions_sent(burst)
    return np.array(sorted(order.tolist(), key=lambda position: position not in sent))


def whole_layout(burst):
    count = len(burst.tokens)
    if burst.layout == "contiguous":
        return np.arange(count)
    if burst.layout == "importance":
        return np.array(sorted(range(count), key=lambda position: importance(position, burst)))
    outputs = np.random.PCG64(burst.layout_seed).random_raw(count)
    if burst.layout != "frames" or len(burst.shape) != 3 or burst.quantizers > 1:
        return np.argsort(outputs, kind="stable")
    frames, waiting = [], count // burst.shape[0]
    for number in range(burst.shape[0]):
        own = range(number * waiting, (number + 1) * waiting)
        frames.append(sorted(own, key=lambda position: outputs[position]))
    packets, n = [], burst.tokens_per_packet
    while any(frames):
        packets += [position for frame in frames for position in frame[:n]]
        frames = [frame[n:] for frame in frames]
    return np.array(packets)


def importance(position, burst):
    coordinates = [int(each) for each in np.unravel_index(position, burst.shape)]
    quantizer = coordinates.pop(0) if burst.quantizers > 1 else 0
    power = max(p for p in range(22) if all(each % 2**p == 0 for each in coordinates))
    return quantizer, -power, position


def labels(burst):
    """Some permutation for either kind."""
    size = burst.codebook_size
    if burst.payload in ("natural", "bits"):
        return np.arange(size)
    return np.random.default_rng(PAYLOADS.index(burst.payload)).permutation(size)


def hkdf(secret, purpose, length):
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\1", "sha256")[:length]


def chacha20_block(key, number, nonce):
    start = [int.from_bytes(each, "little") for each in batched(b"expand 32-byte k" + key)]
    start += [number, *(int.from_bytes(each, "little") for each in batched(nonce))]
    x = list(start)

    def quarter(a, b, c, d):
        for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[i] = (x[i] + x[j]) % 2**32
            x[k] ^= x[i]
            x[k] = (x[k] << turn | x[k] >> 32 - turn) % 2**32

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return b"".join(((one + two) % 2**32).to_bytes(4, "little") for one, two in zip(x, start, strict=True))


def batched(data):
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def key_stream(burst, purpose, first, count):
    """Bits of a key's stream for a purpose, from a byte on."""
    secret, _, epoch, _ = burst.key
    key = hkdf(secret, f"tokcom {purpose}", 32)
    nonce = b"".join(each.to_bytes(4, "little") for each in (epoch, burst.stream_id, burst.frame_id % 2**20))
    blocks = range(first // 64, (first + -(-count // 8) - 1) // 64 + 1)
    stream = b"".join(chacha20_block(key, block, nonce) for block in blocks)[first % 64 :]
    return np.concatenate([np.zeros(0, int), *(bits_of(byte, 8) for byte in stream[: -(-count // 8)])])[:count]


def encrypted(burst, number, bits, most):
    if burst.key is None:
        return bits
    return bits ^ key_stream(burst, f"bits {burst.key[1]}", number * -(-most // 8), len(bits))


def check_of(burst, number, bits):
    if burst.key is None:
        ahead = np.concatenate([bits_of(*field) for field in [*identity(burst), (number, 14)]])
        return crc16([*ahead, *bits])
    _, direction, _, width = burst.key
    purpose, length = f"tags {direction} {width}", len(bits) + width - 1
    secret = key_stream(burst, purpose, 0, length)
    tag = key_stream(burst, purpose, -(-length // 8) + number * width // 8, width)
    tag = tag ^ np.concatenate([bits_of(byte, 8) for byte in digest(burst)[4 : 4 + width // 8]])
    for place in np.flatnonzero(bits):
        tag = tag ^ secret[place : place + width]
    return tag


def packet_values(burst):
    n = burst.tokens_per_packet
    order = layout(burst)
    slots = np.append(burst.tokens[order], np.zeros(-len(order) % n, int))
    sent_as = labels(burst)
    packets = []
    for number, (tokens, mcs) in enumerate(zip(slots.reshape(-1, n), burst.mcs, strict=True)):
        if mcs != NOT_SENT:
            bits = np.concatenate([bits_of(int(sent_as[token]), burst.token_bits) for token in tokens])
            coded = protect(bits, 0o133, 0o171, check=check_of(burst, number, bits))
            sent = np.resize(SENT_OF_A_AND_B[RATES[mcs]], len(coded)) == 1
            packets.append((number, mcs, coded[sent]))
    most = max((len(bits) for *_, bits in packets), default=0)
    values = [gray_mapped(encrypted(burst, number, bits, most), BITS_PER_SYMBOL[mcs]) for number, mcs, bits in packets]
    return np.concatenate([np.zeros(0), *values])


def transmit(burst, profile):
    blocks = [header_block(base_bits(burst), profile)]
    extension = extension_bits(burst)
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


def a_sealer(burst):
    """One whose next epoch is that of a burst."""
    if burst.key is None:
        return None
    secret, direction, epoch, width = burst.key
    with TemporaryDirectory() as folder:
        Path(folder, "epochs").write_text(f"{epoch}\n", encoding="ascii")
        return Sealer(Key(secret), Path(folder, "epochs"), direction, width)


def projects_own(burst, profile):
    sealer = a_sealer(burst)
    if burst.payload == "bits":
        frame = BitFrame(burst.tokens, burst.codebook, burst.frame_id)
        config = TransmitConfig(bits_per_packet=burst.tokens_per_packet, profile=profile, stream_id=burst.stream_id)
        return Transmitter(config, sealer=sealer).transmit(frame, mcs=burst.mcs.astype(np.uint8))
    frame = TokenFrame(
        burst.tokens.astype(np.int32),
        codebook=burst.codebook,
        codebook_size=burst.codebook_size,
        grid=burst.shape,
        cmi=burst.class_label,
        frame_id=burst.frame_id,
        quantizers=burst.quantizers,
        sizes=burst.words,
        follows=burst.follows,
        description=burst.description,
        thinning=burst.rule,
        companion=burst.companion,
    )
    config = TransmitConfig(
        tokens_per_packet=burst.tokens_per_packet,
        profile=profile,
        stream_id=burst.stream_id,
        labels=burst.payload,
        layout=burst.layout,
    )
    own = {burst.payload: TokenLabels(labels(burst))} if burst.payload != "natural" else {}
    codebook = Codebook(burst.codebook, burst.codebook_size, labels=own)
    return Transmitter(config, [codebook], sealer).transmit(frame, burst.layout_seed, mcs=burst.mcs.astype(np.uint8))


def a_burst(shape, mcs, seed=0, **fields):
    if len(shape) == 3 and fields.get("quantizers", 1) == 1:
        fields = {"layout": "frames"} | fields
    burst = Burst(np.zeros(0), shape, np.asarray(mcs), **fields)
    tokens = np.random.default_rng(seed).integers(burst.codebook_size, size=prod(shape))
    if burst.words:
        tokens %= np.repeat(burst.words, prod(shape) // len(burst.words))
    return replace(burst, tokens=tokens)


def random_mcs(packets, seed=0):
    return np.random.default_rng(seed).choice([*range(15), NOT_SENT], packets)


SMALLEST = dict(
    tokens_per_packet=1, codebook_size=2, stream_id=0, frame_id=0, layout_seed=0, class_label=None, codebook="é"
)
LARGEST = dict(
    tokens_per_packet=64, codebook_size=2**18, stream_id=63, frame_id=2**20 - 1, layout_seed=1023, class_label=4094
)
KEY = bytes(range(32)), 1, 0x1234, 32
BITS = dict(payload="bits", codebook_size=2, layout="contiguous", layout_seed=0, class_label=None, codebook="bytes")
BURSTS = {
    **{f"every packet in MCS {mcs}": a_burst((16, 16), [mcs] * 64, seed=mcs) for mcs in range(15)},
    "the document's example": a_burst((16, 16), [6] * 30 + [8] * 33 + [NOT_SENT]),
    "two groups": a_burst((16, 16), [8] * 40 + [10] * 24, payload="contextual"),
    "two groups, the second not sent": a_burst((5,), [14] * 2 + [15] * 3, tokens_per_packet=1),
    "the next MCS in groups that have no share": a_burst((16, 16), [8] * 41 + [10] * 23, payload="semantic"),
    "a packet for itself": a_burst((16, 16), random_mcs(64)),
    "padding slots": a_burst((37,), random_mcs(6), tokens_per_packet=7, codebook_size=5000),
    "padding slots with labels": a_burst((37,), [5] * 6, tokens_per_packet=7, codebook_size=5000, payload="semantic"),
    "no packet sent": a_burst((4, 5), [NOT_SENT] * 5),
    "one packet, not sent": a_burst((3,), [NOT_SENT]),
    "forms of equally many bytes": a_burst((3,), [NOT_SENT] * 3, **SMALLEST),
    "forms of equally many bytes, two runs": a_burst((4,), [3] * 3 + [9], **SMALLEST),
    "runs shorter": a_burst((7,), [3] * 4 + [9] * 3, **SMALLEST),
    "a run that has to be split": a_burst((700,), [4] * 600 + [NOT_SENT] * 100, **SMALLEST),
    "a long run at the end": a_burst((700,), [NOT_SENT] * 100 + [4] * 600, **SMALLEST),
    "a block of one symbol": a_burst((1,), [9], tokens_per_packet=1),
    "the smallest fields": a_burst((1,), [0], **SMALLEST),
    "the largest fields": a_burst((1, 2, 64, 256), [NOT_SENT] * 450 + [11] * 62, layout="importance", **LARGEST),
    "the longest line in the base": a_burst((256,), [11] * 4, **LARGEST),
    "a longer line": a_burst((257,), [11] * 5, **LARGEST),
    "text": a_burst((5000,), [9] * 313, tokens_per_packet=16, codebook_size=50257, layout="contiguous"),
    "the flattest grid in the base": a_burst((1, 4096), [11] * 64, **LARGEST),
    "a grid of other sides": a_burst((300, 16), [12] * 75, **LARGEST | dict(codebook_size=1000)),
    "sides at the edges of their bytes": a_burst((127, 1, 1, 1), [3] * 127, **SMALLEST),
    "sides beyond the edges of their bytes": a_burst((1, 129, 2), [3] * 258, **SMALLEST),
    "a side of three bytes": a_burst((16385,), [12] * 257, **LARGEST | dict(codebook_size=2)),
    "video": a_burst((4, 16, 16), [8] * 256),
    "a frame that follows another": a_burst((16, 16), [6] * 64, follows=1),
    "a contiguous frame that follows another": a_burst((16, 16), [6] * 64, follows=1, layout="contiguous"),
    "a frame by importance that follows another": a_burst((16, 16), [6] * 64, follows=1, layout="importance"),
    "the last seed in the base that follows another": a_burst((16, 16), [6] * 64, follows=1, layout_seed=1019),
    "a seed not in the base that follows another": a_burst((16, 16), [6] * 64, follows=1, layout_seed=1020),
    "a group of three frames that follows": a_burst((3, 16, 16), [6] * 192, follows=1),
    "a group whose frames do not fill their packets": a_burst((3, 5, 7), [6] * 27),
    "a frame that follows two before": a_burst((16, 16), [6] * 64, follows=2),
    "a frame of a key that follows one long before": a_burst((16, 16), [6] * 64, follows=255, key=KEY),
    "a point of a code": a_burst((16, 16), [6] * 64, description=bytes([1, 7, 255, 0, 9, 3, 200])),
    "a sentence and a key": a_burst((16, 16), [6] * 64, description=b"\2a dog on the beach", key=KEY),
    "the longest description": a_burst((16, 16), [6] * 64, description=bytes(range(240))),
    "half of the tokens, evenly spread": a_burst((16, 16), [6] * 32 + [15] * 32, rule=bytes([0, 0, 128])),
    "a checkerboard, several MCS": a_burst((12, 9), [*range(13)] + [15] * 14, rule=bytes([1, 0, 52])),
    "regions of a level each": a_burst(
        (16, 20), [3] * 30 + [15] * 50, rule=bytes([2, 0, 120, 0x1B, 0xE4, 0, 0xFF]), layout="importance"
    ),
    "a map of tokens": a_burst(
        (5, 7), [8] * 4 + [15] * 5, rule=bytes([3, 0, 16, 0xF0, 0xF3, 0x03, 0x1C, 0x40]), layout="contiguous"
    ),
    "a line of which a part is sent": a_burst((300,), [8] * 10 + [15] * 65, rule=bytes([0, 0, 40]), key=KEY),
    "a picture with a caption before it": a_burst((16, 16), [6] * 64, companion=1),
    "a frame of a key with a companion long before, which follows another": a_burst(
        (16, 16), [6] * 64, follows=2, companion=255, key=KEY
    ),
    "quantizers": a_burst((4, 6, 5), [4] * 30, quantizers=4, layout="importance"),
    "quantizers in a grid of the base": a_burst((8, 4), [4] * 8, quantizers=8, layout="contiguous"),
    "quantizers of different words": a_burst(
        (3, 5, 8), [4] * 30, quantizers=3, words=(1024, 256, 3), layout="importance"
    ),
    "by importance": a_burst((12, 7), [6] * 21, layout="importance"),
    "the longest extension": a_burst((492,), np.arange(492) % 12, **SMALLEST),
    "all elements": a_burst((3, 160, 1), np.arange(480) % 15, quantizers=3, **SMALLEST),
    "bits": a_burst((1003,), [3] * 4, tokens_per_packet=256, **BITS),
    "most bits a packet": a_burst((2049,), [0, 9], tokens_per_packet=2048, **BITS),
    "one bit": a_burst((1,), [14], tokens_per_packet=1, **BITS),
    "encrypted": a_burst((16, 16), random_mcs(64), key=KEY),
    "encrypted packets of several blocks": a_burst((300,), [0, 6, 9], tokens_per_packet=128, **BITS, key=KEY),
    "tags of a byte": a_burst((5, 7, 9), [3] * 79, key=(bytes(32), 0, 0, 8)),
    "the longest tags": a_burst((20,), [14, 2, 9], tokens_per_packet=8, key=(bytes(32), 0, 0x7FFF, 56)),
    "a frame id beyond its field": a_burst((16, 16), [6] * 64, frame_id=2**20 + 7),
    "more cells than the pseudo-random sequence is long": a_burst((64, 64), [0] * 64, tokens_per_packet=64),
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
    bits = base_bits(a_burst((16, 16), [6] * 64))
    text = (
        "001 000101 00000000010011010010 01101011001000110011100100001111 00 00001100011 "
        "000011 01001 101000100 000000101011 0110 00000 0000000 1001100000110011"
    )
    assert "".join(map(str, np.append(bits, crc16(bits)))) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("burst", "told", "symbols", "crc"),
    [
        (BURSTS["the document's example"], "14 61 D8 20 F0", 4, 0x96FA),
        (a_burst((4, 16, 16), [6] * 256, quantizers=4), "0B 03 0F 0F 18", 4, 0xC919),
        (
            a_burst((16, 16), [6] * 64, description=bytes.fromhex("01 5C 41 23 59 4F 20")),
            "A7 07 01 5C 41 23 59 4F 20", 6, 0x5BFD,
        ),
    ],
)  # fmt: skip
def test_the_extensions_of_the_example_have_the_documents_bytes(burst, told, symbols, crc):
    bits = extension_bits(burst)
    assert np.packbits(bits).tobytes() == bytes.fromhex(told) and extension_bytes(burst)[1] == symbols
    assert number_of(crc16(bits)) == crc


def test_the_crc_of_the_first_packet_of_the_example():
    burst = a_burst((16, 16), [6] * 64)
    ahead = np.concatenate([bits_of(*field) for field in [*identity(burst), (0, 14)]])
    bits = np.concatenate([bits_of(token, 10) for token in (1, 2, 3, 4)])
    assert number_of(crc16(ahead)) == 0x329F and number_of(crc16([*ahead, *bits])) == 0xB7AF


def test_the_key_of_the_example():
    burst = a_burst((16, 16), [6] * 64, key=KEY)
    assert bytes(extension_bytes(burst)[0]) == bytes.fromhex("34 2D 14 92 34 3D 20 CB D0 EA 13")
    assert digest(burst)[:8] == bytes.fromhex("CB D0 EA 13 62 0F 61 BF")
    assert np.packbits(key_stream(burst, "bits 1", 0, 64)).tobytes() == bytes.fromhex("35 6E F2 18 1C F3 3D 04")
    assert np.packbits(key_stream(burst, "tags 1 32", 0, 64)).tobytes() == bytes.fromhex("7C C4 4D 1C AA F8 E5 01")
    bits = np.concatenate([bits_of(token, 10) for token in (1, 2, 3, 4)])
    assert number_of(check_of(burst, 0, bits)) == 0x75DC640F


def test_the_layouts_of_the_example_begin_as_the_document_says():
    assert [hex(word) for word in np.random.PCG64(99).random_raw(2)] == ["0x818b39edf54ae299", "0x90a9d85dc1f57127"]
    assert layout(a_burst((16, 16), [6] * 64))[:4].tolist() == [162, 252, 137, 130]
    assert layout(a_burst((4, 4), [6] * 4, layout="importance"))[:6].tolist() == [0, 2, 8, 10, 1, 3]
