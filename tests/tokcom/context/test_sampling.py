import numpy as np
import pytest
from scipy.stats import chisquare

from tokcom.context.sampling import MAX_SEED, Sampling, continued
from tokcom.errors import ParameterError

LOGS = np.log(np.array([0.5, 0.2, 0.2, 0.1], np.float32))


def test_at_temperature_0_the_likeliest_word_is_drawn():
    assert [Sampling(seed=seed).draw(LOGS[::-1], 3) for seed in range(5)] == [3] * 5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_probabilities(temperature):
    sampling, count = Sampling(temperature, 7), 4000
    expected = np.exp(LOGS.astype(float)) ** (1 / temperature)
    expected /= expected.sum()
    assert np.allclose(np.exp(sampling.tempered(LOGS)), expected)
    drawn = np.bincount([sampling.draw(LOGS, place) for place in range(count)], minlength=4)
    assert chisquare(drawn, count * expected).pvalue > 0.001


def test_a_word_that_cannot_be_is_never_drawn():
    logs = np.array([-np.inf, 0.0, -np.inf], np.float32)
    assert {Sampling(1.0).draw(logs, place) for place in range(50)} == {1}


def test_the_same_seed_draws_the_same_words(chain):
    first, second, other = (continued(chain(), np.array([1, 2]), 30, Sampling(1.0, seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_text_may_be_continued_in_parts(chain):
    whole = continued(chain(), np.array([4]), 12, Sampling(1.0, 3))
    part = continued(chain(), np.array([4, *whole[:5]]), 7, Sampling(1.0, 3))
    assert np.array_equal(part, whole[5:])


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"temperature": -0.1}, "temperature is -0.1"), ({"temperature": float("nan")}, "temperature is nan"),
     ({"seed": -1}, "seed is -1"), ({"seed": MAX_SEED + 1}, "seed is")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ParameterError, match=said):
        Sampling(**settings)
