import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokcom.packets.universal_hash import UniversalHash


def tags_of(bits, secret, width):
    """The definition, bit by bit."""
    return [
        [sum(bit * secret[j + i] for j, bit in enumerate(row)) % 2 for i in range(width)] for row in np.asarray(bits)
    ]


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([8, 32, 56]))
def test_tags_are_those_of_the_definition(seed, n_bits, width):
    rng = np.random.default_rng(seed)
    secret, bits = rng.integers(0, 2, n_bits + width - 1, np.uint8), rng.integers(0, 2, (3, n_bits), np.uint8)
    presets = rng.integers(0, 1 << width, 3)
    check = UniversalHash(np.packbits(secret), width, n_bits)
    whole = check.append(bits, presets)
    pads = presets[:, None] >> np.arange(width)[::-1] & 1
    assert np.array_equal(whole[:, :n_bits], bits)
    assert np.array_equal(whole[:, n_bits:], tags_of(bits, secret, width) ^ pads)
    assert check.check(whole, presets).all() and check.append(bits).dtype == np.uint8
    broken = whole.copy()
    broken[:, n_bits + rng.integers(width)] ^= 1
    assert not check.check(broken, presets).any()


def test_any_difference_of_packets_moves_tags_evenly():
    """Over all secrets of 8-bit tags for 3-bit packets each difference of tags comes equally often: 2**-8."""
    secrets = (np.arange(1024)[:, None] >> np.arange(10)) & 1
    for difference in range(1, 8):
        bits = np.array([[difference >> place & 1 for place in (2, 1, 0)]], np.uint8)
        tags = [UniversalHash(np.packbits(secret), 8, 3).append(bits)[0, 3:] for secret in secrets]
        values = np.array(tags) @ (1 << np.arange(8))
        assert np.array_equal(np.bincount(values, minlength=256), np.full(256, 4))
