"""The datagrams of a token session (docs/token-protocol.md): their kinds, their heads and their checks."""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.errors import DatagramError, ParameterError
from tokcom.protocol.formats import MAX_FORMATS, FrameFormat

VERSION = 1
HELLO, COOKIE, CONNECT, ACCEPT, DATA, FEEDBACK, RESET, CLOSE = range(8)
"""Kinds of datagrams."""
CLASSES = 4
"""Classes of predictability: packets of class 0 are the hardest to guess, and the last to be dropped."""
MAX_DATAGRAM = 65507
DEFAULT_MTU = 1200
"""Bytes of a datagram that any path carries whole, as QUIC takes it (RFC 9000, section 14)."""
NONCE_BYTES, COOKIE_BYTES, KEY_BYTES, CHECK_BYTES = 8, 16, 16, 4
HELLO_BYTES = 64
"""Length of a HELLO: more than the answer to it."""
DELAY_STEP_S = 1e-4
MAX_WANTED = 255
_NUMBERED = struct.Struct(">BHH")
_FEEDBACK = struct.Struct(">HHIB")
_WANTED = struct.Struct(">HHB")
HEAD_BYTES = _NUMBERED.size + CHECK_BYTES
"""Bytes of a datagram of packets other than its sections."""


def kind_of(datagram: bytes) -> int:
    """The kind of a datagram.

    Raises:
        DatagramError: it is empty, too long, or of another version.
    """
    if not 1 <= len(datagram) <= MAX_DATAGRAM:
        raise DatagramError(f"a datagram of {len(datagram)} bytes; it must have 1 to {MAX_DATAGRAM}")
    if datagram[0] >> 6 != VERSION or datagram[0] & 1:
        raise DatagramError(f"a datagram of version {datagram[0] >> 6}; this end knows version {VERSION}")
    return datagram[0] >> 3 & 7


def class_of(datagram: bytes) -> int:
    """The class of predictability of a datagram, 0 to 3, and 0 of what is no DATA; raises as `kind_of` does."""
    return datagram[0] >> 1 & 3 if kind_of(datagram) == DATA else 0


def _first(kind: int, priority: int = 0) -> int:
    return VERSION << 6 | kind << 3 | priority << 1


def check_of(content: bytes, number: int, key: bytes) -> bytes:
    """The check at the end of a datagram: BLAKE2s of all before it and of its whole number, under the session's key."""
    return hashlib.blake2s(content + number.to_bytes(8, "big"), digest_size=CHECK_BYTES, key=key).digest()


def sealed(content: bytes, number: int, key: bytes) -> bytes:
    """A datagram: its content and the check."""
    return content + check_of(content, number, key)


def require_check(datagram: bytes, number: int, key: bytes) -> None:
    """Raise DatagramError unless the check of a datagram holds."""
    if not hmac.compare_digest(check_of(datagram[:-CHECK_BYTES], number, key), datagram[-CHECK_BYTES:]):
        raise DatagramError("the check of a datagram does not hold")


def session_key(nonce: bytes, cookie: bytes, secret: bytes = b"") -> bytes:
    """The key of a session's checks; `secret`, at most 32 bytes, is what both ends know beforehand."""
    return hashlib.blake2s(nonce + cookie, digest_size=KEY_BYTES, key=secret).digest()


def encode_hello(nonce: bytes) -> bytes:
    """A request for a cookie, filled up with zeros so that the answer is shorter."""
    return bytes([_first(HELLO)]) + nonce + bytes(HELLO_BYTES - 1 - NONCE_BYTES)


def decode_hello(datagram: bytes) -> bytes:
    """The nonce of a HELLO. Raises DatagramError where it is too short."""
    _require_length(datagram, HELLO_BYTES)
    return datagram[1 : 1 + NONCE_BYTES]


def encode_cookie(nonce: bytes, cookie: bytes) -> bytes:
    """The answer to a HELLO."""
    return bytes([_first(COOKIE)]) + nonce + cookie


