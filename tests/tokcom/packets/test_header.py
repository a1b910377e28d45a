import binascii

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.header import (
    BASE_BITS,
    FIELDS,
    FRAME_IDS,
    LIGHTER,
    MAX_PACKETS,
    MCS_COUNT,
    MCS_NOT_SENT,
    SHARES,
    BurstHeader,
    HeaderBase,
    extension_length,
    two_groups,
)
from tokcom.packets.labels import LABELS

pytestmark = pytest.mark.filterwarnings("error")

SCHEMES = (*range(MCS_COUNT), MCS_NOT_SENT)


def crc16(text):
    """CRC-16/IBM-3740 of any number of bits by the standard library: ones preset in the register are the same as
    flipped first bits, and leading zeros do not matter to a register of zeros."""
    flipped = "".join(str(1 - int(bit)) for bit in text[:16]) + text[16:]
    padded = flipped.zfill(-(-len(flipped) // 8) * 8)
    return f"{binascii.crc_hqx(int(padded, 2).to_bytes(len(padded) // 8, 'big'), 0):016b}"


def as_bits(text):
    return np.array([int(bit) for bit in text], np.uint8)


def signed(text):
    """Bits with their CRC."""
    return as_bits(text + crc16(text))


def a_header(n_packets=64, mcs=None, **fields):
    values = {
        "stream_id": 5, "frame_id": 77, "codebook_id": 0x1234, "layout_seed": 9, "rows": 0, "columns": 4 * n_packets,
        "tokens_per_packet": 4, "token_bits": 10, "cmi": None,
    } | fields  # fmt: skip
    return BurstHeader(**values, mcs=np.full(n_packets, 6) if mcs is None else np.array(mcs))


def base_text(**changed):
    """A good base as text, field by field, with some of the fields changed."""
    fields = {
        "version": 1, "flags": 0, "stream_id": 5, "frame_id": 77, "codebook_id": 0x1234, "layout_seed": 9, "rows": 0,
        "columns": 256, "tokens_per_packet": 3, "token_bits": 10, "cmi": 0, "mcs": 6, "extension_bytes": 0,
    } | changed  # fmt: skip
    return "".join(f"{fields[name]:0{width}b}" for name, width in FIELDS.items())


@st.composite
def headers(draw):
    """Headers whose MCS come in runs."""
    per_packet = draw(st.integers(1, 64))
    rows = draw(st.integers(0, 255))
    longest = min(4095, MAX_PACKETS * per_packet // max(rows, 1))
    columns = draw(st.integers(1, longest) | st.integers(1, min(longest, 40)))
    n_packets = -(-max(rows, 1) * columns // per_packet)
    runs = draw(st.lists(st.tuples(st.sampled_from(SCHEMES), st.integers(1, 700)), min_size=1, max_size=60))
    mcs = np.resize(np.repeat([run[0] for run in runs], [run[1] for run in runs]), n_packets)
    return BurstHeader(
        draw(st.integers(0, 63)), draw(st.integers(0, FRAME_IDS - 1)), draw(st.integers(0, 0xFFFF)),
        draw(st.integers(0, 0xFFFF)), rows, columns, per_packet, draw(st.integers(1, 18)),
        draw(st.none() | st.integers(0, 4094)), mcs, draw(st.sampled_from(LABELS)),
    )  # fmt: skip


def test_the_base_is_laid_out_as_on_the_air():
    header = BurstHeader(37, 0xABCDE, 0x1234, 0xBEEF, 16, 1000, 4, 10, 284, np.full(4000, 6))
    base, extension = header.to_bits()
    text = (
        "0001" "00000" "100101" "10101011110011011110" "0001001000110100" "1011111011101111" "00010000" "001111101000"
        "000011" "01010" "000100011101" "0110" "00000000"
    )  # fmt: skip
    assert "".join(map(str, base)) == text + crc16(text)
    assert len(base) == BASE_BITS == 138 and not extension.size


@pytest.mark.parametrize(
    ("mcs", "text"),
    [
        # Form 1: 30 times MCS 6, three packets not sent, 300 times MCS 0 in two runs; a nibble fills up the byte.
        (
            [6] * 30 + [15] * 3 + [0] * 300,
            "0001" "0110" "00011101" "1111" "00000010" "0000" "11111111" "0000" "00101011" "0000",
        ),
        # Form 0: every packet by itself.
        ([0, 11, 15, 5, 0, 11], "0000" "0000" "1011" "1111" "0101" "0000" "1011" "0000"),
        # All packets alike that are not sent.
        ([15, 15, 15, 15, 15], "0001" "1111" "00000100"),
        # Both forms are of one length: the packets by themselves.
        ([3, 3, 15], "0000" "0011" "0011" "1111"),
    ],
    ids=["runs", "raw", "nothing sent", "a draw"],
)  # fmt: skip
def test_the_extension_is_laid_out_as_on_the_air(mcs, text):
    header = a_header(len(mcs), mcs)
    base, extension = header.to_bits()
    assert "".join(map(str, extension)) == text + crc16(text)
    assert "".join(map(str, base))[110:122] == "1111" + f"{len(text) // 8:08b}"
    assert len(extension) == extension_length(len(text) // 8)
    assert HeaderBase.from_bits(base).header(extension) == header


@given(header=headers())
def test_any_header_comes_back(header):
    try:
        base, extension = header.to_bits()
    except ParameterError as error:
        assert "a header extension has 255" in str(error)
        assert np.count_nonzero(np.diff(header.mcs.astype(int))) >= 255 * 2 / 3 - 1 - 16 and header.n_packets > 509
        return
    parsed = HeaderBase.from_bits(base)
    assert extension.size == extension_length(parsed.extension_bytes)
    assert parsed.header(extension if extension.size else None) == header
    assert header.n_tokens == np.prod(header.grid)


@given(n_packets=st.integers(1, 509), seed=st.integers(0, 2**32 - 1))
def test_any_mcs_map_of_up_to_509_packets_comes_back(n_packets, seed):
    rng = np.random.default_rng(seed)
    header = a_header(n_packets, rng.choice(SCHEMES, n_packets))
    base, extension = header.to_bits()
    assert HeaderBase.from_bits(base).header(extension if extension.size else None) == header


def test_an_mcs_map_too_wild_is_refused():
    with pytest.raises(ParameterError, match=r"the MCS of 510 packets take 256 bytes"):
        a_header(510, np.arange(510) % 2).to_bits()


@pytest.mark.parametrize(
    ("mcs", "version", "flags", "first"),
    [
        ([6] * 64, 1, 0, 6),
        ([14] * 64, 2, 0, 14),
        ([8] * 40 + [10] * 24, 2, 20, 8),
        ([14] * 2 + [15] * 62, 2, 1, 14),
        # An odd length has no share of 32 parts, another step no name.
        ([8] * 41 + [10] * 23, 1, 0, 15),
        ([8] * 40 + [11] * 24, 1, 0, 15),
        ([13] * 41 + [14] * 23, 2, 0, 15),
        # Of several shares with one length, the smallest.
        ([6, 7], 2, 16, 6),
    ],
)
def test_the_simplest_version_that_can_say_it_is_used(mcs, version, flags, first):
    header = a_header(len(mcs), mcs)
    base, extension = header.to_bits()
    text = "".join(map(str, base))
    assert (int(text[:4], 2), int(text[4:9], 2), int(text[110:114], 2)) == (version, flags, first)
    assert header.version == version and header.bits == len(base) + len(extension)
    assert (extension.size > 0) == (first == 15)
    assert HeaderBase.from_bits(base).header(extension if extension.size else None) == header


@given(first=st.integers(0, MCS_COUNT - 1), share=st.integers(0, SHARES - 1), n_packets=st.integers(1, 4095))
def test_two_groups_come_back_without_an_extension(first, share, n_packets):
    mcs = two_groups(first, share, n_packets)
    assert (mcs[: n_packets * share // SHARES] == first).all()
    assert (mcs[n_packets * share // SHARES :] == (LIGHTER[first] if share else first)).all()
    header = BurstHeader(0, 0, 0, 0, 0, n_packets, 1, 10, None, mcs)
    base, extension = header.to_bits()
    # Only where the first group is empty and nothing else is sent does it take one.
    assert not extension.size or (header.mcs == MCS_NOT_SENT).all()
    assert HeaderBase.from_bits(base).header(extension if extension.size else None) == header


def test_an_extension_with_the_flags_of_two_groups_is_refused():
    text = "0000" + "0110" + "0111" + "0110" + "0110" + "0000"
    base = HeaderBase.from_bits(signed(base_text(version=2, flags=3, columns=16, mcs=15, extension_bytes=3)))
    with pytest.raises(HeaderError, match="not the shortest"):
        base.header(signed(text))


def test_every_wrong_bit_is_seen():
    good = a_header().to_bits()[0]
    for place in range(BASE_BITS):
        bad = good.copy()
        bad[place] ^= 1
        with pytest.raises(HeaderError) as caught:
            HeaderBase.from_bits(bad)
        assert caught.value.kind == "crc"


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"version": 0}, "version", "version 0; this receiver knows 1, 2, 3, 4"),
        ({"version": 5}, "version", "version 5"),
        ({"version": 3}, "contents", "not the simplest"),
        ({"version": 4}, "contents", "not the simplest"),
        # What version 1 says as well is said in version 1.
        ({"version": 2}, "contents", "not the simplest"),
        # 64 packets in 32 parts: the first group has two.
        ({"version": 2, "flags": 1, "columns": 4}, "contents", "not the simplest"),
        ({"version": 15, "flags": 31}, "version", "version 15"),
        ({"flags": 3}, "contents", "flags are 00011; version 1 knows 00000, 00001, 00010"),
        ({"flags": 17}, "contents", "flags are 10001"),
        ({"columns": 0}, "contents", "0 packets"),
        ({"rows": 255, "columns": 4095, "tokens_per_packet": 0}, "contents", "1044225 packets"),
        ({"token_bits": 0}, "contents", "token_bits is 0"),
        ({"token_bits": 19}, "contents", "token_bits is 19"),
        ({"mcs": 12}, "contents", "not the simplest"),
        ({"mcs": 14, "flags": 1}, "contents", "not the simplest"),
        ({"mcs": 14, "flags": 4}, "contents", "flags are 00100"),
        ({"mcs": 15}, "contents", "MCS 15 with an extension of 0 bytes"),
        ({"mcs": 6, "extension_bytes": 3}, "contents", "MCS 6 with an extension of 3 bytes"),
    ],
)
def test_a_whole_header_that_makes_no_sense_is_named(changed, kind, message):
    with pytest.raises(HeaderError, match=message) as caught:
        HeaderBase.from_bits(signed(base_text(**changed)))
    assert caught.value.kind == kind


@pytest.mark.parametrize(("labels", "version"), [("natural", 2), ("semantic", 3), ("contextual", 4)])
def test_labels_that_version_1_has_a_flag_for_are_a_version_of_their_own_beside_groups(labels, version):
    for mcs in (two_groups(8, 20, 64), np.full(64, 13), np.r_[np.full(40, 13), np.full(24, 2)]):
        header = a_header(mcs=mcs, labels=labels)
        base, extension = header.to_bits()
        assert header.version == version
        assert HeaderBase.from_bits(base).header(extension if extension.size else None) == header
    # What version 1 can say may not come in another.
    plain = a_header(mcs=np.r_[np.full(40, 6), np.full(24, 2)], labels=labels)
    assert plain.version == 1
    claimed = HeaderBase.from_bits(signed(base_text(version=version, mcs=15, extension_bytes=plain.extension_bytes)))
    with pytest.raises(HeaderError, match="not the shortest"):
        claimed.header(plain.to_bits()[1])


@pytest.mark.parametrize(("labels", "flags"), [("semantic", "00001"), ("contextual", "00010")])
def test_labels_are_a_flag(labels, flags):
    header = a_header(labels=labels)
    base, _ = header.to_bits()
    assert "".join(map(str, base[:9])) == "0001" + flags
    assert HeaderBase.from_bits(base).header() == header != a_header()


def test_labels_that_are_none_are_refused():
    with pytest.raises(ParameterError, match="labels is 'gray'; it must be one of natural, semantic, contextual"):
        a_header(labels="gray")


def test_the_good_base_that_these_tests_change_is_good():
    assert HeaderBase.from_bits(signed(base_text())).header() == a_header()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0010" + "0110" + "00000011", "form 2"),
        ("0001" + "0110" + "00000010", "4 packets"),
        ("0001" + "0110" + "00000100", "4 packets"),
        ("0001" + "1100" + "00000011", "not the shortest"),
        ("0000" + "0110" * 3, "4 packets"),
        ("0000" + "0110" * 3 + "0101" + "0001" + "0000", "4 packets"),
        ("0000" + "0110" * 3 + "0101" + "0000" * 3, "4 packets"),
        ("0000" + "0110" * 3 + "0101" + "0001", "4 packets"),
        # More than one way to say the same would leave the receiver in doubt how long the header is.
        ("0000" + "0110" * 4 + "0000", "not the shortest"),
        ("0001" + "0110" + "00000001" + "0110" + "00000000" + "0111" + "00000000", "not the shortest"),
    ],
)
def test_an_extension_that_makes_no_sense_is_named(text, message):
    text += "0" * (-len(text) % 8)
    base = HeaderBase.from_bits(signed(base_text(columns=16, mcs=15, extension_bytes=len(text) // 8)))
    with pytest.raises(HeaderError, match=message) as caught:
        base.header(signed(text))
    assert caught.value.kind == "contents"


def test_an_extension_that_did_not_arrive_whole_is_told_so():
    base, extension = (bits.copy() for bits in a_header(4, [6, 6, 15, 6]).to_bits())
    extension[3] ^= 1
    for bad in (extension, None):
        with pytest.raises(HeaderError) as caught:
            HeaderBase.from_bits(base).header(bad)
        assert caught.value.kind == "crc"


@given(contents=st.integers(0, 2**122 - 1), seed=st.integers(0, 2**32 - 1), known=st.booleans(), data=st.data())
def test_no_contents_raise_anything_but_a_header_error(contents, seed, known, data):
    text = f"{contents:0122b}"
    if known:
        # The right version, no flags and a small grid get the fuzzer past the first checks.
        n_bytes = data.draw(st.integers(0, 255))
        few = {"columns": data.draw(st.integers(0, 600)), "rows": data.draw(st.integers(0, 2)), "token_bits": 10}
        text = base_text(mcs=15 if n_bytes else data.draw(st.integers(0, 15)), extension_bytes=n_bytes, **few)
    try:
        base = HeaderBase.from_bits(signed(text))
        n_bits = 8 * base.extension_bytes
        bits = np.random.default_rng(seed).integers(0, 2, n_bits)
        bits[:4] = data.draw(st.sampled_from(([0, 0, 0, 0], [0, 0, 0, 1])))[: len(bits)]
        header = base.header(signed("".join(map(str, bits))) if n_bits else None)
    except HeaderError as error:
        assert error.kind in ("version", "contents")
    else:
        assert "".join(map(str, header.to_bits()[0])) == text + crc16(text)


@pytest.mark.parametrize(
    "bad",
    [
        {"stream_id": 64}, {"stream_id": -1}, {"frame_id": 1 << 20}, {"codebook_id": 1 << 16}, {"layout_seed": -1},
        {"rows": 256}, {"columns": 0}, {"columns": 4096}, {"tokens_per_packet": 0}, {"tokens_per_packet": 65},
        {"token_bits": 0}, {"token_bits": 19}, {"cmi": -1}, {"cmi": 4095},
    ],
    ids=str,
)  # fmt: skip
def test_fields_out_of_range_are_named(bad):
    with pytest.raises(ParameterError, match=f"{next(iter(bad))} is {next(iter(bad.values()))}"):
        a_header(**bad)


@pytest.mark.parametrize("bad", [16, 255, 256, 262, -1, -250, 6.5, float("nan")])
def test_an_mcs_that_is_none_is_named_and_not_wrapped(bad):
    with pytest.raises(ParameterError, match=rf"mcs holds {bad}; it must be 0 to 14, or 15"):
        a_header(4, np.array([0, 1, bad, 2]))


def test_an_mcs_too_many_or_too_few_is_named():
    for n_mcs in (63, 65):
        with pytest.raises(ParameterError, match=rf"\({n_mcs},\); 256 tokens make 64 packets of 4"):
            a_header(64, np.zeros(n_mcs), columns=256)
    with pytest.raises(ParameterError, match="the number of packets is 4097"):
        a_header(4097, rows=17, columns=241, tokens_per_packet=1)


def test_a_header_keeps_its_own_mcs():
    mcs = np.zeros(64, np.uint8)
    header = a_header(mcs=mcs)
    mcs[:] = 3
    assert not header.mcs.any() and header != a_header(mcs=mcs)
    with pytest.raises(ValueError, match="read-only"):
        header.mcs[0] = 1
