import binascii
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.elements import MCS_MAP, QUANTIZERS, SHAPE, Element, join
from tokcom.packets.header import FREE_TOKENS, BurstHeader
from tokcom.packets.header_base import HeaderBase
from tokcom.packets.header_fields import BASE_BITS, FIELDS, FRAME_IDS, MAX_PACKETS, extension_bytes, extension_length
from tokcom.packets.labels import LABELS
from tokcom.packets.layout import LAYOUTS, SEEDED, SEEDS
from tokcom.packets.mcs_map import LIGHTER, MCS_COUNT, MCS_NOT_SENT, SHARES, two_groups
from tokcom.packets.seal import TAG_WIDTHS, Seal

pytestmark = pytest.mark.filterwarnings("error")

SCHEMES = (*range(MCS_COUNT), MCS_NOT_SENT)
GOOD = {
    "version": 1, "stream_id": 5, "frame_id": 77, "codebook_id": 0x12345678, "payload": 0, "layout": 9,
    "tokens_per_packet": 3, "token_bits": 9, "shape": 255, "cmi": 0, "mcs": 6, "share": 0, "extension_symbols": 0,
}  # fmt: skip
"""A line of 256 tokens of 10 bits, 4 a packet, all in MCS 6."""
SEALS = st.builds(
    Seal, st.integers(0, 65535), st.integers(0, 1), st.integers(0, 32767), st.sampled_from(TAG_WIDTHS),
    st.integers(0, 0xFFFFFFFF),
)  # fmt: skip
BITS = {"payload": "bits", "token_bits": 1, "tokens_per_packet": 4, "layout": "contiguous", "layout_seed": 0}


