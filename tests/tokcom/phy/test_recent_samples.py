import numpy as np
import pytest

from tokcom.phy.detector import BLOCK
from tokcom.phy.recent_samples import CHUNK, HISTORY, RecentSamples

REACH = 3000


def pushed(samples, sizes, position=0):
    """Samples in pieces of these sizes, which repeat; with the counts of bad and of impulses' samples."""
    recent, bad, blanked, energies = RecentSamples(REACH), 0, 0, []
    recent.reset(position)
    while len(samples):
        for size in sizes:
            found, new = recent.push(samples[:size])
            bad, blanked = bad + found, blanked + recent.find_impulses(new)
            energies.append(new)
            samples = samples[size:]
    return recent, bad, blanked, np.concatenate(energies)


def noise(count, seed=0):
    return (np.random.default_rng(seed).standard_normal((count, 2)) @ np.array([1, 1j])).astype(np.complex64)


def test_pieces_of_any_size_leave_the_same():
    samples = noise(20_000)
    samples[[9_000, 9_001, 15_000]] = 300
    samples[7] = np.nan
    wholes = pushed(samples, [CHUNK])
    pieces = pushed(samples, [1, 700, 33, 4096])
    assert wholes[1:3] == pieces[1:3] and wholes[1] == 1 and wholes[2] >= 3
    np.testing.assert_array_equal(wholes[3], pieces[3])
    first, end = 20_000 - REACH, 20_000
    for known in (-1, end):
        np.testing.assert_array_equal(wholes[0].view(first, end, known), pieces[0].view(first, end, known))


def test_the_mean_is_subtracted_and_energies_are_those_of_what_is_left():
    n = 6 * CHUNK
    recent, _, _, energies = pushed(noise(n) * np.float32(0.1) + np.float32(2), [CHUNK])
    assert abs(recent.view(n - 1000, n).mean()) < 0.05
    last = recent.view(n - BLOCK, n)
    assert energies[-1] == pytest.approx(np.sum(np.abs(last) ** 2), rel=1e-5)


def test_impulses_are_blanked_once_they_are_known():
    samples = noise(CHUNK)
    samples[4_000] = 1_000
    recent, _, blanked, _ = pushed(samples, [CHUNK], position=100)
    place = 4_100
    assert blanked >= 1 and recent.end == CHUNK + 100 and recent.origin == 100 - HISTORY
    assert abs(recent.view(place, place + 1)[0]) > 900 and recent.view(place, place + 1, recent.end)[0] == 0
    assert recent.impulses_within(place - 5, place + 5, recent.end)
    assert not recent.impulses_within(place - 5, place + 5, place + 5)
    assert not recent.impulses_within(place + 100, place + 200, recent.end)
