from itertools import product

import numpy as np
import pytest
from scipy.special import logsumexp

from tokcom.errors import ParameterError
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.detection import tuple_posteriors


def slots(rng, users, words=12, length=4, count=5, esn0_db=3.0):
    book = ModulationCodebook(words, length, 1).vectors
    shape = users, count, length
    h = ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(0.5)).astype(np.complex64)
    tokens = rng.integers(0, words, (users, count))
    noise = np.full((count, length), 10 ** (-esn0_db / 10), np.float32)
    n = rng.standard_normal((count, length)) + 1j * rng.standard_normal((count, length))
    y = ((h * book[tokens]).sum(axis=0) + n * np.sqrt(noise / 2)).astype(np.complex64)
    priors = np.log(rng.dirichlet(np.ones(words), (users, count))).astype(np.float32)
    return book, h, tokens, noise, y, priors


def by_enumeration(book, h, noise, y, priors):
    users, count, words = priors.shape
    out = np.empty(priors.shape)
    for slot in range(count):
        scores = np.empty((words,) * users)
        for chosen in product(range(words), repeat=users):
            left = y[slot] - sum(h[user, slot] * book[word] for user, word in enumerate(chosen))
            prior = sum(priors[user, slot, word] for user, word in enumerate(chosen))
            scores[chosen] = -(np.abs(left) ** 2 / noise[slot]).sum() + prior
        for user in range(users):
            others = tuple(axis for axis in range(users) if axis != user)
            out[user, slot] = logsumexp(scores, axis=others) - logsumexp(scores)
    return out


@pytest.mark.parametrize("users", [1, 2, 3])
def test_posteriors_are_those_of_enumeration(users):
    book, h, _, noise, y, priors = slots(np.random.default_rng(users), users)
    found = tuple_posteriors(y, h, noise, book, priors)
    wanted = by_enumeration(book, h, noise, y, priors)
    np.testing.assert_allclose(np.exp(found), np.exp(wanted), atol=2e-3)


def test_words_among_which_all_likely_ones_are_suffice():
    book, h, _, noise, y, priors = slots(np.random.default_rng(6), 2, words=40)
    every = tuple_posteriors(y, h, noise, book, priors)
    among = every > np.log(1e-4)
    assert among.mean() < 0.8
    np.testing.assert_allclose(np.exp(tuple_posteriors(y, h, noise, book, priors, among)), np.exp(every), atol=6e-3)


def test_four_are_told_apart_without_noise():
    book, h, tokens, noise, y, priors = slots(np.random.default_rng(9), 4, words=32, length=16, esn0_db=20)
    even = np.full_like(priors, -np.log(32))
    assert np.array_equal(tuple_posteriors(y, h, noise, book, even).argmax(axis=2), tokens)


def test_posteriors_come_true():
    book, h, tokens, noise, y, _ = slots(np.random.default_rng(4), 2, words=32, length=6, count=1500, esn0_db=1)
    found = tuple_posteriors(y, h, noise, book, np.full((2, 1500, 32), -np.log(32), np.float32))
    right = found.argmax(axis=2) == tokens
    assert np.exp(found.max(axis=2)).mean() == pytest.approx(right.mean(), abs=0.03)
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1, atol=1e-3)


def test_equal_channels_leave_it_to_the_prior():
    book = ModulationCodebook(16, 8, 0).vectors
    h = np.ones((2, 1, 8), np.complex64)
    y = (book[3] + book[5])[None]
    priors = np.log(np.full((2, 1, 16), 1 / 16, np.float32))
    noise = np.full((1, 8), 0.1, np.float32)
    even = np.exp(tuple_posteriors(y, h, noise, book, priors))[0, 0]
    assert even[3] == pytest.approx(0.5, abs=0.01) and even[5] == pytest.approx(0.5, abs=0.01)
    priors[0, 0, 3] += 4
    assert tuple_posteriors(y, h, noise, book, priors).argmax(axis=2).ravel().tolist() == [3, 5]


def test_five_transmitters_are_too_many():
    with pytest.raises(ParameterError, match="5 transmitters"):
        tuple_posteriors(*(np.zeros(s) for s in ((1, 2), (5, 1, 2), (1, 2), (4, 2), (5, 1, 4))))
