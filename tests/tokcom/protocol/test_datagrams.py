"""Datagrams against the parser written from docs/token-protocol.md, and against whatever a network may bring."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import DatagramError
from tokcom.packets.layout import LAYOUTS
from tokcom.protocol import datagrams as d
from tokcom.protocol.formats import FrameFormat
from tokcom.protocol.frame_elements import FrameElements
from tokcom.protocol.sections import Section, decode_sections, encode_section, payloads_of, tokens_of

_spec = importlib.util.spec_from_file_location("second_parser", Path(__file__).with_name("second_parser.py"))
second = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(second)

KEY = bytes(range(16))
SIDES = st.lists(st.integers(1, 30), min_size=0, max_size=4).map(tuple)


@st.composite
def formats(draw):
    return FrameFormat(
        draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 18)), draw(SIDES.filter(lambda s: math.prod(s) < 1 << 16)),
        draw(st.integers(1, 64)), draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(("tokens", "bits"))),
    )  # fmt: skip


@st.composite
def frame_elements(draw, payload):
    seed = draw(st.one_of(st.none(), st.integers(0, 65535)))
    if payload == "bits":
        return FrameElements(seed=seed)
    return FrameElements(draw(st.binary(max_size=240)), draw(st.integers(0, 255)), draw(st.integers(0, 255)), seed)


@st.composite
def sections(draw, forms):
    number = draw(st.integers(0, len(forms) - 1))
    form = forms[number]
    grid = form.grid or (draw(st.integers(1, 5000)),)
    n_packets = form.packets(math.prod(grid))
    count = draw(st.integers(1, min(n_packets, 255)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tokens = rng.integers(0, 1 << form.token_bits, (count, form.tokens_per_packet))
    indices = draw(st.sampled_from((None, np.sort(rng.permutation(n_packets)[:count]))))
    label = draw(st.one_of(st.none(), st.integers(0, 65535)))
    payloads = payloads_of(tokens, form.token_bits)
    frame_id, end, elements = draw(st.integers(0, 65535)), draw(st.booleans()), draw(frame_elements(form.payload))
    return Section(number, frame_id, grid, indices, payloads, label, end, elements), tokens


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_both_parsers_read_the_same(data):
    forms = data.draw(st.lists(formats(), min_size=1, max_size=16))
    drawn = [data.draw(sections(forms)) for _ in range(data.draw(st.integers(0, 3)))]
    body = b"".join(encode_section(each, forms[each.format_id]) for each, _ in drawn)
    number = data.draw(st.integers(0, 2**40))
    datagram = d.encode_data(17, number, 2, body, KEY)
    assert second.first_byte(datagram) == (4, 2) == (d.kind_of(datagram), d.class_of(datagram))
    assert second.check(datagram[:-4], number, KEY) == datagram[-4:]
    connect = d.encode_connect(bytes(8), bytes(16), forms, KEY)
    nonce, cookie, told = second.parse_connect(connect)
    assert d.decode_connect(connect) == (nonce, cookie, forms)
    session, low, found = second.parse_data(datagram, told)
    assert (session, low) == (17, number % 65536) == d.numbered(datagram)
    own = decode_sections(d.body_of(datagram), forms)
    assert len(own) == len(found) == len(drawn)
    for mine, other, (sent, tokens) in zip(own, found, drawn, strict=True):
        form = forms[sent.format_id]
        assert (mine.frame_id, mine.label, mine.end) == (other["frame"], other["label"], other["end"])
        values = {number: int.from_bytes(value, "big") for number, value in other["elements"].items() if number != 4}
        assert (
            mine.elements
            == sent.elements
            == FrameElements(other["elements"].get(4, b""), values.get(5, 0), values.get(14, 0), values.get(9))
        )
        assert math.prod(mine.grid) == other["tokens"]
        indices = [index for index, _ in other["packets"]]
        assert indices == ([None] * len(indices) if mine.indices is None else mine.indices.tolist())
        assert [words for _, words in other["packets"]] == tokens.tolist()
        assert np.array_equal(tokens_of(mine.payloads, form.tokens_per_packet, form.token_bits), tokens)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**40), st.integers(0, 2**300), st.floats(0, 10),
    st.dictionaries(st.integers(0, 65535), st.sets(st.integers(0, 65535), max_size=40).map(sorted), max_size=5),
)  # fmt: skip
def test_both_parsers_read_the_same_report(number, before, delay, wanted):
    told = d.Feedback(number % 65536, delay, number, before, tuple((f, tuple(p)) for f, p in wanted.items()))
    datagram = d.encode_feedback(told, 3, number, KEY, limit=60000)
    found = second.parse_feedback(datagram)
    own = d.decode_feedback(datagram)
    assert (own.largest, own.received) == (found["largest"], found["received"])
    assert own.delay_s == pytest.approx(found["delay"] / 1e4)
    assert [i + 1 for i in range(301) if own.before >> i & 1] == found["come"]
    assert {frame: list(packets) for frame, packets in own.wanted} == found["wanted"]
    assert found["wanted"] == {frame: list(packets) for frame, packets in wanted.items()}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_comes_is_refused_by_both_or_read_by_both(data):
    forms = [FrameFormat(1, 10, (16, 16)), FrameFormat(2, 7, (), 5), FrameFormat(3, 3, (2000,), 4)]
    told = [second.parse_format(second.Bytes(each.encode())) for each in forms]
    if data.draw(st.booleans()):
        body = data.draw(st.binary(max_size=80))
    else:
        section, _ = data.draw(sections(forms))
        body = bytearray(encode_section(section, forms[section.format_id]))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        body = bytes(body[: data.draw(st.integers(1, len(body)))])
    try:
        other = second.parse_sections(body, told)
    except second.Malformed:
        with pytest.raises(DatagramError):
            decode_sections(memoryview(body), forms)
    else:
        assert len(decode_sections(memoryview(body), forms)) == len(other)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([d.CONNECT, d.FEEDBACK, d.DATA, d.HELLO, d.COOKIE, d.ACCEPT]))
def test_no_datagram_raises_anything_but_a_datagram_error(body, kind):
    datagram = bytes([64 | kind << 3]) + body
    readers = {
        d.CONNECT: d.decode_connect, d.FEEDBACK: d.decode_feedback, d.DATA: d.body_of, d.HELLO: d.decode_hello,
        d.COOKIE: d.decode_cookie, d.ACCEPT: d.decode_accept,
    }  # fmt: skip
    seconds = {d.CONNECT: second.parse_connect, d.FEEDBACK: second.parse_feedback}
    try:
        readers[kind](datagram)
        good = True
    except DatagramError:
        good = False
    if kind in seconds:
        try:
            seconds[kind](datagram)
            assert good
        except second.Malformed:
            assert not good


@pytest.mark.parametrize("datagram", [b"", b"\x00" * 30, b"\x41" * 30, b"\xc0" * 30, bytes(d.MAX_DATAGRAM + 1)])
def test_other_versions_are_refused(datagram):
    with pytest.raises(DatagramError):
        d.kind_of(datagram)


def test_the_answer_to_a_hello_is_shorter():
    assert len(d.encode_cookie(bytes(8), bytes(16))) < len(d.encode_hello(bytes(8))) == d.HELLO_BYTES
    assert len(d.encode_accept(bytes(8), 1, KEY)) < len(
        d.encode_connect(bytes(8), bytes(16), [FrameFormat(1, 1, ())], KEY)
    )


def test_overhead_is_as_documented():
    form, sizes = FrameFormat(1, 10, (16, 16)), {}
    for count in (1, 2, 4, 8, 16):
        for indices in (np.arange(count), None):
            body = encode_section(Section(0, 5, (16, 16), indices, np.zeros((count, 5), np.uint8)), form)
            sizes[count, indices is None] = len(d.encode_data(1, 1, 0, body, KEY)) / count - form.packet_bytes
    assert [sizes[count, False] for count in (1, 2, 4, 8, 16)] == [14, 7.5, 4.25, 2.625, 1.8125]
    assert [sizes[count, True] for count in (1, 2, 4, 8, 16)] == [13, 6.5, 3.25, 1.625, 0.8125]