def crc16(text):
    """CRC-16/IBM-3740 of any number of bits by the standard library: ones preset in the register are the same as
    flipped first bits, and leading zeros do not matter to a register of zeros."""
    if len(text) % 8 == 0:
        return f"{binascii.crc_hqx(int(text, 2).to_bytes(len(text) // 8, 'big'), 0xFFFF):016b}"
    flipped = "".join(str(1 - int(bit)) for bit in text[:16]) + text[16:]
    padded = flipped.zfill(-(-len(flipped) // 8) * 8)
    return f"{binascii.crc_hqx(int(padded, 2).to_bytes(len(padded) // 8, 'big'), 0):016b}"


def as_bits(text):
    return np.array([int(bit) for bit in text], np.uint8)


def signed(text):
    """Bits with their CRC."""
    return as_bits(text + crc16(text))


def base_text(**changed):
    """The good base as text, field by field, with some of the fields changed."""
    return "".join(f"{(GOOD | changed)[name]:0{width}b}" for name, width in FIELDS.items())


def parse(elements=b"", **changed):
    """The header of a base with some fields changed, and of elements in as many symbols as they need."""
    symbols = (len(elements) + 4) // 2 if elements else 0
    base = HeaderBase.from_bits(signed(base_text(**{"extension_symbols": symbols} | changed)))
    if not base.extension_symbols:
        return base.header()
    whole = elements.ljust(extension_bytes(base.extension_symbols), b"\0")
    return base.header(signed("".join(f"{byte:08b}" for byte in whole)))


def a_header(mcs=(6,) * 64, **fields):
    values = {
        "stream_id": 5, "frame_id": 77, "codebook_id": 0x12345678, "grid": (4 * len(mcs),), "tokens_per_packet": 4,
        "token_bits": 10, "mcs": np.array(mcs), "layout_seed": 9,
    }  # fmt: skip
    return BurstHeader(**values | fields)


def comes_back(header):
    base, extension = header.to_bits()
    parsed = HeaderBase.from_bits(base)
    assert len(extension) == extension_length(parsed.extension_symbols)
    assert parsed.extension_symbols == header.extension_symbols
    assert header.bits == len(base) + len(extension)
    return parsed.header(extension if extension.size else None) == header


@st.composite
def headers(draw):
    """Headers of any kind, whose MCS come in runs."""
    bits = draw(st.booleans())
    dimensions = 1 if bits else draw(st.integers(1, 4))
    sides = st.sampled_from((1, 2, 3, 4, 16, 17, 127, 128, 129, 300, 16384, 16385)) | st.integers(1, 20)
    grid = [draw(sides) for _ in range(dimensions)]
    per_packet = draw(st.integers(1, 2048 if bits else 64))
    while np.prod(grid) > min(1 << 20, MAX_PACKETS * per_packet):
        grid[grid.index(max(grid))] //= 2
    n_packets = -(-int(np.prod(grid)) // per_packet)
    runs = draw(st.lists(st.tuples(st.sampled_from(SCHEMES), st.integers(1, 700)), min_size=1, max_size=50))
    mcs = np.resize(np.repeat([run[0] for run in runs], [run[1] for run in runs]), n_packets)
    if np.prod(grid) > FREE_TOKENS:
        mcs = np.where(mcs == MCS_NOT_SENT, 0, mcs)
    layout = "contiguous" if bits else draw(st.sampled_from(LAYOUTS))
    numbers = st.integers(10, 13) | st.integers(15, 255)
    unknown = draw(st.dictionaries(numbers, st.binary(max_size=9), max_size=2))
    return BurstHeader(
        draw(st.integers(0, 63)), draw(st.integers(0, FRAME_IDS - 1)), draw(st.integers(0, 2**32 - 1)), tuple(grid),
        per_packet, 1 if bits else draw(st.integers(1, 18)), mcs, draw(st.none() | st.integers(0, 4094)), layout,
        draw(st.integers(0, SEEDS - 1)) if layout in SEEDED else 0,
        "natural" if bits else draw(st.sampled_from(LABELS)), "bits" if bits else "tokens",
        grid[0] if not bits and draw(st.booleans()) else 1,
        join(Element(number, value, True) for number, value in unknown.items()),
        draw(st.none() | SEALS), description=b"" if bits else draw(st.binary(max_size=9)),
        companion=0 if bits else draw(st.integers(0, 255)),
    )  # fmt: skip


@given(header=headers())
def test_any_header_comes_back(header):
    try:
        assert comes_back(header)
    except ParameterError as error:
        assert "at most 251" in str(error)
        runs = sum(-(-len(list(run)) // 256) for _, run in groupby(header.mcs.tolist()))
        assert min(header.n_packets / 2, 1.5 * runs) > 200


def test_the_base_is_laid_out_as_on_the_air():
    header = BurstHeader(
        37, 0xABCDE, 0x12345678, (16, 32), 4, 10, np.full(128, 6), 284, layout_seed=0x1EF, labels="semantic"
    )
    base, extension = header.to_bits()
    text = (
        "001" "100101" "10101011110011011110" "00010010001101000101011001111000" "01" "00111101111" "000011" "01001"
        "101000101" "000100011101" "0110" "00000" "0000000"
    )  # fmt: skip
    assert "".join(map(str, base)) == text + crc16(text)
    assert len(base) == BASE_BITS == 138 and not extension.size


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"grid": (1,), "mcs": [6]}, {"shape": 0}),
        ({"grid": (256,)}, {"shape": 255}),
        ({"grid": (1, 256)}, {"shape": 0b100001000}),
        ({"grid": (16, 16)}, {"shape": 0b101000100}),
        ({"labels": "contextual"}, {"payload": 2}),
        ({"layout": "contiguous", "layout_seed": 0}, {"layout": 1024}),
        ({"layout": "importance", "layout_seed": 0}, {"layout": 1025}),
        ({"layout": "contiguous", "layout_seed": 0, "follows": 1}, {"layout": 1026}),
        ({"layout": "importance", "layout_seed": 0, "follows": 1}, {"layout": 1027}),
        ({"layout_seed": 0, "follows": 1}, {"layout": 1028}),
        ({"layout_seed": 1019, "follows": 1}, {"layout": 2047}),
        ({"cmi": 0}, {"cmi": 1}),
        ({"cmi": 4094}, {"cmi": 4095}),
        ({"mcs": [14] * 64}, {"mcs": 14}),
        # 1500 is 46 times 32, and 28.
        (
            BITS | {"tokens_per_packet": 1501, "mcs": [6], "grid": (200,)},
            {"payload": 3, "layout": 1024, "tokens_per_packet": 46, "token_bits": 28, "shape": 199},
        ),
    ],
    ids=str,
)
def test_what_the_base_can_say_it_says(fields, expected):
    header = a_header(**fields)
    bits, start = "".join(map(str, header.to_bits()[0])), 0
    for name, width in FIELDS.items():
        assert int(bits[start : start + width], 2) == (GOOD | expected)[name], name
        start += width
    assert header.extension_symbols == 0 and comes_back(header)


@pytest.mark.parametrize(
    ("fields", "symbols", "told"),
    [
        # Sides less one, 7 bits a byte.
        ({"grid": (5000,), "mcs": [6] * 1250}, 3, "0a a7 07"),
        ({"grid": (300, 16), "mcs": [6] * 1200}, 4, "0b 82 2b 0f"),
        ({"grid": (4, 16, 16), "mcs": [6] * 256}, 4, "0b 03 0f 0f"),
        ({"grid": (1 << 20,), "tokens_per_packet": 64, "mcs": [6] * 16384}, 4, "0b bf ff 7f"),
        # Quantizers have nothing to tell but that they are.
        ({"grid": (4, 16, 16), "mcs": [6] * 256, "quantizers": 4}, 4, "0b 03 0f 0f 18"),
        ({"grid": (16, 16), "quantizers": 16}, 2, "18"),
        # Or how many words each has.
        (
            {"grid": (4, 16, 16), "mcs": [6] * 256, "quantizers": 4, "sizes": (1024, 256, 256, 2)},
            8,
            "0b 03 0f 0f 1f 07 87 7f 81 7f 81 7f 01",
        ),
        # Thirty times MCS 6, three packets not sent, MCS 0 for all others; the grid is of powers of two.
        ({"grid": (32, 64), "mcs": [6] * 30 + [15] * 3 + [0] * 479}, 4, "14 61 df 02 00"),
        # A run of 256 and the rest of it.
        ({"grid": (64, 64), "mcs": [6] * 300 + [3] * 724}, 4, "14 6f f6 2b 30"),
        # Each by itself.
        ({"grid": (16,), "mcs": [0, 11, 15, 5]}, 3, "12 0b f5"),
        ({"grid": (20,), "mcs": [0, 11, 15, 5, 1]}, 4, "13 0b f5 10"),
        # Nothing sent.
        ({"grid": (64,), "mcs": [15] * 16}, 3, "11 f0"),
        # Runs of as many bytes as packets by themselves.
        ({"grid": (16,), "mcs": [3, 3, 3, 15]}, 3, "12 33 3f"),
        # Half of the tokens, evenly spread: 32 packets of one MCS, of two, or of several.
        ({"grid": (16, 16), "mcs": [6] * 32 + [15] * 32, "thinning": bytes.fromhex("000080")}, 4, "43 00 00 80"),
        (
            {"grid": (16, 16), "mcs": [6] * 16 + [7] * 16 + [15] * 32, "thinning": bytes.fromhex("000080")},
            4,
            "43 00 00 80",
        ),
        (
            {"grid": (16, 16), "mcs": [6] * 16 + [9] * 16 + [15] * 32, "thinning": bytes.fromhex("000080")},
            5,
            "12 60 f9 43 00 00 80",
        ),
        # Kept as they came.
        ({"elements": bytes.fromhex("d1 07 fa c8 01 02")}, 5, "d1 07 fa c8 01 02"),
        ({"description": b"\1\7\xfa"}, 4, "a3 01 07 fa"),
        ({"description": bytes(range(1, 8)), "follows": 2}, 7, "a7 07 01 02 03 04 05 06 07 f1 02"),
        ({"companion": 3}, 3, "a9 03"),
        ({"grid": (5000,), "mcs": [6] * 1250, "elements": bytes.fromhex("d8")}, 4, "0a a7 07 d8"),
    ],
    ids=str,
)
def test_the_extension_is_laid_out_as_on_the_air(fields, symbols, told):
    header = a_header(**fields)
    _, extension = header.to_bits()
    content = bytes.fromhex(told).ljust(2 * symbols - 3, b"\0")
    text = "".join(f"{byte:08b}" for byte in content)
    assert "".join(map(str, extension)) == text + crc16(text)
    assert header.extension_symbols == symbols and comes_back(header)


@given(n_packets=st.integers(1, 490), seed=st.integers(0, 2**32 - 1))
def test_any_mcs_map_of_up_to_490_packets_comes_back(n_packets, seed):
    assert comes_back(a_header(np.random.default_rng(seed).choice(SCHEMES, n_packets)))


def test_an_mcs_map_too_wild_is_refused():
    wild = np.arange(600) % 2
    with pytest.raises(ParameterError, match=r"the header of 600 packets takes 300 bytes of elements, at most 251"):
        a_header(wild).to_bits()


@pytest.mark.parametrize(
    ("mcs", "first", "share"),
    [
        ([6] * 64, 6, 0),
        ([14] * 64, 14, 0),
        ([8] * 40 + [10] * 24, 8, 20),
        ([14] * 2 + [15] * 62, 14, 1),
        # An odd length has no share of 32 parts, another step no name.
        ([8] * 41 + [10] * 23, 15, 0),
        ([8] * 40 + [11] * 24, 15, 0),
        ([15] * 64, 15, 0),
        # Of several shares with one length, the smallest.
        ([6, 7], 6, 16),
    ],
)
def test_two_groups_need_no_map(mcs, first, share):
    header = a_header(mcs)
    text = "".join(map(str, header.to_bits()[0]))
    assert (int(text[106:110], 2), int(text[110:115], 2)) == (first, share)
    assert (header.extension_symbols > 0) == (first == 15) and comes_back(header)


@given(first=st.integers(0, MCS_COUNT - 1), share=st.integers(0, SHARES - 1), n_packets=st.integers(1, 4095))
def test_two_groups_come_back_without_an_extension(first, share, n_packets):
    mcs = two_groups(first, share, n_packets)
    assert (mcs[: n_packets * share // SHARES] == first).all()
    assert (mcs[n_packets * share // SHARES :] == (LIGHTER[first] if share else first)).all()
    header = a_header(mcs, grid=(n_packets,), tokens_per_packet=1)
    # Only where the first group is empty and nothing else is sent does it take a map.
    shape = 0 if n_packets <= 256 else 3
    assert header.extension_symbols <= shape or (header.mcs == MCS_NOT_SENT).all()
    assert comes_back(header)


def test_every_wrong_bit_is_seen():
    good = a_header().to_bits()[0]
    for place in range(BASE_BITS):
        bad = good.copy()
        bad[place] ^= 1
        with pytest.raises(HeaderError) as caught:
            HeaderBase.from_bits(bad)
        assert caught.value.kind == "crc"


def test_the_good_base_that_these_tests_change_is_good():
    assert parse() == a_header()


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"version": 0}, "version", "version 0; this receiver knows version 1"),
        ({"version": 7}, "version", "version 7"),
        ({"payload": 3, "layout": 1026}, "contents", "follows is 1"),
        ({"token_bits": 18}, "contents", "token_bits is 19"),
        # 2**15 by 2**15 tokens, and 2**10 by 2**10 one a packet.
        ({"shape": 0b111111111}, "contents", "268435456 packets"),
        ({"shape": 0b110101010, "tokens_per_packet": 0}, "contents", "1048576 packets"),
        ({"shape": 0b111111001}, "contents", "4194304 packets"),
        ({"mcs": 15}, "contents", "MCS 15, share 0 and an extension of 0 symbols"),
        ({"mcs": 15, "share": 3, "extension_symbols": 4}, "contents", "MCS 15, share 3"),
        ({"extension_symbols": 1}, "contents", "an extension of 1 symbols"),
        # 64 packets in 32 parts: the first group has two; 4 in 32 parts: none.
        ({"share": 1, "shape": 3}, "contents", "not in its shortest form"),
        ({"share": 31, "shape": 15}, "contents", "not in its shortest form"),
    ],
)
def test_a_whole_base_that_makes_no_sense_is_named(changed, kind, message):
    with pytest.raises(HeaderError, match=message) as caught:
        parse(**changed)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("elements", "changed", "message"),
    [
        # Four packets, and maps of them.
        ("11 f0", {"shape": 15, "mcs": 15}, None),
        ("11 60", {"shape": 15, "mcs": 15}, "not in its shortest form"),
        ("13 60 16 70", {"shape": 15, "mcs": 15}, "does not fit 4 packets"),
        ("12 60 16", {"shape": 15, "mcs": 15}, None),
        ("12 66 66", {"shape": 15, "mcs": 15}, "not in its shortest form"),
        ("12 66 77", {"shape": 15, "mcs": 15}, "not in its shortest form"),
        ("12 60 16", {"shape": 15}, "not in its shortest form"),
        ("00", {"extension_symbols": 2}, "not in its shortest form"),
        # 16 packets: a run too long, one cut in two, a nibble that is not zero.
        ("12 61 06", {"shape": 63, "mcs": 15}, "does not fit 16 packets"),
        ("14 60 56 00 70", {"shape": 63, "mcs": 15}, "not in its shortest form"),
        ("14 60 57 02 81", {"shape": 63, "mcs": 15}, "not in its shortest form"),
        ("13 60 57 02", {"shape": 63, "mcs": 15}, "does not fit 16 packets"),
        # Shapes.
        ("0a 81 7f", {"shape": 0}, "not in its shortest form"),
        ("0a 82 00", {"shape": 0, "tokens_per_packet": 63}, None),
        ("0a 82 00", {"shape": 1, "tokens_per_packet": 63}, "not in its shortest form"),
        ("0a 80 7f", {"shape": 0}, "shape 80 7f is not a grid"),
        ("08", {"shape": 0}, "is not a grid"),
        ("0d 00 00 00 00 00", {"shape": 0}, "is not a grid"),
        ("0a 0f 0f", {"shape": 0}, "not in its shortest form"),
        ("0e ff ff ff ff ff 7f", {"shape": 0}, "packets"),
        ("0c ff ff 7f 02", {"shape": 0, "tokens_per_packet": 63}, "packets"),
        # Quantizers of one, with a value, or of bits.
        ("18", {"shape": 0}, "not in its shortest form"),
        ("19 10", {"shape": 0b101000100}, r"sizes is \(17,\)"),
        # Two quantizers of eight tokens: their words.
        ("1c 87 7f 84 57", {"shape": 0b100010011}, None),
        ("1c 87 7f 87 7f", {"shape": 0b100010011}, "sizes is"),
        ("1c 81 7f 83 7f", {"shape": 0b100010011}, "does not take tokens of 10 bits"),
        ("1b 87 7f 00", {"shape": 0b100010011}, r"sizes is \(1024, 1\)"),
        ("1a 87 ff", {"shape": 0b100010011}, "words of quantizers 87 ff cannot be read"),
        ("18", {"payload": 3, "layout": 1024}, "quantizers"),
        ("18", {"payload": 3}, "layout is 'spread'"),
        ("98", {"shape": 0b101000100}, "not in its shortest form"),
        # Rules of what is sent of 256 tokens.
        ("43 00 00 80", {"shape": 0b101000100}, None),
        ("43 00 00 7e", {"shape": 0b101000100}, "126 tokens, which do not fill packets of 4"),
        ("43 00 01 00", {"shape": 0b101000100}, "sends all 256 tokens"),
        ("43 00 01 04", {"shape": 0b101000100}, "announces 260 tokens"),
        ("43 00 00 00", {"shape": 0b101000100}, "announces 0 tokens"),
        ("43 04 00 80", {"shape": 0b101000100}, "no rule"),
        ("43 02 00 80", {"shape": 0b101000100}, "the rule has 3 bytes; 'regions' has 7"),
        ("47 07 02 00 80 00 00 00 00", {"shape": 255}, "regions need a grid"),
        ("40", {"shape": 0b101000100}, "not in its shortest form"),
        ("0a a7 07 43 00 00 80", {"shape": 0}, "must be sent whole"),
        ("43 00 00 6a", {"payload": 3, "layout": 1024}, "payload of bits"),
        # Companions.
        ("a9 01", {}, None),
        ("a9 00", {}, "not in its shortest form"),
        ("aa 00 01", {}, "not in its shortest form"),
        ("aa 01 00", {}, "companion is 256"),
        ("29 01", {}, "not in its shortest form"),
        ("a9 01", {"payload": 3, "layout": 1024}, "companion is 1"),
        # Elements as such.
        ("14 60", {"mcs": 15}, "truncated"),
        ("7f", {}, "truncated in its first bytes"),
        ("f8 04", {}, "shortest form"),
        ("a0 a0", {}, "in order"),
        ("a8 a0", {}, "in order"),
        ("00 a0", {}, "in order"),
        ("a7 01 05", {}, "shortest form"),
    ],
)  # fmt: skip
def test_an_extension_that_makes_no_sense_is_named(elements, changed, message):
    if message is None:
        parse(bytes.fromhex(elements), **changed)
        return
    with pytest.raises(HeaderError, match=message) as caught:
        parse(bytes.fromhex(elements), **changed)
    assert caught.value.kind == "contents"


