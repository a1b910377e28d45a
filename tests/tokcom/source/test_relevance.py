from copy import deepcopy

import numpy as np
import pytest
import torch

from tokcom.context.condition import NOTHING
from tokcom.frame import LOST
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom.packets.halton import halton_order
from tokcom.packets.thinning import region_of
from tokcom.source.filling import expected_picture, filled_picture
from tokcom.source.relevance import most_relevant, relevant_regions, spread_first, surprise, token_relevance


@pytest.fixture
def parts(tiny_model):
    name = str(tiny_model)
    tokenizer = load_tokenizer(name, 0, "cpu")
    size = tokenizer.image_size
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return tokenizer.tokenize(picture), load_context(name, "cpu"), tokenizer, load_classifier(name, "cpu")


def test_predictions_are_the_models_given_the_first_places(parts):
    frame, prior, _, _ = parts
    first, logs = spread_first(frame, prior, 5)
    np.testing.assert_array_equal(first, halton_order(frame.grid)[:5])
    wanted = ~np.isin(np.arange(16), first)
    seen = np.where(wanted, LOST, frame.tokens).astype(np.int32)
    np.testing.assert_array_equal(logs[wanted], prior.log_probabilities(seen[None], wanted[None], [NOTHING]))
    np.testing.assert_allclose(surprise(frame, logs)[first], np.log(frame.codebook_size), rtol=1e-6)


def test_relevance_is_the_expected_change_of_the_margin(parts):
    """The gradient, by finite differences in double precision."""
    frame, prior, tokenizer, classifier = parts
    _, logs = spread_first(frame, prior, 0)
    found = token_relevance(frame, logs, tokenizer, classifier)
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
    expected = float(np.exp(logs[place].astype(float)) @ np.abs(changes))
    assert found[place] == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_maps_hold_the_largest_values_and_the_first_places():
    values = np.arange(16.0)
    assert most_relevant(values, 4).places == (12, 13, 14, 15)
    assert most_relevant(values, 4, np.array([3, 0])).places == (0, 3, 14, 15)


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


def test_a_tokenizer_of_words_alone_shows_the_likeliest(parts):
    frame, prior, tokenizer, _ = parts

    class Words:
        """Shows nothing between the words."""

        detokenize = staticmethod(tokenizer.detokenize)

    lost = frame.with_tokens(np.where(np.arange(16) % 3, frame.tokens, LOST))
    tokens = lost.tokens.copy()
    logs = prior.log_probabilities(lost.tokens[None], lost.lost[None], [prior.told_with(lost)])
    tokens[lost.lost] = logs.argmax(axis=1)
    shown = filled_picture(lost, prior, Words())
    np.testing.assert_array_equal(shown, tokenizer.detokenize(frame.with_tokens(tokens)))
    np.testing.assert_array_equal(filled_picture(lost, prior, tokenizer), expected_picture(lost, prior, tokenizer))
