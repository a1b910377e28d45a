import numpy as np
import pytest
from scipy.stats import gamma, norm

from tokcom.context.goodness_of_fit import LARGEST_DEVIATE, SLACK, GoodnessOfFit, largest_distance
from tokcom.errors import ParameterError

N = np.full(64, 31)


def burst(distance, nothing=80.0, closest=0.0, n=N):
    misfit = np.stack(np.broadcast_arrays(distance - closest, np.full(len(n), nothing)), axis=1)
    return GoodnessOfFit.of_burst(n, misfit, np.broadcast_to(closest, len(n)))


@pytest.mark.parametrize("n", [7, 14, 31, 62, 124, 4000])
def test_the_limit_is_a_quantile_of_the_gamma_distribution(n):
    exact = SLACK * gamma.ppf(norm.cdf(LARGEST_DEVIATE), n)
    assert largest_distance(np.array([n, 0])) == pytest.approx([exact, 0], rel=0.01)


def test_noise_as_believed_is_left_alone():
    distance = np.random.default_rng(1).gamma(31, size=64)
    fit = burst(distance, closest=5.0)
    assert (fit.noise == 1).all() and fit.nearest == pytest.approx(distance - 5)


def test_noise_is_raised_in_the_burst_that_asks_for_it():
    fit = burst(np.random.default_rng(2).gamma(31, 2.0, size=64), closest=9.0)
    assert fit.noise == pytest.approx(2, rel=0.5) and fit.noise.min() == pytest.approx(2, rel=0.05)


def test_noise_is_raised_in_the_packets_that_ask_for_it():
    distance = np.full(64, 31.0)
    distance[5] = 400
    noise = burst(distance).noise
    assert noise[5] == pytest.approx(400 / 31) and (np.delete(noise, 5) == 1).all()


def test_packets_that_were_not_sent_are_not_judged():
    fit = burst(np.where(np.arange(64) < 60, 31.0, 0.0), 0.0, n=np.where(np.arange(64) < 60, 31, 0))
    winners = fit.of_winners(np.array([60, 63]), np.zeros(2))
    assert winners.code_word_odds(np.full(2, -27.0)).tolist() == [np.inf, np.inf]
    assert winners.believed(np.full(2, 3.0), np.full(2, np.inf)) == pytest.approx(3)


def test_a_winner_is_weighed_against_nothing_by_its_prior_and_distance():
    fit = burst(np.full(64, 20.0), nothing=60.0)
    winners = fit.of_winners(np.arange(4), np.array([0.0, 10.0, 0.0, 60.0]))
    odds = winners.code_word_odds(np.array([-20.0, -20.0, -30.0, -20.0]))
    assert odds[0] - odds[1] == pytest.approx(10) and odds[0] - odds[2] == pytest.approx(10) and odds[3] == -np.inf
    believed = winners.believed(np.full(4, 9.0), odds)
    assert (believed <= 9).all() and believed[0] == pytest.approx(9, abs=0.01) and believed[3] == -np.inf
    assert np.exp(-believed[2]) == pytest.approx(np.exp(-9.0) + np.exp(-odds[2]))


def test_raised_noise_makes_posteriors_count_for_less():
    sound, raised = (burst(np.full(64, distance)).of_winners(np.arange(1), np.zeros(1)) for distance in (31.0, 310.0))
    assert raised.believed(np.full(1, 12.0), np.full(1, 30.0)) < sound.believed(np.full(1, 12.0), np.full(1, 30.0))


def test_the_evidence_of_two_transmissions_adds():
    first, second = (
        burst(np.full(64, distance), nothing=60.0).of_winners(np.arange(2), np.zeros(2)) for distance in (20.0, 25.0)
    )
    prior = np.full(2, -20.0)
    both = (first + second).code_word_odds(prior)
    assert both - first.code_word_odds(prior) == pytest.approx(60 - 25)  # what the second gains over noise alone
    far = burst(np.full(64, 31.0), nothing=60.0).of_winners(np.arange(2), np.array([0.0, 90.0]))
    assert (first + far).code_word_odds(prior)[1] == -np.inf


def test_a_misfit_of_another_burst_is_named():
    with pytest.raises(ParameterError, match=r"misfit has shape \(3, 2\); 64 packets need \(64, 2\)"):
        GoodnessOfFit.of_burst(N, np.zeros((3, 2)), np.zeros(64))