def decode_cookie(datagram: bytes) -> tuple[bytes, bytes]:
    """Nonce and cookie. Raises DatagramError where there are none."""
    _require_length(datagram, 1 + NONCE_BYTES + COOKIE_BYTES)
    return datagram[1 : 1 + NONCE_BYTES], datagram[1 + NONCE_BYTES : 1 + NONCE_BYTES + COOKIE_BYTES]


def encode_connect(nonce: bytes, cookie: bytes, formats: Sequence[FrameFormat], key: bytes) -> bytes:
    """A request for a session of these formats.

    Raises:
        ParameterError: there are none, or too many.
    """
    if not 1 <= len(formats) <= MAX_FORMATS:
        raise ParameterError(f"a session has {len(formats)} formats; it must have 1 to {MAX_FORMATS}")
    body = b"".join(each.encode() for each in formats)
    return sealed(bytes([_first(CONNECT)]) + nonce + cookie + bytes([len(formats)]) + body, 0, key)


def decode_connect(datagram: bytes) -> tuple[bytes, bytes, list[FrameFormat]]:
    """Nonce, cookie and formats; the check is not looked at.

    Raises:
        DatagramError: they are not there.
    """
    _require_length(datagram, 2 + NONCE_BYTES + COOKIE_BYTES + CHECK_BYTES)
    nonce, cookie = decode_cookie(datagram)
    count, rest = datagram[25], datagram[26:-CHECK_BYTES]
    if not 1 <= count <= MAX_FORMATS:
        raise DatagramError(f"a session of {count} formats; it must have 1 to {MAX_FORMATS}")
    formats = []
    for _ in range(count):
        form, taken = FrameFormat.decode(rest)
        formats.append(form)
        rest = rest[taken:]
    if rest:
        raise DatagramError(f"{len(rest)} bytes are left behind the formats of a session")
    return nonce, cookie, formats


def encode_accept(nonce: bytes, session: int, key: bytes) -> bytes:
    """The answer to a CONNECT."""
    return sealed(bytes([_first(ACCEPT)]) + nonce + session.to_bytes(2, "big"), 0, key)


def decode_accept(datagram: bytes) -> tuple[bytes, int]:
    """Nonce and session; the check is not looked at. Raises DatagramError where they are not there."""
    _require_length(datagram, 3 + NONCE_BYTES + CHECK_BYTES)
    return datagram[1 : 1 + NONCE_BYTES], int.from_bytes(datagram[1 + NONCE_BYTES : 3 + NONCE_BYTES], "big")


def encode_data(session: int, number: int, priority: int, body: bytes, key: bytes) -> bytes:
    """A datagram of sections, all of one class."""
    return sealed(_NUMBERED.pack(_first(DATA, priority), session, number & 0xFFFF) + body, number, key)


def encode_close(session: int, number: int, key: bytes) -> bytes:
    """The end of a session."""
    return sealed(_NUMBERED.pack(_first(CLOSE), session, number & 0xFFFF), number, key)


def encode_reset(session: int, number: int) -> bytes:
    """The answer to a datagram of a session that is not known."""
    return _NUMBERED.pack(_first(RESET), session, number & 0xFFFF)


def numbered(datagram: bytes) -> tuple[int, int]:
    """Session and number, modulo 2**16, of a DATA, FEEDBACK, CLOSE or RESET. Raises DatagramError where it is short."""
    _require_length(datagram, _NUMBERED.size)
    return _NUMBERED.unpack_from(datagram)[1:]


def body_of(datagram: bytes) -> memoryview:
    """Bytes between the head and the check. Raises DatagramError where there is no room for both."""
    _require_length(datagram, HEAD_BYTES)
    return memoryview(datagram)[_NUMBERED.size : -CHECK_BYTES]


@dataclass(frozen=True)
class Feedback:
    """Report of a receiver to a sender.

    Args:
        largest: number of the newest datagram that has come, modulo 2**16.
        delay_s: how long ago it came, in seconds, at most 6.5535.
        received: datagrams that have come in the session, modulo 2**32.
        before: bit i is 1 where the datagram i + 1 before the newest has come, at most 2040 bits.
        wanted: packets wanted of frames, by the frames' number; of none where nothing more of the frame is wanted.
    """

    largest: int
    delay_s: float
    received: int
    before: int
    wanted: tuple[tuple[int, tuple[int, ...]], ...] = ()


