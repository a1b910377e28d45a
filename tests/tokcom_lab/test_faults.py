import pytest

from tokcom.channel.model import ChannelSettings
from tokcom.packets.header_fields import FIELDS
from tokcom_lab import faults
from tokcom_lab.faults import SAMPLE_RATE, random_headers, soak


def test_every_random_header_is_accounted_for():
    count, done = 6000, []
    counts = random_headers(count, 1, done.append)
    assert sum(done) == count
    assert sum(counts[kind] for kind in ("usable", "version", "element", "contents")) == count
    # A third of them have a random version: all but one in 8 of those are of none; flipped bits add a few.
    expected = count / 3 * (1 - 2 ** -FIELDS["version"])
    assert expected - 5 * (expected / 8) ** 0.5 < counts["version"] < 1.1 * expected
    assert counts["usable"] > count / 10 and counts["element"] > count / 1000
    assert counts["tokens"] <= 1 << 20 and counts["packets"] <= 1 << 14
    assert counts == random_headers(count, 1)


def test_a_short_soak_loses_few_bursts_and_counts_what_it_lost():
    done = []
    report = soak(150, 1, done.append)
    assert sum(done) == report["bursts"] == 150
    assert 110 <= report["received"] <= 150 and report["received"] == report["counters"]["bursts"] - report["unusable"]
    assert 0.02 < report["per"] < 0.3
    # The channel's clock is 10 ppm off, and its delay holds some samples back.
    assert report["simulated_seconds"] == pytest.approx(report["counters"]["samples"] / SAMPLE_RATE, abs=0.1)
    assert report["rss_mb_settled"] > 10 and report["rss_mb_end"] < 1.5 * report["rss_mb_settled"]


def test_a_soak_through_everything_that_the_air_does_raises_nothing_and_counts_what_is_wrong():
    plain, air = (soak(60, 2, air=air) for air in (False, True))
    # What collides with a burst may be a copy of it, which comes out, too.
    assert 30 < air["received"] <= 75 and air["per"] > plain["per"]
    assert plain["wrong"] <= 2 and air["wrong"] <= 8 and air["counters"]["bad_samples"] == 0


def test_without_faults_a_soak_loses_nothing(monkeypatch):
    monkeypatch.setattr(faults, "FAULTS", ChannelSettings(snr_db=30.0))
    report = soak(50, 1)
    assert report["received"] == 50 and report["per"] == report["unusable"] == 0
