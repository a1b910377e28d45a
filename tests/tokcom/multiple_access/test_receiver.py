import numpy as np
import pytest

from tokcom.errors import BurstError
from tokcom.multiple_access.receiver import observe
from tokcom.multiple_access.searcher import MultiUserSearcher


@pytest.fixture
def tokens(plan):
    return np.random.default_rng(5).integers(0, 64, (2, plan.n_slots))


def found_in(plan, samples, pieces=1):
    searcher = MultiUserSearcher(plan)
    return [burst for piece in np.array_split(samples, pieces) for burst in searcher.push(piece)]


def test_users_channels_offsets_and_headers_are_found(plan, air, tokens):
    (burst,) = found_in(plan, air(tokens, gains=(1.0, 0.5j)))
    seen = observe(burst.samples, burst.start, burst.frequency, plan, (0, 1))
    assert [user.port for user in seen.users] == [0, 1] and seen.hints == ()
    assert [user.header.frame_id for user in seen.users] == [7, 8]
    one, two = (user.channel for user in seen.users)
    assert two.frequency - one.frequency == pytest.approx(1e-3, abs=5e-5)
    assert two.delay - one.delay == pytest.approx(5, abs=0.3)
    assert (one.power, two.power) == pytest.approx((1, 0.25), rel=0.1)
    assert seen.noise_power == pytest.approx(0.01, rel=0.3)


def test_channels_explain_what_was_received(plan, air, tokens):
    (burst,) = found_in(plan, air(tokens, esn0_db=40))
    seen = observe(burst.samples, burst.start, burst.frequency, plan)
    rebuilt = (seen.channels * plan.codebook.vectors[tokens]).sum(axis=0)
    assert np.mean(np.abs(seen.values - rebuilt) ** 2) < 0.003


def test_bursts_are_the_same_however_the_stream_is_cut(plan, air, tokens):
    stream = np.concatenate([air(tokens, seed=1), air(tokens[::-1], seed=2)])
    whole, cut = found_in(plan, stream), found_in(plan, stream, 37)
    assert len(whole) == 2 and [b.position for b in whole] == [b.position for b in cut]
    for one, other in zip(whole, cut, strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_who_is_silent_or_not_expected_is_told(plan, air, tokens):
    (burst,) = found_in(plan, air(tokens))
    seen = observe(burst.samples, burst.start, burst.frequency, plan, (0, 3))
    assert "port 3 is silent" in seen.hints
    assert "port 1 sends though it is not expected" in seen.hints


def test_two_on_one_port_are_told(plan, air, tokens):
    one, other = air(tokens[:1]), air(tokens[1:2], late=(9,), cfo=(2e-3,), seed=3)
    (burst,) = found_in(plan, one + other)
    seen = observe(burst.samples, burst.start, burst.frequency, plan, (0,))
    assert any("two transmitters on a port" in hint for hint in seen.hints)


def test_nothing_is_found_in_noise_or_absurd_samples(plan):
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(200_000) + 1j * rng.standard_normal(200_000)).astype(np.complex64)
    assert found_in(plan, noise) == []
    noise[::100] = np.nan
    noise[5::77] = np.inf
    assert found_in(plan, noise) == []
    assert found_in(plan, np.zeros(50_000, np.complex64)) == []


def test_a_burst_that_is_cut_off_or_empty_is_refused(plan, air, tokens):
    (burst,) = found_in(plan, air(tokens))
    with pytest.raises(BurstError, match="does not lie"):
        observe(burst.samples[: plan.length // 2], burst.start, 0.0, plan)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(plan.length + 200) + 1j * rng.standard_normal(plan.length + 200)
    with pytest.raises(BurstError, match="nobody"):
        observe(noise.astype(np.complex64), 50, 0.0, plan)
    burst.samples[500] = np.nan
    with pytest.raises(BurstError, match="finite"):
        observe(burst.samples, burst.start, 0.0, plan)
