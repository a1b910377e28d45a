from tokcom.experiments.faults import random_headers, soak
from tokcom.packets.header import FIELDS, VERSIONS


def test_every_random_header_is_accounted_for():
    count, done = 6000, []
    counts = random_headers(count, 1, done.append)
    assert sum(done) == count
    assert counts["usable"] + counts["version"] + counts["contents"] + counts["extension"] == count
    # Half of them have a random version: all but two in 16 of those are of none.
    expected = count / 2 * (1 - len(VERSIONS) * 2 ** -FIELDS["version"])
    assert abs(counts["version"] - expected) < 5 * (expected / 8) ** 0.5
    assert counts == random_headers(count, 1)


def test_a_short_soak_loses_few_bursts_and_counts_what_it_lost():
    done = []
    report = soak(150, 1, done.append)
    assert sum(done) == report["bursts"] == 150
    assert 110 <= report["received"] <= 150 and report["received"] == report["counters"]["bursts"] - report["unusable"]
    assert report["counters"]["samples"] > 150 * 1000 and 0 <= report["per"] < 0.5
    assert report["rss_mb_end"] > 0 and report["simulated_seconds"] > 0.1


def test_a_soak_through_everything_that_the_air_does_raises_nothing_and_counts_what_is_wrong():
    plain, air = (soak(120, 2, air=air) for air in (False, True))
    assert air["received"] < plain["received"] and air["per"] > plain["per"]
    assert plain["wrong"] <= 2 and air["wrong"] <= 8 and air["counters"]["bad_samples"] == 0
