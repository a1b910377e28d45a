import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.phy import grid
from tokcom.phy.numerology import CARRIERS, MAX_PAYLOAD_SYMBOLS, pseudo_random_bits

pytestmark = pytest.mark.filterwarnings("error")


def gaussian(rng, *shape):
    return ((rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)).astype(np.complex64)


def tone_offset(n, frequency):
    return np.exp(1j * frequency * np.arange(n))


def on_carriers(cells):
    """Data cells and pilots in rising order of frequency, symbol by symbol."""
    out = np.zeros((len(cells), 52), complex)
    for t, row in enumerate(cells):
        first = 5 * t % 13
        pilots = [first, first + 13, first + 26, first + 39]
        out[t, pilots] = grid.pilots(len(cells))[t]
        out[t, [k for k in range(52) if k not in pilots]] = row
    return out


@given(n_symbols=st.integers(0, 300) | st.integers(0, MAX_PAYLOAD_SYMBOLS))
def test_interleaving_uses_every_cell_once(n_symbols):
    places = grid.interleaving(n_symbols)
    assert places.shape == (48 * n_symbols,) and np.array_equal(np.sort(places), np.arange(48 * n_symbols))


@given(n_symbols=st.integers(1, 400))
def test_any_48_values_in_a_row_use_every_carrier(n_symbols):
    carriers = grid.interleaving(n_symbols) % 48
    for start in range(0, 48 * n_symbols - 47, 7):
        assert len(set(carriers[start : start + 48])) == 48
    # Values fewer than 11 places apart are at least 4 data carriers apart.
    for apart in range(1, min(11, len(carriers))):
        assert np.min(np.abs(carriers[apart:] - carriers[:-apart])) >= 4


@given(n_symbols=st.integers(8, 400))
def test_a_packet_is_spread_over_the_length_of_the_burst(n_symbols):
    """31 values (a packet of 16-QAM) leave no stretch of a quarter of the burst without one."""
    symbols = grid.interleaving(n_symbols) // 48
    starts = range(0, 48 * n_symbols - 30, 31)
    gaps = [np.diff(np.sort(np.r_[0, symbols[s : s + 31], n_symbols - 1])).max() for s in starts]
    assert max(gaps) <= max(2, n_symbols / 4)


def test_the_interleaving_is_that_of_the_air_interface():
    """By hand: 2 symbols step by 1 * 48 + 13 = 61 of 96 cells; 1 symbol by 61, that is 13 of 48."""
    assert grid.interleaving(1)[:6].tolist() == [0, 13, 26, 39, 4, 17]
    assert grid.interleaving(2)[:6].tolist() == [0, 61, 26, 87, 52, 17]
    # 10 symbols: the golden section is 6.18; 6 * 48 + 13 = 301 has no factor in common with 480.
    assert grid.interleaving(10)[:4].tolist() == [0, 301, 122, 423]


def test_the_rotation_takes_two_bits_a_cell():
    """Of 15 ones, seven cells turn by three quarters; 96 bits are one OFDM symbol's."""
    turns = grid.rotation(700)
    bits = pseudo_random_bits(2 * 48 * 700)
    assert np.allclose(turns[0, :7], -1j)
    expected = 1j ** (2 * bits[0::2] + bits[1::2].astype(int))
    assert np.allclose(turns.ravel(), expected, atol=1e-6)


def test_pilots_have_the_signs_of_the_register_from_its_bit_8192_on():
    values = grid.pilots(200)
    bits = pseudo_random_bits(8192 + 800)[8192:].reshape(200, 4)
    assert values.shape == (200, 4) and np.array_equal(values, 1 - 2.0 * bits)


def test_the_pilots_of_no_two_stretches_of_symbols_are_alike():
    """Ten symbols' signs, wherever they begin: those of any other ten in a row agree in few of 40."""
    rows = np.lib.stride_tricks.sliding_window_view(grid.pilots(2300).ravel(), 40)[::4]
    alike = rows[:300] @ rows.T
    np.fill_diagonal(alike, 0)
    assert np.abs(alike).max() <= 36


def test_pilots_stand_13_carriers_apart_and_visit_every_carrier_in_13_symbols():
    places = grid.pilot_places(40)
    assert (np.diff(places, axis=1) == 13).all() and places[:4, 0].tolist() == [0, 5, 10, 2]
    for start in range(27):
        assert sorted(places[start : start + 13].ravel()) == list(range(52))
    together = np.concatenate([grid.data_places(40), places], axis=1)
    assert np.array_equal(np.sort(together, axis=1), np.tile(np.arange(52), (40, 1)))


