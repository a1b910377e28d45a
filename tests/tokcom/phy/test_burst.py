import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.coding.packet_codec import PacketCodec
from tokcom.errors import BurstError, HeaderError, ParameterError
from tokcom.mcs import find_mcs
from tokcom.packets.crc import Crc
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_base import HeaderBase
from tokcom.packets.header_fields import FIELDS, extension_length
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.burst import first_symbol_start, longest_burst, modulate, packet_symbols, plan_burst
from tokcom.phy.header_codec import header_cells
from tokcom.phy.numerology import MAX_PAYLOAD_SYMBOLS
from tokcom.phy.profile import profile

pytestmark = pytest.mark.filterwarnings("error")

STANDARD, ROBUST = profile("standard"), profile("robust")
both = pytest.mark.parametrize("each", (STANDARD, ROBUST), ids=lambda each: each.name)


def a_header(mcs, per_packet=4, token_bits=10):
    return BurstHeader(5, 77, 0x12345678, (per_packet * len(mcs),), per_packet, token_bits, np.array(mcs))


def unit_symbols(n, seed=0):
    return np.exp(2j * np.pi * np.random.default_rng(seed).random(n)).astype(np.complex64)


def test_the_case_study_fills_what_it_should():
    """64 packets of 124 bits in 16-QAM are 1984 symbols, 42 OFDM symbols; header 9, preamble 320 samples."""
    header = a_header(np.full(64, find_mcs("16qam-1/2").index))
    plan = plan_burst(header, STANDARD)
    assert (plan.header_symbols, plan.payload_symbols, plan.payload_values) == (9, 42, 1984)
    assert plan.length == 320 + 80 * 51
    assert plan_burst(header, ROBUST).length == 1280 + 80 * (27 + 42)


@given(
    mcs=st.lists(st.sampled_from((*range(12), MCS_NOT_SENT)), min_size=1, max_size=40), per_packet=st.integers(1, 64),
    token_bits=st.integers(1, 18), robust=st.booleans(),
)  # fmt: skip
def test_a_burst_is_as_long_as_its_plan(mcs, per_packet, token_bits, robust):
    header, each = a_header(mcs, per_packet, token_bits), ROBUST if robust else STANDARD
    plan = plan_burst(header, each)
    coded = [PacketCodec("k7", 1 << token_bits, per_packet, find_mcs(i).rate).coded_length for i in range(12)]
    width = [find_mcs(i).constellation().bits_per_symbol for i in range(12)]
    expected = [0 if i == MCS_NOT_SENT else -(-coded[i] // width[i]) for i in mcs]
    assert packet_symbols(header).tolist() == expected and plan.payload_values == sum(expected)
    samples = modulate(header, unit_symbols(plan.payload_values), each)
    assert samples.dtype == np.complex64 and samples.shape == (plan.length,) and plan.length <= longest_burst(each)
    assert plan.header_symbols == len(header_cells(header, each))


@both
def test_a_burst_begins_with_its_preamble_and_has_unit_power_throughout(each):
    header = a_header([3] * 60 + [4] * 60)
    samples = modulate(header, unit_symbols(plan_burst(header, each).payload_values), each)
    assert np.array_equal(samples[: each.preamble_length], each.preamble)
    power = np.abs(samples[: len(samples) // 320 * 320].reshape(-1, 320)) ** 2
    assert np.mean(power) == pytest.approx(1, abs=0.02) and np.ptp(power.mean(axis=1)) < 0.5


@both
def test_symbols_begin_where_the_plan_says(each):
    """80 samples a symbol, of which the first 16 repeat the last."""
    header = a_header([6, 6])
    samples = modulate(header, unit_symbols(plan_burst(header, each).payload_values), each)
    start = first_symbol_start(each.long_start, each)
    assert start == each.preamble_length + 16
    for symbol in range((len(samples) - each.preamble_length) // 80):
        window = samples[start + 80 * symbol - 16 : start + 80 * symbol + 64]
        assert np.array_equal(window[:16], window[64:])


def test_a_burst_of_packets_that_are_all_left_out_is_a_header():
    header = a_header([MCS_NOT_SENT] * 5)
    plan = plan_burst(header, STANDARD)
    assert plan.payload_symbols == plan.payload_values == 0
    assert modulate(header, np.zeros(0, np.complex64), STANDARD).shape == (plan.length,)


def test_symbols_too_many_or_too_few_are_named():
    header = a_header([6, 6])
    for n in (0, 61, 63):
        with pytest.raises(BurstError, match=rf"\({n},\); the header announces 62"):
            modulate(header, np.zeros(n, np.complex64), STANDARD)


def test_the_longest_burst_is_allowed_and_no_longer_one():
    """13 tokens of 2 bits are 48 QPSK symbols, an OFDM symbol; 64 of 18 bits are 261 of 64-QAM 3/4."""
    assert plan_burst(BurstHeader(0, 0, 0, (16, 1664), 13, 2, np.full(2048, 3)), ROBUST).payload_symbols == 2048
    with pytest.raises(HeaderError, match="2049 packets take 2049 OFDM symbols; a burst has at most 2048"):
        plan_burst(BurstHeader(0, 0, 0, (39, 683), 13, 2, np.full(2049, 3)), ROBUST)
    fits = BurstHeader(0, 0, 0, (188, 128), 64, 18, np.full(376, 11))
    assert packet_symbols(fits)[0] == 261
    for each in (STANDARD, ROBUST):
        plan = plan_burst(fits, each)
        assert plan.payload_symbols == 2045 and plan.length <= longest_burst(each)
        with pytest.raises(HeaderError, match="377 packets take 2050 OFDM symbols; a burst has at most 2048") as caught:
            plan_burst(BurstHeader(0, 0, 0, (29, 832), 64, 18, np.full(377, 11)), each)
        assert caught.value.kind == "contents"


@given(
    contents=st.integers(0, 2**119 - 1), elements=st.binary(max_size=12), plausible=st.booleans(),
    mcs=st.integers(0, 14),
)  # fmt: skip
def test_no_header_raises_anything_but_a_header_error(contents, elements, plausible, mcs):
    """Random contents with good CRCs; half of them are shrunk until most checks pass."""
    fields, rest = {"version": 1}, f"{contents:0119b}"
    for name, width in list(FIELDS.items())[1:]:
        fields[name], rest = int(rest[:width], 2), rest[width:]
    if plausible:
        fields |= {"layout": fields["layout"] % 1026, "token_bits": fields["token_bits"] % 18, "share": 0}
        fields |= {"extension_symbols": (len(elements) + 4) // 2 if elements else 0, "mcs": mcs}
    bits = np.array([int(bit) for name, value in fields.items() for bit in f"{value:0{FIELDS[name]}b}"], np.uint8)
    crc, n_bits = Crc.named("crc16"), max(extension_length(fields["extension_symbols"]) - 16, 0)
    extension = np.resize(np.unpackbits(np.frombuffer(elements.ljust(n_bits // 8, b"\0"), np.uint8)), n_bits)
    try:
        header = HeaderBase.from_bits(crc.append(bits[None])[0]).header(crc.append(extension[None])[0])
        for each in (STANDARD, ROBUST):
            plan = plan_burst(header, each)
            assert plan.payload_symbols <= MAX_PAYLOAD_SYMBOLS and plan.length <= longest_burst(each)
    except HeaderError as error:
        assert error.kind in ("element", "contents")


def test_headers_that_a_receiver_would_refuse_cannot_be_made():
    with pytest.raises(ParameterError, match="token_bits is 19"):
        a_header([6], token_bits=19)
