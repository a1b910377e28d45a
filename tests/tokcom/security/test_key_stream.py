import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.security.key_stream import KeyStream
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


def test_packets_begin_at_blocks_of_their_own():
    stream = KeyStream(KEY, 1, 0x1234)
    got = stream.bits(9, 77, np.array([100, 0, 600]))
    nonce = b"".join(value.to_bytes(4, "little") for value in (0x1234, 9, 77))
    secret = KEY.derive("bits 1")
    first = np.unpackbits(np.frombuffer(block(secret, 0, nonce), np.uint8))
    third = np.unpackbits(np.frombuffer(block(secret, 4, nonce) + block(secret, 5, nonce), np.uint8))
    assert np.array_equal(got, np.concatenate([first[:100], third[:600]]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=6))
def test_packets_have_as_many_blocks_as_the_longest(lengths):
    """Each beginning of its share, of the stream in one piece."""
    lengths = np.array(lengths)
    share = -(-lengths.max() // 512) * 512
    bits = KeyStream(KEY, 0, 5).bits(1, 2, lengths)
    whole = KeyStream(KEY, 0, 5).bits(1, 2, np.array([share * len(lengths)]))
    assert bits.dtype == np.uint8
    assert np.array_equal(bits, np.concatenate([whole[i * share :][:n] for i, n in enumerate(lengths)]))


def test_streams_of_other_keys_directions_epochs_streams_and_frames_are_others():
    lengths = np.array([512])
    streams = [
        KeyStream(Key(bytes(32)), 0, 0).bits(0, 0, lengths),
        *(KeyStream(KEY, *which).bits(*frame, lengths) for which in ((0, 0), (1, 0), (0, 1)) for frame in ((0, 0),)),
        KeyStream(KEY, 0, 0).bits(1, 0, lengths),
        KeyStream(KEY, 0, 0).bits(0, 1, lengths),
    ]
    for i, one in enumerate(streams):
        for other in streams[:i]:
            # Of 512 coin tosses 180 to 332 differ but once in 10^11.
            assert 180 < (one != other).sum() < 332


@pytest.mark.parametrize(
    ("arguments", "said"), [((KEY, 2, 0), "direction is 2"), ((KEY, 0, 1 << 15), "epoch is 32768")]
)
def test_what_is_out_of_range_is_named(arguments, said):
    with pytest.raises(ParameterError, match=said):
        KeyStream(*arguments)