def encode_feedback(feedback: Feedback, session: int, number: int, key: bytes, limit: int = DEFAULT_MTU) -> bytes:
    """A report of at most `limit` bytes; frames for whose packets there is no room are left out."""
    delay = min(round(feedback.delay_s / DELAY_STEP_S), 0xFFFF)
    seen = feedback.before.to_bytes(-(-feedback.before.bit_length() // 8), "little")[:255]
    head = _NUMBERED.pack(_first(FEEDBACK), session, number & 0xFFFF)
    head += _FEEDBACK.pack(feedback.largest & 0xFFFF, delay, feedback.received & 0xFFFFFFFF, len(seen)) + seen
    entries: list[bytes] = []
    room = limit - len(head) - 1 - CHECK_BYTES
    for frame_id, packets in feedback.wanted:
        for entry in _wanted_entries(frame_id, packets):
            if len(entry) > room or len(entries) == MAX_WANTED:
                break
            entries.append(entry)
            room -= len(entry)
    return sealed(head + bytes([len(entries)]) + b"".join(entries), number, key)


def _wanted_entries(frame_id: int, packets: Sequence[int]) -> list[bytes]:
    """Each a first packet and a map of those that follow it: of 2040 at most."""
    if not packets:
        return [_WANTED.pack(frame_id, 0, 0)]
    left, entries = np.unique(packets), []
    while len(left):
        first = int(left[0])
        here = left[left < first + 2040] - first
        marks = np.zeros(int(here[-1]) + 1, np.uint8)
        marks[here] = 1
        bitmap = np.packbits(marks, bitorder="little").tobytes()
        entries.append(_WANTED.pack(frame_id, first, len(bitmap)) + bitmap)
        left = left[len(here) :]
    return entries


def decode_feedback(datagram: bytes) -> Feedback:
    """Parse a FEEDBACK datagram; its check is not verified here.

    Raises:
        DatagramError: it is cut short or too long.
    """
    body = bytes(body_of(datagram))
    if len(body) < _FEEDBACK.size + 1:
        raise DatagramError(f"a report of {len(body)} bytes; it has at least {_FEEDBACK.size + 1}")
    largest, delay, received, seen_bytes = _FEEDBACK.unpack_from(body)
    at = _FEEDBACK.size + seen_bytes
    if len(body) < at + 1:
        raise DatagramError(f"a report of {len(body)} bytes has no room for {seen_bytes} bytes of a map")
    before = int.from_bytes(body[_FEEDBACK.size : at], "little")
    count, at = body[at], at + 1
    wanted: dict[int, tuple[int, ...]] = {}
    for _ in range(count):
        if len(body) - at < _WANTED.size:
            raise DatagramError("a report ends amid the packets wanted")
        frame_id, first, length = _WANTED.unpack_from(body, at)
        if not length:
            wanted.setdefault(frame_id, ())
            at += _WANTED.size
            continue
        bitmap = np.frombuffer(body[at + _WANTED.size : at + _WANTED.size + length], np.uint8)
        at += _WANTED.size + length
        if len(bitmap) != length:
            raise DatagramError("a report ends amid the packets wanted")
        marked = np.flatnonzero(np.unpackbits(bitmap, bitorder="little")) + first
        if not len(marked) or marked[-1] >= 1 << 16:
            raise DatagramError(f"packets of frame {frame_id} are wanted that no frame has")
        wanted[frame_id] = wanted.get(frame_id, ()) + tuple(marked.tolist())
    if at != len(body):
        raise DatagramError(f"{len(body) - at} bytes are left at the end of a report")
    return Feedback(largest, delay * DELAY_STEP_S, received, before, tuple(wanted.items()))


def _require_length(datagram: bytes, least: int) -> None:
    if len(datagram) < least:
        raise DatagramError(f"a datagram of kind {datagram[0] >> 3 & 7} has {len(datagram)} bytes; at least {least}")
