"""A parser of datagrams in plain Python, written from docs/token-protocol.md and from nothing else."""

import hashlib
import math


class Malformed(Exception):
    pass


class Bytes:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        value = 0
        for byte in self.take(count):
            value = value * 256 + byte
        return value

    def left(self):
        return len(self.data) - self.at


def first_byte(datagram):
    if not datagram:
        raise Malformed("empty")
    byte = datagram[0]
    if byte // 64 != 1 or byte % 2:
        raise Malformed("version")
    return (byte // 8) % 8, (byte // 2) % 4


def check(content, number, key):
    return hashlib.blake2s(content + number.to_bytes(8, "big"), key=key, digest_size=4).digest()


def parse_format(data):
    kind, codebook, bits = data.number(1), data.number(4), data.number(1)
    tokens, quantizers, dimensions = data.number(2), data.number(1), data.number(1)
    if dimensions > 4:
        raise Malformed("dimensions")
    grid = [data.number(3) for _ in range(dimensions)]
    if kind // 16 > 1 or kind % 16 > 3 or not 1 <= bits <= 18 or not 1 <= tokens <= 2048:
        raise Malformed("format")
    if any(not 1 <= side <= 2**20 for side in grid) or quantizers < 1:
        raise Malformed("grid")
    if quantizers > 1 and (not grid or grid[0] != quantizers):
        raise Malformed("quantizers")
    form = {
        "payload": ("tokens", "bits")[kind // 16],
        "layout": ("spread", "contiguous", "importance", "frames")[kind % 16],
        "codebook": codebook, "bits": bits, "tokens": tokens, "quantizers": quantizers, "grid": grid,
    }  # fmt: skip
    if grid:
        packets_of(form, math.prod(grid))
    return form


def packets_of(form, n_tokens):
    if not 1 <= n_tokens <= 2**20:
        raise Malformed("tokens")
    packets = math.ceil(n_tokens / form["tokens"])
    if packets > 65536:
        raise Malformed("packets")
    return packets


def parse_connect(datagram):
    data = Bytes(datagram)
    data.take(1)
    nonce, cookie, count = data.take(8), data.take(16), data.number(1)
    if not 1 <= count <= 16:
        raise Malformed("formats")
    formats = [parse_format(data) for _ in range(count)]
    data.take(4)
    if data.left():
        raise Malformed("left over")
    return nonce, cookie, formats


def parse_elements(data, form):
    if not data.left():
        raise Malformed("no elements")
    lengths, found, before = {4: (1, 240), 5: (1, 1), 9: (2, 2), 14: (1, 1)}, {}, 0
    while data.left():
        first = data.number(1)
        ignored, number, length = first // 128, first // 8 % 16, first % 8
        if number == 15:
            number = data.number(1)
            if number < 15:
                raise Malformed("number")
        if length == 7:
            length = data.number(1)
            if length < 7:
                raise Malformed("length")
        value = data.take(length)
        if number <= before:
            raise Malformed("order")
        before = number
        if number not in lengths:
            if not ignored:
                raise Malformed("unknown element")
            continue
        low, high = lengths[number]
        if not low <= length <= high or (number in (5, 14) and value == bytes(1)):
            raise Malformed("element")
        if number != 9 and form["payload"] == "bits":
            raise Malformed("element of tokens")
        found[number] = value
    return found


def parse_sections(body, formats):
    data, sections = Bytes(body), []
    while data.left():
        kind, frame, count = data.number(1), data.number(2), data.number(1)
        if kind // 16 >= len(formats) or count < 1:
            raise Malformed("section")
        form = formats[kind // 16]
        n_tokens = math.prod(form["grid"]) if form["grid"] else data.number(3)
        label = data.number(2) if kind // 4 % 2 else None
        elements = parse_elements(Bytes(data.take(data.number(1))), form) if kind % 2 else {}
        in_frame = packets_of(form, n_tokens)
        if count > in_frame:
            raise Malformed("too many packets")
        packets = []
        for _ in range(count):
            index = None if kind // 8 % 2 else data.number(1 if in_frame <= 256 else 2)
            if index is not None and index >= in_frame:
                raise Malformed("index")
            written = "".join(f"{byte:08b}" for byte in data.take(math.ceil(form["tokens"] * form["bits"] / 8)))
            width = form["bits"]
            packets.append((index, [int(written[i * width : (i + 1) * width], 2) for i in range(form["tokens"])]))
        sections.append(
            {
                "frame": frame,
                "tokens": n_tokens,
                "label": label,
                "elements": elements,
                "end": bool(kind // 2 % 2),
                "packets": packets,
            }
        )
    return sections


def parse_data(datagram, formats):
    data = Bytes(datagram)
    data.take(1)
    session, number = data.number(2), data.number(2)
    body = data.take(data.left() - 4) if data.left() >= 4 else data.take(4)
    return session, number, parse_sections(body, formats)


def parse_feedback(datagram):
    data = Bytes(datagram)
    data.take(1)
    session, number, largest, delay, received = (data.number(n) for n in (2, 2, 2, 2, 4))
    seen = data.take(data.number(1))
    come = [i + 1 for i in range(8 * len(seen)) if seen[i // 8] >> i % 8 & 1]
    wanted = {}
    for _ in range(data.number(1)):
        frame, first, length = data.number(2), data.number(2), data.number(1)
        bitmap = data.take(length)
        packets = [first + i for i in range(8 * length) if bitmap[i // 8] >> i % 8 & 1]
        if (length and not packets) or (packets and packets[-1] > 65535):
            raise Malformed("wanted")
        wanted.setdefault(frame, []).extend(packets)
    data.take(4)
    if data.left():
        raise Malformed("left over")
    return {
        "session": session, "number": number, "largest": largest, "delay": delay, "received": received, "come": come,
        "wanted": wanted,
    }  # fmt: skip


def first_numbers(n_packets, size, frame, came):
    """Possible numbers of the first DATA of a frame without index, each tried in turn.

    `came` has the sections (frame, index or None, packets, end) of each DATA by its number, without repeats.
    """
    sections = math.ceil(n_packets / size)
    own = [number for number, each in came.items() if any(section[0] == frame for section in each)]
    possible = []
    for first in range(min(own) - sections, max(own) + 1):
        expected = {}
        for step in range(sections):
            count = min(size, n_packets - step * size)
            expected[first + step] = (step * size, count, step == sections - 1)
        fits = True
        for number, each in came.items():
            here = [section for section in each if section[0] == frame]
            if number not in expected:
                fits = fits and not here
                continue
            index, count, end = expected[number]
            fits = fits and len(here) == 1 and here[0][1] in (None, index) and here[0][2:] == (count, end)
        if fits:
            possible.append(first)
    return possible
