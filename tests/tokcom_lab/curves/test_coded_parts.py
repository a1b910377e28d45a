"""Packets sent a part at a time."""

import numpy as np
import pytest

from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom_lab.curves.coded_parts import CodedParts

PACKETS = np.random.default_rng(0).integers(0, 1024, (5, 3)).astype(np.int32)


@pytest.fixture
def parts():
    return CodedParts("k7", 1024, 3)


def sent(parts, before, count, esn0_db=30.0):
    full = np.full(len(PACKETS), 1)
    return parts.send(PACKETS, before * full, count * full, esn0_db, np.random.default_rng(1))


def test_steps_are_sent_once_each_and_spread_evenly(parts):
    third = parts.stages // 3
    here = np.flatnonzero((sent(parts, 0, third)[0] != 0).any(axis=1))
    assert len(here) == third and np.diff(here).max() <= 5
    following = np.flatnonzero((sent(parts, third, parts.stages - third)[0] != 0).any(axis=1))
    assert (
        np.array_equal(np.union1d(here, following), np.arange(parts.stages))
        and not np.intersect1d(here, following).size
    )


def test_all_steps_together_decode_like_whole_packets(parts):
    heard = sent(parts, 0, 20) + sent(parts, 20, parts.stages - 20)
    tokens, ok = parts.link.decode_steps(heard)
    assert ok.all() and np.array_equal(tokens, PACKETS)
    link = PacketLink(LinkConfig("k7", "16qam", 3), 1024)
    whole = link.steps(link.demap(link.modulate(PACKETS), 1e-3))
    assert np.array_equal(whole.argmax(-1), heard.argmax(-1))


def test_repeats_add_up(parts):
    twice = sent(parts, 0, 2 * parts.stages, 60.0)
    once = sent(parts, 0, parts.stages, 60.0)
    assert np.allclose(twice / 2, once, rtol=0.05, atol=0.05 * np.abs(once).max())


def test_what_is_not_asked_for_is_not_sent(parts):
    count = np.array([0, 4, 0, 0, 2])
    heard = parts.send(PACKETS, np.zeros(5, int), count, 10.0, np.random.default_rng(0))
    assert np.array_equal((heard != 0).any(axis=2).sum(axis=1), count)
