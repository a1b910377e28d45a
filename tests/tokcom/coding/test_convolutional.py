import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.errors import ParameterError


@given(length=st.integers(2, 9), data=st.data())
def test_the_response_to_one_bit_is_the_generators(length, data):
    """The textbook definition: output i is the input convolved with generator i, newest tap first."""
    generators = tuple(data.draw(st.lists(st.integers(1, (1 << length) - 1), min_size=2, max_size=4)))
    code = ConvolutionalCode(length, generators)
    coded = code.encode(np.array([[1]], np.uint8)).reshape(length, len(generators))
    for output, generator in enumerate(generators):
        assert coded[:, output].tolist() == [int(bit) for bit in f"{generator:0{length}b}"]


@given(data=st.data())
def test_the_code_is_linear(data):
    bits = np.array(data.draw(st.lists(st.lists(st.integers(0, 1), min_size=12, max_size=12), min_size=2, max_size=2)))
    code = ConvolutionalCode.named("k7", "3/4")
    first, second = code.encode(bits.astype(np.uint8))
    assert np.array_equal(code.encode((bits[:1] ^ bits[1:]).astype(np.uint8))[0], first ^ second)


@pytest.mark.parametrize(("name", "distance"), [("k3", 5), ("k5", 7), ("k7", 10), ("k9", 12)])
def test_free_distance_of_the_tables(name, distance):
    """Free distances as published for the best rate-1/2 codes (Proakis, table 8.3-1)."""
    row = ConvolutionalCode.named(name)
    code = ConvolutionalCode(row.constraint_length, row.generators)
    n_bits = 10
    messages = (np.arange(1, 1 << n_bits)[:, None] >> np.arange(n_bits)) & 1
    assert code.encode(messages.astype(np.uint8)).sum(axis=1).min() == distance


@pytest.mark.parametrize(("rate", "length"), [("1/2", 124), ("2/3", 93), ("3/4", 83)])
def test_punctured_lengths(rate, length):
    """56 bits and 6 of tail: 62 stages, of which rate 3/4 sends 4 of 6 bits and the remainder's 3 of 4."""
    code = ConvolutionalCode.named("k7", rate)
    assert code.coded_length(56) == length == code.encode(np.zeros((1, 56), np.uint8)).shape[1]


def test_puncturing_drops_what_802_11_drops():
    """Figure 17-9: of A1 B1 A2 B2 A3 B3, rate 3/4 sends A1 B1 A2 B3."""
    code, mother = (ConvolutionalCode(3, (5, 7), terminated=False, keep=keep) for keep in (((1, 1, 0), (1, 0, 1)), ()))
    bits = np.array([[1, 1, 0, 1, 0, 0]], np.uint8)
    full = mother.encode(bits)[0]
    assert code.encode(bits)[0].tolist() == full[[0, 1, 2, 5, 6, 7, 8, 11]].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"constraint_length": 1, "generators": (1, 1)}, "constraint_length is 1"),
        ({"constraint_length": 3, "generators": (5,)}, "1 generators"),
        ({"constraint_length": 3, "generators": (5, 9)}, "generator 11 "),
        ({"constraint_length": 3, "generators": (5, 7), "keep": ((1, 0), (1, 0))}, "keep"),
    ],
)
def test_bad_codes_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        ConvolutionalCode(**arguments)


def test_unknown_names_are_answered_with_those_that_exist():
    with pytest.raises(ParameterError, match="k7"):
        ConvolutionalCode.named("turbo")
    with pytest.raises(ParameterError, match="3/4"):
        ConvolutionalCode.named("k7", "7/8")
