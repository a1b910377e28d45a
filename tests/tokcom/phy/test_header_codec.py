import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_fields import BASE_BITS
from tokcom.phy import grid
from tokcom.phy.header_codec import (
    CODE,
    base_symbols,
    decode_base,
    decode_extension,
    encode_header,
    header_cells,
    header_symbols,
)
from tokcom.phy.profile import profile

pytestmark = pytest.mark.filterwarnings("error")

STANDARD, ROBUST = profile("standard"), profile("robust")
both = pytest.mark.parametrize("each", (STANDARD, ROBUST), ids=lambda each: each.name)


def a_header(mcs, frame_id=77):
    return BurstHeader(5, frame_id, 0x12345678, (4 * len(mcs),), 4, 10, np.array(mcs), layout_seed=9)


def decode(cells, each):
    n = base_symbols(each)
    base = decode_base(cells[:n], each)
    return decode_extension(cells[n:], base, each) if base.extension_symbols else base.header()


def noisy(cells, esn0_db, rng):
    noise = rng.normal(size=(2, *cells.shape)) * np.sqrt(10 ** (-esn0_db / 10) / 2)
    return cells + noise[0] + 1j * noise[1]


@given(
    n_packets=st.integers(1, 300), runs=st.integers(1, 20), robust=st.booleans(), scale=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_header_comes_back_at_any_scale(n_packets, runs, robust, scale, seed):
    rng = np.random.default_rng(seed)
    mcs = np.resize(np.repeat(rng.integers(0, 12, runs), rng.integers(1, 50, runs)), n_packets)
    header, each = a_header(mcs, int(rng.integers(1 << 20))), ROBUST if robust else STANDARD
    cells = header_cells(header, each)
    assert len(cells) == header_symbols(each, header.extension_symbols)
    assert np.allclose(np.abs(cells), 1, atol=1e-6)
    assert decode(cells * scale, each) == header


def test_lengths_are_those_of_the_air_interface():
    """138 bits and 6 of tail at rate 1/3 fill 9 OFDM symbols; 2 n - 3 bytes, CRC-16 and tail take n."""
    assert CODE.coded_length(BASE_BITS) == 432 == 9 * 48
    assert [base_symbols(each) for each in (STANDARD, ROBUST)] == [9, 27]
    assert [header_symbols(each, n) for each in (STANDARD, ROBUST) for n in (0, 2, 127)] == [9, 11, 136, 27, 33, 408]
    for n in range(2, 128):
        assert grid.symbols_for(CODE.coded_length(8 * (2 * n - 3) + 16)) == n
        assert grid.symbols_for(CODE.coded_length(8 * (2 * n - 2) + 16)) == n + 1


@both
def test_values_are_the_coded_bits_as_bpsk(each):
    header = a_header([6, 7, 6])
    for values, bits in zip(encode_header(header, each), header.to_bits(), strict=True):
        assert values.shape == (each.header_copies, CODE.coded_length(bits.size))
        assert np.array_equal(values, np.tile(2.0 * CODE.encode(bits[None]) - 1, (each.header_copies, 1)))
    assert [values.shape for values in encode_header(a_header([6, 6]), ROBUST)] == [(3, 432), (3, 0)]


@pytest.mark.parametrize(("each", "esn0_db"), [(STANDARD, -2.0), (ROBUST, -2.0 - 4.77)], ids=["standard", "robust"])
def test_it_holds_in_noise_and_three_copies_are_worth_their_energy(each, esn0_db):
    """The union bound of K=7, rate 1/3 (free distance 15, Eb/N0 2.8 dB) lets about 1% of 138 bits fail at -2 dB; three
    copies are worth 4.77 dB."""
    rng = np.random.default_rng(1)
    cells = header_cells(a_header(np.full(20, 6)), each)
    failed = 0
    for _ in range(300):
        try:
            decode(noisy(cells, esn0_db, rng), each)
        except HeaderError:
            failed += 1
    assert failed <= 15


def test_it_is_lost_far_below_its_threshold_and_says_so():
    rng = np.random.default_rng(2)
    cells = header_cells(a_header(np.full(20, 6)), STANDARD)
    for _ in range(50):
        with pytest.raises(HeaderError) as caught:
            decode(noisy(cells, -10, rng), STANDARD)
        assert caught.value.kind == "crc"


@given(first=st.integers(0, 47), width=st.integers(1, 12))
def test_a_quarter_of_the_carriers_may_fade(first, width):
    header = a_header([6, 6, 15, 6])
    for each in (STANDARD, ROBUST):
        cells = header_cells(header, each).copy()
        cells[:, (first + np.arange(width)) % 48] = 0
        assert decode(cells, each) == header


def test_of_three_copies_two_may_be_lost():
    header = a_header(np.full(8, 3))
    for lost in ((0, 1), (0, 2), (1, 2)):
        cells = header_cells(header, ROBUST).copy()
        for copy in lost:
            cells[9 * copy : 9 * copy + 9] = 0
        assert decode(cells, ROBUST) == header


def test_no_bit_meets_a_carrier_twice():
    """Of a carrier that tells the opposite of what was sent, at the strength of both others, a bit hears one copy."""
    header = a_header(np.full(8, 3))
    for carrier in range(48):
        cells = header_cells(header, ROBUST).copy()
        cells[:, carrier] *= -1.5
        assert decode(cells, ROBUST) == header


@both
@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan, 1e30, -1e-30])
def test_cells_that_say_nothing_fail(each, fill):
    with pytest.raises(HeaderError) as caught:
        decode_base(np.full((base_symbols(each), 48), fill, np.complex128), each)
    assert caught.value.kind == "crc"


@both
def test_another_number_of_symbols_is_refused(each):
    cells = header_cells(a_header([6, 7, 6]), each)
    base = decode_base(cells[: base_symbols(each)], each)
    for wrong in (cells[: base_symbols(each) - 1], cells[: base_symbols(each) + 1], cells[:0]):
        with pytest.raises(HeaderError, match=f"{len(wrong)} OFDM symbols"):
            decode_base(wrong, each)
    with pytest.raises(HeaderError, match="0 OFDM symbols"):
        decode_extension(cells[:0], base, each)
