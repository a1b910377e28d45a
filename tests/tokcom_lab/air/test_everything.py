import numpy as np

from tokcom_lab.air.everything import LATE, LOST, Everything


def stretches(count=60, n=3000):
    rng = np.random.default_rng(1)
    return [(rng.standard_normal((n, 2)) @ np.array([1, 1j]) / np.sqrt(2)).astype(np.complex64) for _ in range(count)]


def test_samples_go_missing_and_nothing_else_changes_the_length():
    channel = Everything(2)
    short = [3000 - len(channel(stretch)) for stretch in stretches()]
    assert set(short) == {0, *LOST} and 2 <= sum(each > 0 for each in short) <= 14


def test_impulses_tones_and_collisions_add_power_and_paths_none():
    out = [channel_power(stretch) for channel_power in [Everything(3)] for stretch in stretches()]
    power = [np.mean(np.abs(each) ** 2) for each in out]
    # Impulses alone bring 5e-4 * 10 * 100 = 0.5 on average; fades, tones and collisions spread it.
    assert 1.2 < np.mean(power) < 2.2 and np.ptp(power) > 0.5


def test_the_same_seed_does_the_same_and_the_last_echo_is_carried_on():
    (stretch,) = stretches(1)
    first, again, other = (Everything(seed)(stretch) for seed in (4, 4, 5))
    assert np.array_equal(first, again) and not np.array_equal(first[:100], other[:100])
    # Impulses and tones aside, what a silent stretch holds is what is late of the stretch before.
    late = 0
    for seed in range(30):
        channel = Everything(seed)
        channel(stretch)
        rest = channel(np.zeros(3000, np.complex64))
        late += np.abs(rest[:LATE]).max() > 0.1
    assert late > 15