def test_an_extension_of_more_symbols_than_it_needs_is_refused():
    with pytest.raises(HeaderError, match="not in its shortest form"):
        parse(bytes.fromhex("18"), shape=0b101000100, extension_symbols=3)


def test_an_element_that_must_be_known_and_is_not_is_named_with_its_frame():
    with pytest.raises(
        HeaderError, match=r"frame 77 of stream 5, codebook 0x12345678, needs element 10, 200"
    ) as caught:
        parse(bytes.fromhex("51 07 78 c8"))
    assert caught.value.kind == "element"


def test_an_element_that_may_be_passed_over_is_kept():
    header = parse(bytes.fromhex("ea 07 08"))
    assert header == a_header(elements=bytes.fromhex("ea 07 08")) != a_header() and comes_back(header)
    # Bytes of zeros at its end are its own.
    assert parse(bytes.fromhex("ea 07 00")).elements == bytes.fromhex("ea 07 00")


@pytest.mark.parametrize(
    ("mcs", "message"), [([6] * 64, "32 of 64 packets"), ([6] * 31 + [15] * 32 + [6], "must be 15, not sent")]
)
def test_packets_that_a_rule_leaves_out_are_not_sent(mcs, message):
    with pytest.raises(ParameterError, match=message):
        a_header(mcs, grid=(16, 16), thinning=bytes.fromhex("000080"))


