"""The parts of a session one by one: numbers, buckets, cookies, paths, queues, classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.protocol import datagrams as wire
from tokcom.protocol.cookies import LIFE_S, Cookies
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.priority import classes_of, kept_packets, packet_bits, traffic_class
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sequence import WINDOW, ReplayWindow, whole_number
from tokcom.protocol.token_bucket import TokenBucket


@given(st.integers(0, 2**40), st.integers(-20000, 20000))
def test_whole_numbers_come_back(highest, step):
    number = max(highest + step, 0)
    assert whole_number(number % 65536, highest) == number


@given(st.lists(st.integers(1, 5000), max_size=200))
def test_the_window_knows_what_has_come(numbers):
    window, seen = ReplayWindow(), set()
    for number in numbers:
        known = number in seen or number <= max(seen, default=0) - WINDOW
        assert window.is_new(number) == (not known)
        if not known:
            window.add(number)
            seen.add(number)
    assert window.count == len(seen) and window.highest == max(seen, default=0)
    before = window.before(64)
    assert all((window.highest - 1 - i in seen) == bool(before >> i & 1) for i in range(min(64, window.highest - 1)))


@given(st.lists(st.tuples(st.floats(-1, 2), st.integers(1, 3000)), min_size=1, max_size=50))
def test_a_bucket_never_lets_more_through_than_its_rate(steps):
    bucket, now, first, sent = TokenBucket(1000, 1500), 0.0, 0.0, 0
    highest = 0.0
    for step, size in steps:
        now += step
        highest = max(highest, now)
        if bucket.take(size, now):
            sent += size
            assert bucket.wait(1, now) >= 0
        # The clock may go back and forth by two seconds, which is time gained twice.
    gained = sum(max(step, 0) for step, _ in steps)
    assert sent <= 1500 + 1000 * gained + 3000 and first == 0.0


def test_a_bucket_says_how_long_to_wait():
    bucket = TokenBucket(100, 200)
    assert bucket.take(200, 5.0) and not bucket.take(1, 5.0)
    assert bucket.wait(50, 5.0) == pytest.approx(0.5) and bucket.take(50, 5.5)
    # More than the burst waits for a full bucket and leaves a debt.
    assert bucket.wait(900, 6.0) == pytest.approx(1.5) and bucket.take(900, 7.5)
    assert bucket.wait(1, 7.5) == pytest.approx(7.01)
    for rate, burst in ((0, 1), (1, 0), (float("nan"), 1)):
        with pytest.raises(ParameterError, match="above 0"):
            TokenBucket(rate, burst)


def test_cookies_are_of_an_address_a_nonce_and_a_time():
    cookies = Cookies(b"key")
    made = cookies.make(("a", 1), bytes(8), 10.0)
    assert cookies.holds(made, ("a", 1), bytes(8), 10.0 + LIFE_S) and len(made) == wire.COOKIE_BYTES
    assert not cookies.holds(made, ("a", 2), bytes(8), 10.0)
    assert not cookies.holds(made, ("a", 1), bytes([1] * 8), 10.0)
    assert not cookies.holds(made, ("a", 1), bytes(8), 10.0 + 2 * LIFE_S)
    assert not Cookies().holds(made, ("a", 1), bytes(8), 10.0)


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 1), (0.2, 3), (0.4, 6)])
def test_a_path_loses_its_share_in_bursts_of_their_length(loss, burst):
    path = Path(PathSettings(loss, burst), 1)
    lost = np.array([not path.arrivals(1, 0.0) for _ in range(40_000)])
    starts = (np.diff(lost.astype(int)) == 1).sum()
    assert lost.mean() == pytest.approx(loss, rel=0.08)
    assert lost.sum() / starts == pytest.approx(max(burst, 1 / (1 - loss)), rel=0.08)


def test_a_bottleneck_queues_and_overflows():
    path = Path(PathSettings(rate=1000, queue_bytes=500, delay_s=0.1))
    times = [path.arrivals(100, 0.0) for _ in range(6)]
    assert times[:5] == [[pytest.approx(0.1 * i + 0.2)] for i in range(5)] and times[5] == [] and path.overflowed == 1
    assert path.arrivals(100, 0.25) == [pytest.approx(0.7)]


@pytest.mark.parametrize(
    "bad", [{"loss": 1.0}, {"burst": 0.5}, {"delay_s": -1}, {"rate": 0}, {"jitter_s": float("nan")}]
)
def test_what_no_path_can_be_is_refused(bad):
    with pytest.raises(ParameterError):
        PathSettings(**bad)


def datagram(priority, size=100):
    return wire.encode_data(1, 1, priority, bytes(size - wire.HEAD_BYTES), bytes(16))


@given(st.lists(st.integers(0, 3), max_size=80), st.sampled_from(["surest", "random", "tail"]))
def test_a_queue_is_bounded_and_keeps_order_in_each_class(priorities, drop):
    queue = DropQueue(1e9, 1000, drop, burst=1e9)
    for number, priority in enumerate(priorities):
        queue.put(datagram(priority), number)
        assert queue.n_bytes <= 1000 and queue.n_bytes == 100 * len(queue)
    out = queue.poll(0.0)
    # By "surest", class by class; by the others, all in order.
    assert [to for _, to in out] == sorted(
        (to for _, to in out), key=lambda to: (drop == "surest" and priorities[to], to)
    )
    assert len(out) + sum(queue.counters.dropped) == len(priorities) and len(out) == min(len(priorities), 10)
    if drop == "surest":
        # No datagram that went on is surer than one that was dropped, unless it came later than all of those.
        kept = sorted((wire.class_of(each) for each, _ in out), reverse=True)
        assert kept == sorted(sorted(priorities)[:10], reverse=True)
    if drop == "tail":
        assert [to for _, to in out] == list(range(len(out)))


def test_what_is_no_token_packet_is_not_relayed():
    queue = DropQueue(1000)
    for each in (b"", b"\0" * 40, b"\x41" * 40):
        queue.put(each, 0)
    assert len(queue) == 0 and queue.counters.refused == 3
    with pytest.raises(ParameterError, match="surest"):
        DropQueue(1000, drop="first")


def test_classes_are_thirds_by_surprise():
    bits = np.random.default_rng(0).random(64)
    classes = classes_of(bits)
    assert np.bincount(classes).tolist() == [22, 21, 21]
    assert bits[classes == 0].min() >= bits[classes == 1].max() >= bits[classes == 2].max()
    assert [traffic_class(each) for each in range(3)] == [0x88, 0x90, 0x98]


def test_what_is_kept_is_what_surprises_most():
    bits, positions = np.array([5.0, 1, 2, 8, 3]), np.array([[0, 1], [2, 3], [4, -1]])
    assert packet_bits(bits, positions).tolist() == [6, 10, 3]
    assert kept_packets(packet_bits(bits, positions), 2).tolist() == [True, True, False]
    assert kept_packets(bits, 3, np.random.default_rng(0)).sum() == 3
    with pytest.raises(ParameterError, match="at least 0"):
        kept_packets(bits, -1)
