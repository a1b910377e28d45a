import numpy as np

from tokcom_lab.seal_cost import forgeries, seal_cost


def test_forgeries_stay_within_what_chance_allows():
    rows = forgeries(512, (4,))
    viterbi, lists = rows
    assert viterbi["packets"] == lists["packets"] == 2048 and viterbi["allowed"] == 8 and lists["allowed"] == 32
    assert all(each["passed"] <= each["allowed"] + 4 * np.sqrt(each["allowed"]) for each in rows)


def test_costs_are_told_of_bursts_in_clear_and_with_tags():
    clear, short, usual = seal_cost(2)
    assert clear["over_clear"] == 0 and clear["samples"] < short["samples"] < usual["samples"]
    # Tags as long as CRCs leave packets as they are: seven symbols of header are all that is more.
    assert short["samples"] - clear["samples"] == 7 * 80
    assert 0 < usual["encryption_share"] and 0 < usual["tags_share"]
