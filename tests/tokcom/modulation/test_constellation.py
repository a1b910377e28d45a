import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.modulation.constellation import BIT_ORDERS, Constellation

NAMES = ("bpsk", "qpsk", "16qam", "64qam", "256qam")
every = pytest.mark.parametrize("name", NAMES)
both = pytest.mark.parametrize("order", BIT_ORDERS)


@every
@both
def test_points_are_distinct_and_of_unit_energy(name, order):
    points = Constellation(name, order).points
    assert len(np.unique(points.round(5))) == len(points)
    assert np.isclose(np.mean(np.abs(points) ** 2), 1)


@every
@both
def test_neighbours_differ_in_one_bit(name, order):
    points = Constellation(name, order).points
    distance = np.abs(points[:, None] - points)
    nearest = np.isclose(distance, distance[distance > 0].min(), atol=1e-4)
    assert all((a ^ b).bit_count() == 1 for a, b in zip(*np.nonzero(nearest), strict=True))
    assert (nearest.sum(axis=1) >= 1).all()


def test_points_of_the_standards():
    """3GPP TS 38.211, 5.1.4; IEEE 802.11-2020, table 17-16."""
    gpp, ieee = Constellation("16qam", "3gpp"), Constellation("16qam", "ieee802.11")
    scale = 10**-0.5
    assert np.allclose(
        gpp.points[[0b0000, 0b0011, 0b1000, 0b0110]], np.array([1 + 1j, 3 + 3j, -1 + 1j, 3 - 1j]) * scale
    )
    assert np.allclose(
        ieee.points[[0b0000, 0b0100, 0b1100, 0b1010]], np.array([-3 - 3j, -1 - 3j, 1 - 3j, 3 + 3j]) * scale
    )


@given(
    name=st.sampled_from(NAMES[:4]), order=st.sampled_from(BIT_ORDERS), esn0_db=st.floats(-5, 20),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_exact_llrs_are_bayes_rule(name, order, esn0_db, seed):
    constellation = Constellation(name, order)
    rng = np.random.default_rng(seed)
    variance = 10 ** (-esn0_db / 10)
    received = rng.normal(size=(2, 5)) + 1j * rng.normal(size=(2, 5))
    likelihood = -(np.abs(received[..., None] - constellation.points.astype(complex)) ** 2) / variance
    width = constellation.bits_per_symbol
    ones = (np.arange(1 << width)[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(bool)
    for method, total in (("exact", np.logaddexp.reduce), ("maxlog", np.maximum.reduce)):
        expected = np.stack(
            [total(likelihood[..., one], axis=-1) - total(likelihood[..., ~one], axis=-1) for one in ones.T], axis=-1
        )
        got = constellation.llrs(received, variance, 5 * width, method)
        assert np.allclose(got, expected.reshape(2, -1), rtol=1e-3, atol=1e-3 * max(1, 1 / variance))


@given(
    name=st.sampled_from(NAMES), order=st.sampled_from(BIT_ORDERS), n_bits=st.integers(1, 40), seed=st.integers(0, 9)
)
def test_bits_come_back_from_any_number_of_symbols(name, order, n_bits, seed):
    constellation = Constellation(name, order)
    bits = np.random.default_rng(seed).integers(0, 2, (3, n_bits), dtype=np.uint8)
    symbols = constellation.map(bits)
    assert symbols.dtype == np.complex64 and symbols.shape == (3, constellation.symbols_for(n_bits))
    assert np.array_equal(constellation.llrs(symbols, 0.01, n_bits) > 0, bits)


def test_noise_may_differ_by_symbol():
    constellation = Constellation("qpsk")
    symbols = constellation.map(np.ones((1, 4), np.uint8))
    llrs = constellation.llrs(symbols, np.array([[1.0, 0.5]]), 4)
    assert np.allclose(llrs[0, 2:], 2 * llrs[0, :2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 3)), 1.0, 16), r"\(1, 3\)"),
        ((np.zeros((1, 4)), 0.0, 16), "noise_variance is 0.0"),
        ((np.zeros((1, 4)), np.nan, 16), "noise_variance is nan"),
        ((np.zeros((1, 4)), 1.0, 16, "best"), "'best'"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Constellation("16qam").llrs(*arguments)


def test_unknown_names_are_answered_with_those_that_exist():
    with pytest.raises(ParameterError, match="16qam"):
        Constellation("32qam")
    with pytest.raises(ParameterError, match="3gpp"):
        Constellation("16qam", "dvb")


def test_pair_metrics_are_the_likelihoods_of_levels():
    """Two max-log LLRs of a 4-level component hold all that its received value said about the four levels."""
    rng = np.random.default_rng(8)
    constellation = Constellation("16qam")
    symbols = (rng.normal(size=(50, 31)) + 1j * rng.normal(size=(50, 31))).astype(np.complex64)
    variance = rng.uniform(0.01, 3, symbols.shape)
    metrics = constellation.pair_metrics(constellation.llrs(symbols, variance, 124, "maxlog"))
    # The point of label 5 (0101) has the component of pair 01 on both axes, and so on.
    levels = constellation.points[[0b0000, 0b0101, 0b1010, 0b1111]].real
    received = np.stack([symbols.real, symbols.imag], axis=-1).reshape(50, 62)
    expected = -((received[..., None] - levels) ** 2) / np.repeat(variance, 2, axis=1)[..., None]
    difference = metrics - expected
    assert np.ptp(difference, axis=-1).max() < 1e-3


def test_pair_metrics_of_nothing_say_nothing():
    assert not Constellation("16qam").pair_metrics(np.zeros((1, 4), np.float32)).any()


@pytest.mark.parametrize(
    ("name", "order", "n_bits"),
    [("qpsk", "ieee802.11", 4), ("64qam", "ieee802.11", 6), ("16qam", "3gpp", 4), ("16qam", "ieee802.11", 3)],
)
def test_where_neighbours_make_no_component_there_are_no_pair_metrics(name, order, n_bits):
    assert Constellation(name, order).pair_metrics(np.ones((1, n_bits), np.float32)) is None
