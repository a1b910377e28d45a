import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import FrameError, ParameterError
from tokcom.packets.labels import TokenLabels


@given(size=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_tokens_come_back_from_their_labels(size, seed):
    rng = np.random.default_rng(seed)
    permutation = rng.permutation(size)
    labels = TokenLabels(permutation)
    tokens = rng.integers(0, size, (7, 3))
    assert np.array_equal(labels.label(tokens), permutation[tokens])
    assert np.array_equal(labels.tokens(labels.label(tokens)), tokens)
    assert len(labels) == size and labels == TokenLabels(permutation.copy())
    assert hash(labels) == hash(TokenLabels(permutation.copy()))


def test_numbers_that_are_no_label_stay_and_tokens_outside_are_refused():
    labels = TokenLabels(np.array([2, 0, 1]))
    assert labels.tokens(np.array([0, 3, -1, 2])).tolist() == [1, 3, -1, 0]
    for bad in (-1, 3):
        with pytest.raises(FrameError, match=f"token {bad} lies outside the codebook of 3 words"):
            labels.label(np.array([0, bad]))


@pytest.mark.parametrize("bad", [[0, 0], [1, 2], [[0, 1]], [-1, 0]])
def test_what_is_no_permutation_is_refused(bad):
    with pytest.raises(ParameterError, match="not a permutation"):
        TokenLabels(np.array(bad))
