from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.prediction import LEAST, STEP, Prediction, levels_of
from tokcom.errors import ParameterError


def a_dense_one(seed, shape, size):
    shares = np.random.default_rng(seed).dirichlet(np.full(size, 0.3), shape)
    return Prediction.dense(np.log(np.maximum(shares, 1e-9)).astype(np.float32))


@given(seed=st.integers(0, 10**6), size=st.integers(2, 40), top=st.integers(1, 40), n=st.integers(1, 6))
def test_the_likeliest_words_keep_their_probability_and_the_others_their_level(seed, size, top, n):
    whole = a_dense_one(seed, (n,), size)
    few = whole.top(top)
    if top >= size:
        assert few is whole
        return
    assert few.words.shape == (n, top) and (np.diff(few.words, axis=-1) > 0).all()
    every = np.broadcast_to(np.arange(size), (n, size))
    written_out, shared_out = few.at(every), replace(few, levels=None).at(every)
    assert np.exp(shared_out.astype(float)).sum(axis=-1) == pytest.approx(1, abs=1e-4)
    assert np.abs(written_out - whole.log_probability).max() <= STEP / 2 + 1e-5
    named = np.zeros((n, size), bool)
    np.put_along_axis(named, few.words.astype(int), True, -1)
    assert np.array_equal(written_out[named], whole.log_probability[named])
    for row in range(n):
        assert whole.log_probability[row, named[row]].min() >= whole.log_probability[row, ~named[row]].max()
        assert len(set(shared_out[row, ~named[row]])) == 1


@given(seed=st.integers(0, 10**6), top=st.sampled_from((None, 1, 5)))
def test_words_under_other_numbers_keep_their_probability(seed, top):
    size = 17
    names = np.random.default_rng(seed).permutation(size)
    of_words = a_dense_one(seed, (3, 2), size).top(top)
    every = np.broadcast_to(np.arange(size), (3, 2, size))
    assert np.array_equal(of_words.renamed(names).at(names[every]), of_words.at(every))


def test_levels_of_what_hardly_or_never_is():
    logs = np.array([[0.0, -0.13, -31.8, -700.0, LEAST, -np.inf]], np.float32)
    assert levels_of(logs).tolist() == [[0, 1, 254, 254, 255, 255]]


def test_all_words_alike_and_what_is_no_word():
    even = Prediction.even((2, 3), 1000)
    assert even.at(np.array([[[0, 7, 999]] * 3] * 2)) == pytest.approx(np.log(1 / 1000), abs=1e-5)
    assert (even.at(np.full((2, 3, 1), -1)) == LEAST).all()
    assert even[0].log_probability.shape == (3, 1) and even.n_bytes == 2 * 3 * 12


def test_arrays_that_do_not_belong_together_are_named():
    logs = np.zeros((2, 4), np.float32)
    with pytest.raises(ParameterError, match="not those of all 5 words"):
        Prediction(logs, 5)
    with pytest.raises(ParameterError, match=r"words of shape \(2, 3\)"):
        Prediction(logs, 9, np.zeros((2, 3), np.int32), np.zeros(2, np.float32))
    with pytest.raises(ParameterError, match=r"levels of shape \(2, 4\) are not those of 9 words"):
        Prediction(logs, 9, np.zeros((2, 4), np.int32), np.zeros(2, np.float32), np.zeros((2, 4), np.uint8))
    with pytest.raises(ParameterError, match="cannot be reduced further"):
        Prediction(logs, 9, np.zeros((2, 4), np.int32), np.zeros(2, np.float32)).top(2)
