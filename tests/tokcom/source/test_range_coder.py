import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import SourceError
from tokcom.source.range_coder import DecisionDecoder, DecisionEncoder

pytest.importorskip("constriction")


def draw(seed, count):
    rng = np.random.default_rng(seed)
    chances = rng.integers(1, 65536, count)
    return (65536 * rng.random(count) < chances).astype(np.uint8), chances


@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.integers(0, 70))
def test_round_trip(seed, count, zeros):
    bits, chances = draw(seed, count)
    encoder = DecisionEncoder()
    encoder.encode(bits[: count // 2], chances[: count // 2])
    encoder.encode(bits[count // 2 :], chances[count // 2 :])
    decoder = DecisionDecoder(np.pad(encoder.finish(), (0, zeros)))
    np.testing.assert_array_equal(decoder.decode(chances), bits)


def test_length_is_the_information():
    for seed, count in enumerate([1, 10, 100, 1000, 100_000]):
        bits, chances = draw(seed, count)
        encoder = DecisionEncoder()
        encoder.encode(bits, chances)
        information = -np.log2(np.where(bits, chances, 65536 - chances) / 65536).sum()
        assert -8 < len(encoder.finish()) - information < 1 + 1e-3 * information


def test_not_one_bit_could_be_left_out():
    for seed in range(50):
        bits, chances = draw(seed, 60)
        encoder = DecisionEncoder()
        encoder.encode(bits, chances)
        coded = encoder.finish()
        if len(coded):
            assert coded[-1] == 1
            for last in ([], [1]):  # no shorter code either
                shorter = np.concatenate([coded[:-2], last]).astype(np.uint8)
                try:
                    assert not np.array_equal(DecisionDecoder(shorter).decode(chances), bits)
                except SourceError:
                    pass


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_garbage_decodes_or_is_refused(seed, length):
    rng = np.random.default_rng(seed)
    try:
        found = DecisionDecoder(rng.integers(0, 2, length).astype(np.uint8)).decode(rng.integers(1, 65536, 500))
    except SourceError as error:
        assert str(error) == "its bits are not valid"
    else:
        assert set(np.unique(found)) <= {0, 1}


def test_constriction_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    with pytest.raises(SourceError, match="pip install constriction"):
        DecisionEncoder()
