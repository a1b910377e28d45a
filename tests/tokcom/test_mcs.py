from functools import cache

import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.packet_codec import PacketCodec
from tokcom.errors import ParameterError
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.mcs import CODE, LISTED_BITS, PAYLOAD_BITS, find_mcs, mcs_table
from tokcom.packets.mcs_map import MCS_COUNT

# Data bits of an OFDM symbol of 48 carriers, IEEE 802.11-2020, table 17-4 (64-QAM 1/2 and others are not in it).
DATA_BITS = {
    "bpsk-1/2": 24, "bpsk-3/4": 36, "qpsk-1/2": 48, "qpsk-3/4": 72, "16qam-1/2": 96, "16qam-3/4": 144, "64qam-2/3": 192,
    "64qam-3/4": 216,
}  # fmt: skip
BITS_PER_SYMBOL = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}


@cache
def packet_error_rate(modulation, rate, esn0_db, packets, bits=40):
    link = PacketLink(LinkConfig(CODE, modulation, bits // 2, rate=rate), 4)
    rng = np.random.default_rng([round(esn0_db * 100) + 1000, packets])
    symbols = awgn(link.modulate(rng.integers(0, 4, (packets, bits // 2))), esn0_db, rng)
    return 1 - link.decode(link.demap(symbols, noise_variance(esn0_db)))[1].mean()


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_packets_fail_as_often_as_the_table_says(row):
    """40 bits and CRC-16, simulated a quarter of a decibel to both sides."""
    for esn0_db, share, packets in ((row.per10_esn0_db, 0.1, 3000), (row.per1_esn0_db, 0.01, 8000)):
        below, above = (packet_error_rate(row.modulation, row.rate, esn0_db + step, packets) for step in (-0.25, 0.25))
        assert above < share < below


@pytest.mark.parametrize("bits", [14, 56, 226, 512])
@pytest.mark.parametrize("name", ["bpsk-1/2", "16qam-3/4", "256qam-1/1"])
def test_where_a_tenth_of_packets_of_any_size_is_predicted_a_tenth_fails(name, bits):
    """Sizes that the table does not hold; 3.5 standard deviations of 4000 packets on top of .08 to .12."""
    row = find_mcs(name)
    lost = packet_error_rate(row.modulation, row.rate, row.thresholds_db(bits)[0], 4000, bits)
    assert 0.08 - 0.015 < lost < 0.12 + 0.018


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_thresholds_are_the_tables_and_grow_with_the_size(row):
    tables = (False, PAYLOAD_BITS, row.per10_by_size, row.per1_by_size), (
        True, LISTED_BITS, row.listed10_by_size, row.listed1_by_size
    )  # fmt: skip
    for listed, sizes, tenth, hundredth in tables:
        held = np.array([row.thresholds_db(bits, listed) for bits in sizes])
        assert held == pytest.approx(np.array([tenth, hundredth]).T)
        many = [1, 5, 10, 14, 57, 300, 640, 2048]
        for thresholds in zip(*(row.thresholds_db(bits, listed) for bits in many), strict=True):
            assert (np.diff(thresholds) > 0).all()
        assert row.thresholds_db(23, listed)[0] == pytest.approx(np.interp(np.log(23), np.log(sizes), tenth))


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_lists_need_less_esn0_at_every_size(row):
    for bits in (16, 40, 256, 760, 2048):
        gains = np.array(row.thresholds_db(bits)) - row.thresholds_db(bits, listed=True)
        assert (gains > 0.4).all() and row.thresholds_db(bits, True)[0] < row.thresholds_db(bits, True)[1]


def test_the_header_counts_them_and_names_them_by_index():
    table = mcs_table()
    assert len(table) == MCS_COUNT and [row.index for row in table] == list(range(MCS_COUNT))
    for row in table:
        assert find_mcs(row.name) is find_mcs(row.index) is find_mcs(str(row.index)) is row
        assert row.name == f"{row.modulation}-{row.rate}"


def test_efficiencies_are_the_standards():
    for name, bits in DATA_BITS.items():
        row = find_mcs(name)
        # Long packets, so that CRC and tail do not matter.
        ratio = row.codec(1 << 16, 6000).coded_length / 96000
        assert 48 * BITS_PER_SYMBOL[row.modulation] / ratio == pytest.approx(bits, rel=1e-3)


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
@pytest.mark.parametrize(("size", "tokens"), [(2, 1), (1000, 4), (1 << 18, 64)])
def test_symbols_of_a_packet_hold_its_coded_bits(row, size, tokens):
    packet = np.zeros((1, tokens), int)
    coded = PacketCodec(CODE, size, tokens, row.rate).encode(packet)
    assert row.symbols(size, tokens) == row.constellation().map(coded).shape[1]
    assert (row.symbols(size, tokens) - 1) * BITS_PER_SYMBOL[row.modulation] < coded.shape[1]


@pytest.mark.parametrize("bad", [15, -1, "16qam", "8psk-1/2", "", None, 6.5])
def test_an_unknown_scheme_is_answered_with_those_that_exist(bad):
    with pytest.raises(ParameterError, match=r"0 to 14 or one of bpsk-1/2, .*256qam-1/1") as caught:
        find_mcs(bad)
    assert repr(bad) in str(caught.value)
