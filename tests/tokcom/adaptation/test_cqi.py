import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.adaptation.cqi import (
    CqiMemory,
    choose_by_cqi,
    effective_esn0_db,
    predicted_per,
    table_esn0_db,
)
from tokcom.errors import ParameterError
from tokcom.mcs import find_mcs, mcs_table

SYMBOLS = np.array([row.symbols(1024, 4) for row in mcs_table()])


@given(esn0_db=st.floats(-30, 60), beta_db=st.floats(-5, 25), n=st.integers(1, 60))
def test_on_a_flat_channel_effective_is_what_every_carrier_has(esn0_db, beta_db, n):
    assert effective_esn0_db(np.full(n, esn0_db), beta_db) == pytest.approx(esn0_db, abs=1e-6)


@given(esn0_db=st.lists(st.floats(-20, 40), min_size=2, max_size=60), beta_db=st.floats(-5, 25))
def test_it_lies_between_the_worst_carrier_and_the_mean(esn0_db, beta_db):
    mean = 10 * np.log10(np.mean(10 ** (np.array(esn0_db) / 10)))
    assert min(esn0_db) - 1e-6 <= effective_esn0_db(np.array(esn0_db), beta_db) <= mean + 1e-6


def test_two_carriers_by_hand():
    # -2 ln((exp(-1/2) + exp(-4/2)) / 2)
    wanted = 10 * np.log10(-2 * np.log((np.exp(-0.5) + np.exp(-2.0)) / 2))
    found = effective_esn0_db(np.array([0.0, 10 * np.log10(4)]), 10 * np.log10(2))
    assert found == pytest.approx(wanted)


def test_a_large_beta_takes_the_mean_and_a_small_one_the_worst():
    carriers = np.array([0.0, 10.0])
    mean = 10 * np.log10(5.5)
    assert effective_esn0_db(carriers, np.array([60.0, -25.0])) == pytest.approx([mean, 0.0], abs=0.02)


def test_nothing_underflows_at_high_esn0():
    assert effective_esn0_db(np.array([60.0, 60.0]), 0.0) == pytest.approx(60)


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_the_curve_goes_through_the_tables_points(row):
    assert predicted_per(row, np.array([row.per10_esn0_db, row.per1_esn0_db])) == pytest.approx([0.1, 0.01])
    assert predicted_per(row, np.array(row.thresholds_db(760, True)), 760, True) == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize("row", mcs_table(), ids=lambda row: row.name)
def test_the_fastest_scheme_that_meets_the_target_is_chosen(row):
    """By trying all of them; those that others of no more symbols undercut are never chosen."""
    esn0_db = np.full(len(SYMBOLS), row.per10_esn0_db + 0.01)
    chosen = choose_by_cqi(esn0_db, 0.1, SYMBOLS)
    good = [other for other in mcs_table() if predicted_per(other, esn0_db[0]) <= 0.1]
    assert SYMBOLS[chosen] == min(SYMBOLS[other.index] for other in good)
    assert predicted_per(mcs_table()[chosen], esn0_db[0]) <= 0.1


def test_where_nothing_meets_the_target_the_most_robust_is_chosen():
    assert choose_by_cqi(np.full(len(SYMBOLS), -20.0), 0.1, SYMBOLS) == 0
    with pytest.raises(ParameterError, match="target is 1"):
        choose_by_cqi(np.full(len(SYMBOLS), 0.0), 1, SYMBOLS)


def test_a_selective_channel_costs_the_tighter_schemes_more():
    selective = np.array([4.0, 16.0] * 24)
    effective = table_esn0_db(selective)
    assert effective[find_mcs("qpsk-1/2").index] < effective[find_mcs("64qam-3/4").index] < 13.3


def test_cqi_ages_and_ends_at_the_fallback():
    memory = CqiMemory(max_age=0.5, backoff_db=3.0, fallback_esn0_db=1.5)
    assert memory.now(0.0).state == "missing" and memory.now(0.0).carrier_esn0_db == pytest.approx([1.5])
    memory.update(np.array([10.0, 14.0, 20.0]), 100.0)
    fresh = memory.now(100.5)
    assert fresh.state == "fresh" and fresh.carrier_esn0_db == pytest.approx([10, 14, 20])
    stale = memory.now(101.0)
    assert stale.state == "stale" and stale.age == 1.0
    # Never above the median, and 3 dB less after one time more.
    assert stale.carrier_esn0_db == pytest.approx([7, 11, 11])
    assert memory.now(200.0).carrier_esn0_db == pytest.approx([1.5, 1.5, 1.5])
    memory.update(np.array([8.0]), 201.0)
    assert memory.now(201.1).state == "fresh"


def test_a_bad_carrier_is_never_thought_better_than_it_was():
    memory = CqiMemory(fallback_esn0_db=5.0)
    memory.update(np.array([-3.0, 12.0]), 0.0)
    for age in (0.6, 2.0, 50.0):
        assert memory.now(age).carrier_esn0_db[0] <= -3.0


@pytest.mark.parametrize("bad", [{"max_age": 0}, {"backoff_db": -1}, {"fallback_esn0_db": float("nan")}])
def test_parameters_out_of_range_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        CqiMemory(**bad)


@pytest.mark.parametrize("bad", [np.zeros(0), np.array([1.0, np.nan]), np.array([np.inf])])
def test_a_cqi_that_is_none_is_refused(bad):
    with pytest.raises(ParameterError, match="carrier_esn0_db"):
        CqiMemory().update(bad, 0.0)


def test_a_target_met_exactly_is_met():
    for row in mcs_table():
        chosen = choose_by_cqi(np.full(len(SYMBOLS), row.per10_esn0_db), 0.1, SYMBOLS)
        assert SYMBOLS[chosen] <= SYMBOLS[row.index]