@given(n_values=st.integers(0, 3000), seed=st.integers(0, 2**32 - 1))
def test_values_come_back_from_their_cells(n_values, seed):
    values = gaussian(np.random.default_rng(seed), n_values)
    cells = grid.spread(values)
    assert cells.shape == (-(-n_values // 48), 48) and cells.dtype == np.complex64
    assert np.allclose(grid.gather(cells, n_values), values, atol=1e-6)
    # What is left over has unit power, too.
    left = cells.size - n_values
    assert np.sum(np.abs(cells) ** 2) == pytest.approx(np.sum(np.abs(values) ** 2) + left, rel=1e-3, abs=1e-3)


def test_the_waveform_is_noise_like_whatever_it_carries():
    """All cells alike: no sample of 200 symbols stands out, no line in the spectrum."""
    cells = grid.spread(np.ones(48 * 200, np.complex64))
    samples = grid.ofdm_symbols(cells)
    assert np.max(np.abs(samples) ** 2) < 15
    assert np.abs(cells.mean(axis=0)).max() < 0.3


@given(n_symbols=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_samples_are_the_defining_sum_with_a_cyclic_prefix(n_symbols, seed):
    rng = np.random.default_rng(seed)
    cells = gaussian(rng, n_symbols, 48)
    samples = grid.ofdm_symbols(cells)
    assert samples.dtype == np.complex64 and samples.shape == (80 * n_symbols,)
    values = on_carriers(cells)
    expected = values @ np.exp(2j * np.pi * np.arange(-16, 64)[:, None] * CARRIERS / 64).T
    assert np.allclose(samples.reshape(-1, 80), expected / np.sqrt(52), atol=1e-5)


def test_samples_of_unit_cells_have_unit_mean_power():
    samples = grid.ofdm_symbols(grid.spread(np.ones(48 * 500, np.complex64)))
    body = samples.reshape(-1, 80)[:, 16:]
    assert np.mean(np.abs(body) ** 2) == pytest.approx(1, abs=1e-5)
    assert np.mean(np.abs(samples) ** 2) == pytest.approx(1, abs=0.02)


@given(
    n_symbols=st.integers(1, 10), early=st.integers(0, 16), frequency=st.floats(-3, 3), seed=st.integers(0, 2**32 - 1)
)
def test_carriers_come_back_from_samples(n_symbols, early, frequency, seed):
    """Up to a phase that is linear in the carriers where the window begins within the cyclic prefix."""
    rng = np.random.default_rng(seed)
    cells = gaussian(rng, n_symbols, 48)
    samples = grid.ofdm_symbols(cells) * tone_offset(80 * n_symbols, frequency)
    starts = 16 - early + 80 * np.arange(n_symbols)
    spectra = grid.carriers_of(samples.astype(np.complex64), starts, frequency)
    # A cell of unit power comes out with 64/52 of it, as no power is on the empty carriers.
    turned = np.sqrt(52 / 64) * spectra * np.exp(2j * np.pi * early * np.arange(64) / 64)
    assert np.allclose(turned[:, CARRIERS], on_carriers(cells), atol=2e-4)
    assert np.allclose(turned[:, np.setdiff1d(np.arange(64), CARRIERS % 64)], 0, atol=2e-4)


def test_noise_keeps_its_power():
    """Parseval: every window's energy is that of its spectrum."""
    rng = np.random.default_rng(0)
    noise = gaussian(rng, 6400)
    spectra = grid.carriers_of(noise, 64 * np.arange(100), 0.1)
    assert np.allclose(np.sum(np.abs(spectra) ** 2, axis=1), np.sum(np.abs(noise.reshape(100, 64)) ** 2, axis=1))


@pytest.mark.parametrize("missing", [1, 4, 16])
def test_windows_stay_within_the_samples(missing):
    """A window of a symbol whose last samples are missing begins earlier, in its cyclic prefix."""
    rng = np.random.default_rng(1)
    symbols = grid.ofdm_symbols(rng.choice([-1, 1], (2, 48)).astype(np.complex64))
    symbols *= np.exp(0.1j * np.arange(160)).astype(np.complex64)
    held = np.r_[symbols[:-missing], np.full(64, np.nan, np.complex64)]
    starts = np.array([16, 96])
    assert np.allclose(
        grid.carriers_of(held[: 160 - missing], starts, 0.1), grid.carriers_of(symbols, starts, 0.1), atol=1e-5
    )


def test_no_symbols_are_no_samples():
    empty = grid.spread(np.zeros(0, np.complex64))
    assert empty.shape == (0, 48) and grid.ofdm_symbols(empty).size == 0
    assert grid.gather(empty, 0).size == 0
    assert grid.carriers_of(np.ones(100, np.complex64), np.zeros(0, int), 0.1).shape == (0, 64)


@pytest.mark.parametrize(("n_values", "n_symbols"), [(0, 0), (1, 1), (48, 1), (49, 2), (96, 2)])
def test_as_many_symbols_as_it_takes(n_values, n_symbols):
    assert grid.symbols_for(n_values) == n_symbols


def test_what_is_kept_for_later_cannot_be_changed():
    for kept in (grid.interleaving(3), grid.rotation(3), grid.pilots(3)):
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 0
