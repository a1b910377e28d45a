import numpy as np
import pytest

from tokcom.channel.model import ChannelSettings
from tokcom.mcs import find_mcs
from tokcom_lab.curves import waveform


def test_all_headers_arrive_in_a_good_channel_and_none_in_noise():
    done = []
    good = waveform.header_success(
        "standard", ChannelSettings(profile="three-path"), 12, -0.2, 30, 1, channel="echoes", progress=done.append
    )
    assert good == waveform.HeaderPoint("echoes", "standard", 12, -0.2, 30, 1.0) and sum(done) == 30
    assert waveform.header_success("standard", ChannelSettings(), -15, 0.03, 10, 1, channel="awgn").success == 0


def test_the_robust_header_arrives_where_the_standard_one_does_not():
    points = [
        waveform.header_success(name, ChannelSettings(), -4.5, 0.03, 60, 1, channel="")
        for name in ("robust", "standard")
    ]
    assert points[0].success > 0.9 > 0.5 > points[1].success


def test_the_same_seed_gives_the_same_figure():
    runs = [
        waveform.header_success("standard", ChannelSettings(), -3, 0.03, 50, seed, channel="") for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1] and 0 < runs[0].success < 1


def test_bursts_lose_less_than_0_7_db_to_the_ideal_link():
    loss = waveform.sync_loss(find_mcs("16qam-1/2"), ChannelSettings(), 12, 1)
    assert -0.2 < loss.loss_db < 0.7 and loss.ideal_db == pytest.approx(6.2, abs=0.3)
    assert loss.loss_db == loss.burst_db - loss.ideal_db


def test_nothing_is_found_where_nothing_is():
    for arguments in ({}, {"tone_db": 20}, {"offset": 10.0}):
        counters = waveform.false_alarms(1_100_000, 2, **arguments)
        assert counters["samples"] == 1_100_000 and counters["preambles"] == counters["bursts"] == 0


def test_schemes_above_the_header_leave_only_the_lowest_out():
    assert [row.index for row in waveform.above_the_header()] == list(range(1, 15))


def test_a_crossing_is_read_off_a_curve_that_is_known():
    points = np.linspace(5, 8, 13)
    rates = 0.1 * 10 ** -(points - 6.3)
    assert waveform._crossing(points, rates) == pytest.approx(6.3, abs=0.002)
    assert np.isnan(waveform._crossing(points, np.full(13, 0.3)))