@pytest.mark.parametrize("elements", ["3a 07 08", "0a a7 07", "a0 00", "aa 07", "b4 12 34 85 67"])
def test_elements_that_are_known_or_needed_or_none_are_no_unknown_ones(elements):
    with pytest.raises(ParameterError, match="elements"):
        a_header(elements=bytes.fromhex(elements))


def test_an_extension_that_did_not_arrive_whole_is_told_so():
    base, extension = (bits.copy() for bits in a_header([6, 6, 15, 6]).to_bits())
    extension[3] ^= 1
    for bad in (extension, None):
        with pytest.raises(HeaderError) as caught:
            HeaderBase.from_bits(base).header(bad)
        assert caught.value.kind == "crc"


@st.composite
def some_elements(draw):
    """Bytes that begin as elements do."""
    numbers = sorted(draw(st.sets(st.integers(1, 20), max_size=4)))
    known = st.sampled_from([b"", b"\x0f\x0f", b"\xa7\x07", b"\x03\x0f\x0f", b"\x60\x16", b"\xf0"])
    parts = [Element(n, draw(known | st.binary(max_size=8)), draw(st.booleans())).to_bytes() for n in numbers]
    return b"".join(parts) + draw(st.binary(max_size=2))


@given(contents=st.integers(0, 2**122 - 1), known=st.booleans(), elements=some_elements() | st.binary(), data=st.data())
def test_no_contents_raise_anything_but_a_header_error(contents, known, elements, data):
    text = f"{contents:0122b}"
    if known:
        # The right version and a small grid get the fuzzer past the first checks.
        few = {
            "shape": data.draw(st.integers(0, 40) | st.sampled_from([0, 0b101000100, 0b110000010])),
            "payload": data.draw(st.integers(0, 3)), "mcs": data.draw(st.sampled_from([6, 15])),
            "share": data.draw(st.sampled_from([0, 0, 16])),
            "extension_symbols": min((len(elements) + 4) // 2, 127) if elements else 0,
        }  # fmt: skip
        text = base_text(**few)
    try:
        base = HeaderBase.from_bits(signed(text))
        content = elements[:251].ljust(251, b"\0")[: max(extension_bytes(base.extension_symbols), 0)]
        bits = signed("".join(f"{byte:08b}" for byte in content)) if base.extension_symbols else None
        header = base.header(bits)
    except HeaderError as error:
        assert error.kind in ("version", "element", "contents")
    else:
        assert comes_back(header) and header.n_tokens <= 1 << 20 and header.n_packets <= MAX_PACKETS
        assert "".join(map(str, header.to_bits()[0])) == text + crc16(text)


def test_a_frame_of_which_too_little_is_sent_is_refused():
    """1024 tokens, and 8 for each that is sent: a burst of a few milliseconds may not announce a second of work."""

    def sending(packets):
        return a_header(np.where(np.arange(512) < packets, 6, 15), grid=(8192,), tokens_per_packet=16)

    with pytest.raises(ParameterError, match="8192 tokens, of which 880 are sent, which allows at most 8064"):
        sending(55)
    assert comes_back(sending(56))
    assert comes_back(a_header([MCS_NOT_SENT] * 256, grid=(32, 32)))


@pytest.mark.parametrize(
    "bad",
    [
        {"stream_id": 64}, {"stream_id": -1}, {"frame_id": 1 << 20}, {"codebook_id": 1 << 32}, {"layout_seed": -1},
        {"layout_seed": 1024}, {"tokens_per_packet": 0}, {"tokens_per_packet": 65}, {"token_bits": 0},
        {"token_bits": 19}, {"cmi": -1}, {"cmi": 4095}, {"quantizers": 3}, {"quantizers": 0}, {"labels": "gray"},
        {"layout": "random"}, {"payload": "words"},
    ],
    ids=str,
)  # fmt: skip
def test_fields_out_of_range_are_named(bad):
    with pytest.raises(ParameterError, match=f"{next(iter(bad))} is {next(iter(bad.values()))!r}"):
        a_header(**bad)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ((), "number of dimensions is 0"),
        ((2, 2, 2, 2, 16), "number of dimensions is 5"),
        ((0, 16), "side of the grid is 0"),
        ((-16, -16), "side of the grid is -16"),
        ((1 << 20, 2), "number of tokens is 2097152"),
        ((1 << 17,), "number of packets is 32768; it must be 1 to 16384"),
    ],
)
def test_grids_that_are_none_are_named(grid, message):
    with pytest.raises(ParameterError, match=message):
        a_header(grid=grid)


