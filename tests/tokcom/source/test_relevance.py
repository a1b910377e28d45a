from copy import deepcopy

import numpy as np
import pytest
import torch

from tokcom.context.condition import NOTHING
from tokcom.frame import LOST
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom.packets.halton import halton_order
from tokcom.packets.thinning import region_of
from tokcom.source.filling import expected_picture
from tokcom.source.relevance import (
    TASK,
    distortion,
    margin_change,
    relevance,
    relevance_from_spread,
    relevant_regions,
    sent_first,
    surprise,
)


@pytest.fixture
def parts(tiny_model):
    name = str(tiny_model)
    tokenizer = load_tokenizer(name, 0, "cpu")
    size = tokenizer.image_size
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return tokenizer.tokenize(picture), load_context(name, "cpu"), tokenizer, load_classifier(name, "cpu")


def test_margins_change_by_the_gradient(parts):
    """The gradient, by finite differences in double precision."""
    frame, _, tokenizer, classifier = parts
    found = margin_change(frame, tokenizer, classifier)
    codes, step = tokenizer.network.codebook.double(), 1e-5
    network, task = deepcopy(tokenizer.network).double(), deepcopy(classifier.network).double()
    tokens = frame.tokens.astype(np.int64)

    def margin(vectors):
        with torch.inference_mode():
            logits = task(network.decode_vectors(vectors.reshape(1, *frame.grid, -1)).clamp(-1, 1))[0]
        best = int(logits.argmax())
        return float(logits[best] - torch.cat((logits[:best], logits[best + 1 :])).logsumexp(0))

    vectors, place = codes[tokens].clone(), 6
    changes = []
    for word in range(frame.codebook_size):
        moved = vectors.clone()
        moved[place] += step * (codes[word] - codes[tokens[place]])
        changes.append((margin(moved) - margin(vectors)) / step)
    np.testing.assert_allclose(found[place], np.abs(changes), rtol=0.02, atol=1e-5)


def test_costs_of_guesses_by_hand(parts):
    frame, _, tokenizer, classifier = parts
    codes, places = tokenizer.network.codebook.numpy(), np.array([2, 11])
    first, second = 1, 3
    guesses = np.zeros((2, frame.codebook_size), np.float32)
    guesses[:, first], guesses[:, second] = 0.25, 0.75
    expected = 0.25 * codes[first] + 0.75 * codes[second]
    errors = [((expected - codes[frame.tokens[place]]) ** 2).sum() for place in places]
    np.testing.assert_allclose(distortion(frame, tokenizer)(places, guesses), errors, rtol=1e-5)
    change = margin_change(frame, tokenizer, classifier)[places] @ guesses[0]
    joined = np.array(errors) ** (1 - TASK) * change**TASK
    np.testing.assert_allclose(relevance(frame, tokenizer, classifier)(places, guesses), joined, rtol=1e-4)
    sure = np.full((2, frame.codebook_size), 1 / frame.codebook_size, np.float32)
    np.testing.assert_allclose(surprise(frame)(places, sure), np.log(frame.codebook_size), rtol=1e-5)


def test_relevance_of_regions_looks_from_spread_places(parts):
    frame, prior, tokenizer, classifier = parts
    found = relevance_from_spread(frame, prior, 5, tokenizer, classifier)
    open_ = ~np.isin(np.arange(16), halton_order(frame.grid)[:5])
    seen = np.where(open_, LOST, frame.tokens).astype(np.int32)
    guesses = np.exp(prior.log_probabilities(seen[None], open_[None], [NOTHING]))
    expected = relevance(frame, tokenizer, classifier)(np.flatnonzero(open_), guesses)
    np.testing.assert_allclose(found[open_], expected, rtol=1e-5)
    whole = relevance_from_spread(frame, prior, 16, tokenizer, classifier)
    assert (whole[~open_] == found[~open_]).all() and np.isfinite(whole).all()


def test_maps_hold_the_first_places():
    assert sent_first(np.array([15, 0, 12, 3]), 3).places == (0, 12, 15)


def test_relevant_regions_come_first():
    values = np.zeros(64)
    values[region_of((8, 8)) == 5] = 1
    thinning = relevant_regions(values, (8, 8), 8)
    assert thinning.levels[5] == 0 and sorted(thinning.levels) == [level for level in range(4) for _ in range(4)]


def test_an_expected_picture_is_decoded_from_mean_codes(parts):
    frame, prior, tokenizer, _ = parts
    np.testing.assert_array_equal(expected_picture(frame, prior, tokenizer), tokenizer.detokenize(frame))

    class Sure:
        """A model that knows the tokens."""

        def told_with(self, frame):
            return NOTHING

        def require_fit(self, frame, condition):
            pass

        def log_probabilities(self, tokens, wanted, conditions):
            return np.log(np.eye(frame.codebook_size)[frame.tokens[wanted[0]]] + 1e-30).astype(np.float32)

    gone = frame.with_tokens(np.where(np.arange(16) % 3, frame.tokens, LOST))
    found = expected_picture(gone, Sure(), tokenizer)
    np.testing.assert_allclose(found.astype(int), tokenizer.detokenize(frame), atol=1)
