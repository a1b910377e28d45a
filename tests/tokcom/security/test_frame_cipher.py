import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keys import Key

KEY = Key(bytes(range(32)))


def quarter_round(x, a, b, c, d):
    for one, two, three, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[one] = (x[one] + x[two]) & 0xFFFFFFFF
        turned = x[three] ^ x[one]
        x[three] = (turned << shift | turned >> 32 - shift) & 0xFFFFFFFF


def block(secret, counter, nonce):
    """Section 2.3 of RFC 8439, by the letter."""
    words = np.frombuffer(b"expand 32-byte k" + secret + counter.to_bytes(4, "little") + nonce, "<u4").astype(object)
    x = list(words)
    for _ in range(10):
        for column in range(4):
            quarter_round(x, column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter_round(x, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return b"".join(int((a + b) & 0xFFFFFFFF).to_bytes(4, "little") for a, b in zip(x, words, strict=True))


def test_the_block_of_the_standard():
    nonce = bytes.fromhex("000000090000004a00000000")
    expected = bytes.fromhex("10f1e7e4d13b5915500fdd1fa32071c4")
    assert block(bytes(range(32)), 1, nonce)[:16] == expected
    assert Cipher(ChaCha20(bytes(range(32)), b"\x01\0\0\0" + nonce), None).encryptor().update(bytes(16)) == expected


def a_cipher(key=KEY, direction=0, epoch=0, stream=0, frame=0, header=b"header", tag_bits=32):
    return FrameCipher(Direction(key, direction, tag_bits), epoch, stream, frame, header)


def stream_of(purpose, epoch, stream, frame, blocks):
    """Bits of the stream for a purpose, by the letter."""
    nonce = b"".join(value.to_bytes(4, "little") for value in (epoch, stream, frame))
    content = b"".join(block(KEY.derive(purpose), number, nonce) for number in range(blocks))
    return np.unpackbits(np.frombuffer(content, np.uint8))


def test_packets_begin_at_bytes_of_their_own():
    got = a_cipher(direction=1, epoch=0x1234, stream=9, frame=77).bits(np.array([100, 0, 601]))
    whole = stream_of("bits 1", 0x1234, 9, 77, 4)
    assert np.array_equal(got, np.concatenate([whole[:100], whole[2 * 608 :][:601]]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=6))
def test_packets_have_as_many_bytes_as_the_longest(lengths):
    """Each beginning of its share, of the stream in one piece."""
    lengths = np.array(lengths)
    share = -(-lengths.max() // 8) * 8
    bits = a_cipher(epoch=5).bits(lengths)
    whole = a_cipher(epoch=5).bits(np.array([share * len(lengths)]))
    assert bits.dtype == np.uint8
    assert np.array_equal(bits, np.concatenate([whole[i * share :][:n] for i, n in enumerate(lengths)]))


def test_tags_are_those_of_the_document():
    cipher = a_cipher(direction=1, epoch=7, stream=9, frame=77, tag_bits=24)
    check, presets = cipher.tags(40, 3)
    stream = stream_of("tags 1 24", 7, 9, 77, 1)
    digest = hmac.digest(KEY.derive("header 1"), b"header", "sha256")
    assert cipher.header_tag == int.from_bytes(digest[:4], "big")
    packets = np.random.default_rng(0).integers(0, 2, (3, 40), np.uint8)
    for number, (packet, whole) in enumerate(zip(packets, check.append(packets, presets), strict=True)):
        tag = stream[64 + 24 * number :][:24] ^ np.unpackbits(np.frombuffer(digest[4:7], np.uint8))
        for place in np.flatnonzero(packet):
            tag = tag ^ stream[place : place + 24]
        assert np.array_equal(whole, np.append(packet, tag))


def test_what_is_asked_for_again_is_kept():
    cipher, lengths = a_cipher(), np.array([124, 124])
    assert cipher.bits(lengths) is cipher.bits(lengths) and cipher.tags(40, 2) is cipher.tags(40, 2)
    assert len(cipher.bits(np.array([80]))) == 80 and cipher.tags(40, 3)[1].shape == (3,)


def test_streams_of_other_keys_directions_epochs_streams_and_frames_are_others():
    ciphers = [
        a_cipher(Key(bytes(32))), a_cipher(), a_cipher(direction=1), a_cipher(epoch=1), a_cipher(stream=1),
        a_cipher(frame=1),
    ]  # fmt: skip
    streams = [cipher.bits(np.array([512])) for cipher in ciphers]
    tags = [cipher.tags(512, 1)[0].columns & 1 for cipher in ciphers]
    for kind in (streams, tags):
        for i, one in enumerate(kind):
            for other in kind[:i]:
                # Of 512 coin tosses 180 to 332 differ but once in 10^11.
                assert 180 < (one != other).sum() < 332


def test_another_header_has_another_tag_and_moves_all_tags_of_packets():
    one, other = a_cipher(), a_cipher(header=b"Header")
    assert one.header_tag != other.header_tag
    moved = one.tags(40, 8)[1] ^ other.tags(40, 8)[1]
    assert len(set(moved.tolist())) == 1 and 4 < int(moved[0]).bit_count() < 28
    assert int(moved[0]) != one.header_tag ^ other.header_tag


@pytest.mark.parametrize(
    ("arguments", "said"), [((KEY, 2), "direction is 2"), ((KEY, 0, 20), "tag_bits is 20"), ((KEY, 0, 0), "tag_bits")]
)
def test_what_is_out_of_range_is_named(arguments, said):
    with pytest.raises(ParameterError, match=said):
        Direction(*arguments)
