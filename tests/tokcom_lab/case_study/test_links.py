import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.assembly import Assembly
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import packet_layout
from tokcom_lab.case_study.links import (
    LINKS,
    case_link,
    payload_bytes,
    payload_frame,
    send_until_right,
)

BOOK = Codebook("book", 1024)


def frame_of(n_tokens, seed=0):
    tokens = np.random.default_rng(seed).integers(0, BOOK.size, n_tokens, dtype=np.int32)
    return TokenFrame(tokens, BOOK.name, BOOK.size)


def all_packets(frame):
    return np.ones(-(-len(frame.tokens) // 4), bool)


@pytest.mark.parametrize("name", LINKS)
def test_without_noise_everything_arrives(name):
    frame, link = frame_of(64), case_link(name, BOOK, "none")
    arrival, airtime = link.send(frame, 5, all_packets(frame), 40, np.random.default_rng(0))
    np.testing.assert_array_equal(arrival.tokens, frame.tokens[packet_layout(64, 4, 5)])
    assert arrival.packets_ok.all() and arrival.received.sent.all() and airtime > 0


@pytest.mark.parametrize("name", LINKS)
def test_only_the_packets_asked_for_are_sent(name):
    frame, link = frame_of(64), case_link(name, BOOK, "none")
    chosen = np.zeros(16, bool)
    chosen[[2, 3, 11]] = True
    arrival, airtime = link.send(frame, 5, chosen, 40, np.random.default_rng(0))
    np.testing.assert_array_equal(Assembly(arrival).packets_ok, chosen)
    np.testing.assert_array_equal(arrival.received.sent, chosen)
    assert airtime < link.send(frame, 5, all_packets(frame), 40, np.random.default_rng(0))[1]


@pytest.mark.parametrize(("esn0_db", "per", "ter"), [(6, 0.4, 0.15), (7, 0.201, 0.065), (8, 0.07, 0.02)])
def test_the_papers_link_has_the_published_error_rates(esn0_db, per, ter):
    frame, link = frame_of(4 * 6000), case_link("paper", BOOK, "none")
    arrival, _ = link.send(frame, 1, all_packets(frame), esn0_db, np.random.default_rng(1))
    sent = frame.tokens[packet_layout(len(frame.tokens), 4, 1)]
    assert np.mean(~arrival.packets_ok) == pytest.approx(per, abs=0.05 * per + 3 * np.sqrt(per / 6000))
    assert np.mean(arrival.tokens != sent) == pytest.approx(ter, abs=0.05 * ter + 3 * np.sqrt(ter / 6000))


def test_the_crc_loses_more_packets_than_the_genie():
    frame = frame_of(4 * 2000)
    believed = {
        name: case_link(name, BOOK, "none")
        .send(frame, 1, all_packets(frame), 7, np.random.default_rng(1))[0]
        .packets_ok
        for name in ("paper", "crc")
    }
    assert not (believed["crc"] & ~believed["paper"]).any()  # what passes is right
    assert np.mean(~believed["crc"]) == pytest.approx(0.364, abs=0.03)  # real CRC, facts of the authors' link


def test_repeating_takes_the_geometric_number_of_transmissions():
    frame, link, rng = frame_of(4 * 3000), case_link("paper", BOOK, "none"), np.random.default_rng(2)
    first = link.send(frame, 1, all_packets(frame), 6.5, rng)
    delivery, packets = send_until_right(link, frame, 1, 6.5, rng, first, 100)
    per = np.mean(~first[0].packets_ok)
    assert delivery.packets.packets_ok.all()
    np.testing.assert_array_equal(delivery.packets.tokens, frame.tokens[packet_layout(len(frame.tokens), 4, 1)])
    assert packets / 3000 == pytest.approx(1 / (1 - per), rel=0.03)
    assert delivery.airtime == pytest.approx(first[1] * packets / 3000)


def test_repeating_ends_when_the_attempts_are_spent():
    frame, link, rng = frame_of(64), case_link("k7", BOOK, "none"), np.random.default_rng(2)
    first = link.send(frame, 1, all_packets(frame), -10, rng)
    delivery, packets = send_until_right(link, frame, 1, -10, rng, first, 3)
    assert not delivery.packets.packets_ok.any() and packets == 3 * 16


def test_a_burst_that_is_not_found_leaves_nothing():
    frame = frame_of(64)
    arrival, airtime = case_link("burst", BOOK, "none").send(
        frame, 1, all_packets(frame), -20, np.random.default_rng(0)
    )
    assert arrival.received is None and not Assembly(arrival).packets_ok.any() and airtime > 0


def test_repeating_over_bursts_that_fade_delivers_the_frame():
    frame, link, rng = frame_of(64), case_link("burst", BOOK, "epa"), np.random.default_rng(0)
    first = link.send(frame, 1, all_packets(frame), 9, rng)
    delivery, packets = send_until_right(link, frame, 1, 9, rng, first, 50)
    assert delivery.packets.packets_ok.all() and delivery.packets.received is not None and packets >= 16


@given(st.binary(min_size=1, max_size=400), st.integers(0, 0xFFFF))
def test_bytes_travel_in_the_order_of_packets(payload, seed):
    frame = payload_frame(payload, BOOK, seed)
    packets = frame.tokens[packet_layout(len(frame.tokens), 4, seed)]
    back = payload_bytes(packets, BOOK)
    assert back[: len(payload)] == payload and len(back) - len(payload) < 5 and not any(back[len(payload) :])
    assert payload_bytes(packets[:-1], BOOK) == payload[: 5 * (len(packets) - 1)]


def test_wrong_links_are_named():
    with pytest.raises(ParameterError, match=r"link is 'lte'; it must be one of paper, crc, k7, burst"):
        case_link("lte", BOOK, "none")
    with pytest.raises(ParameterError, match=r"codebook of 1000 words"):
        payload_frame(b"abc", Codebook("odd", 1000), 0)