@pytest.mark.parametrize(
    "bad",
    [
        {"token_bits": 2}, {"labels": "semantic"}, {"grid": (16, 16)}, {"quantizers": 256}, {"tokens_per_packet": 2049},
        {"layout": "importance"},
    ],
    ids=str,
)  # fmt: skip
def test_bits_have_neither_width_nor_labels_nor_grid(bad):
    assert comes_back(a_header(**BITS))
    with pytest.raises(ParameterError, match=next(iter(bad)) if "grid" not in bad else "dimensions is 2"):
        a_header(**BITS | bad)


@pytest.mark.parametrize("bad", [16, 255, 256, 262, -1, -250, 6.5, float("nan")])
def test_an_mcs_that_is_none_is_named_and_not_wrapped(bad):
    with pytest.raises(ParameterError, match=rf"mcs holds {bad}; it must be 0 to 14, or 15"):
        a_header(np.array([0, 1, bad, 2]))


def test_an_mcs_too_many_or_too_few_is_named():
    for n_mcs in (63, 65):
        with pytest.raises(ParameterError, match=rf"\({n_mcs},\); 256 tokens make 64 packets of 4"):
            a_header(np.zeros(n_mcs), grid=(256,))


def test_a_header_keeps_its_own_mcs():
    mcs = np.zeros(64, np.uint8)
    header = a_header(mcs=mcs)
    mcs[:] = 3
    assert not header.mcs.any() and header != a_header(mcs=mcs)
    with pytest.raises(ValueError, match="read-only"):
        header.mcs[0] = 1


def test_numbers_of_elements_are_those_of_the_air_interface():
    assert (SHAPE, MCS_MAP, QUANTIZERS) == (1, 2, 3)
