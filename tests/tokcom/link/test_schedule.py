import pytest

from tokcom.errors import ParameterError
from tokcom.link.schedule import BurstSchedule


def test_bursts_that_are_ready_early_go_out_period_by_period():
    schedule = BurstSchedule(first=2.5, period=0.25)
    assert [schedule.next_time(0.0) for _ in range(5)] == [2.5, 2.75, 3.0, 3.25, 3.5]


def test_a_slot_that_has_passed_is_left_out():
    schedule = BurstSchedule(first=1.0, period=0.5)
    assert schedule.next_time(0.0) == 1.0
    assert schedule.next_time(2.1) == 2.5  # 1.5 and 2.0 are over
    assert schedule.next_time(2.2) == 3.0
    assert schedule.next_time(3.5) == 3.5


def test_without_a_first_time_the_first_burst_sets_the_slots():
    schedule = BurstSchedule(period=0.1)
    assert [schedule.next_time(now) for now in (7.03, 7.04, 7.25)] == pytest.approx([7.03, 7.13, 7.33])


def test_without_a_period_only_the_first_time_is_waited_for():
    schedule = BurstSchedule(first=3.0)
    assert [schedule.next_time(now) for now in (1.0, 3.5, 3.6)] == [3.0, 3.5, 3.6]
    assert BurstSchedule().next_time(4.0) == 4.0


def test_no_slot_is_lost_or_used_twice_by_rounding():
    """Every slot of a schedule that is asked for just in time, in arithmetic that cannot round: microseconds."""
    schedule = BurstSchedule(first=0.3, period=0.1)
    times = [schedule.next_time(0.3 + slot * 0.1) for slot in range(10_000)]
    assert [round(time * 1e6) for time in times] == [300_000 + slot * 100_000 for slot in range(10_000)]


@pytest.mark.parametrize(("name", "value"), [("first", -1.0), ("period", -0.1), ("period", float("nan"))])
def test_bad_times_are_named(name, value):
    with pytest.raises(ParameterError, match=f"is {value}; it must be at least 0"):
        BurstSchedule(**{name: value})
