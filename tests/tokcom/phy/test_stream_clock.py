import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.phy.stream_clock import Stamp, StreamClock, stamp_of


def at(index, sample, rate=1e6, begin=1_700_000_000.25):
    """The stamp of a stream's sample that is the so-manieth of the radio."""
    whole = int(begin) + int(sample // rate)
    fraction = begin % 1 + (sample % rate) / rate
    return Stamp(index, whole + int(fraction), fraction % 1)


@given(
    rate=st.sampled_from((200e3, 1e6, 30.72e6, 100e6 / 3)), every=st.lists(st.integers(1, 10**7), min_size=2),
    told=st.booleans(),
)  # fmt: skip
def test_steady_stamps_show_no_gap(rate, every, told):
    clock, index = StreamClock(), 0
    if told:
        assert not clock.set_rate(rate)
    assert np.isnan(clock.stamp(at(0, 0, rate)))
    for count in every:
        index += count
        assert clock.stamp(at(index, index, rate)) == 0
    seconds, fraction = clock.time_of(index + 12345)
    exact = at(0, index + 12345, rate)
    assert (seconds - exact.seconds) + (fraction - exact.fraction) == pytest.approx(0, abs=2e-3 if not told else 1e-8)


@pytest.mark.parametrize("missing", [1, 2, 300, 10**6, -1, -5000])
@pytest.mark.parametrize("told", [True, False])
def test_missing_samples_are_counted(missing, told):
    clock = StreamClock()
    if told:
        clock.set_rate(1e6)
    clock.stamp(at(0, 0))
    assert clock.stamp(at(10_000, 10_000)) == 0
    found = clock.stamp(at(20_000, 20_000 + missing))
    if missing > 0 or told:
        assert found == pytest.approx(missing, abs=1e-3 * max(1, abs(missing) / 1000))
        assert clock.stamp(at(30_000, 30_000 + missing)) == pytest.approx(0, abs=0.5)


def test_a_rate_learnt_over_a_gap_is_mended():
    clock = StreamClock()
    clock.stamp(at(0, 0))
    assert clock.stamp(at(1000, 1500)) == 0
    assert clock.stamp(at(2000, 2500)) == 0 and clock.stamp(at(3000, 3500)) == 0
    assert clock.stamp(at(4000, 4600)) == pytest.approx(100, abs=0.1)


def test_times_are_told_on_both_sides_of_a_stamp():
    clock = StreamClock()
    assert clock.time_of(0) is None
    clock.stamp(Stamp(1000, 7, 0.9995))
    assert clock.time_of(0) is None
    clock.set_rate(1e6)
    assert clock.time_of(1000) == (7, 0.9995)
    assert clock.time_of(2000) == pytest.approx((8, 0.0005), abs=1e-12)
    assert clock.time_of(0) == pytest.approx((7, 0.9985), abs=1e-12)
    clock.reset()
    assert clock.time_of(1000) is None


def test_another_rate_is_another_stream():
    clock = StreamClock()
    assert not clock.set_rate(1e6) and not clock.set_rate(1e6)
    clock.stamp(at(0, 0))
    assert clock.set_rate(2e6) and np.isnan(clock.stamp(at(1000, 1000)))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="sample rate"):
            clock.set_rate(bad)


def test_stamps_are_two_numbers():
    assert stamp_of(5, (3, 0.25)) == Stamp(5, 3, 0.25) and stamp_of(5, [3, 0]) == Stamp(5, 3, 0.0)
    for bad in (
        3,
        3.5,
        "now",
        None,
        (),
        (1,),
        (1, 2, 3),
        (1, "x"),
        (-1, 0.0),
        (1, 1.5),
        (1, float("nan")),
        (2**63, 0.0),
    ):
        with pytest.raises(ParameterError, match="time is"):
            stamp_of(0, bad)
