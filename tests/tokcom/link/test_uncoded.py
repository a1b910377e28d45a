import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.uncoded import UncodedLink
from tokcom.packets.labels import TokenLabels

SIZE, N = 64, 40
TRANSITIONS = np.random.default_rng(0).dirichlet(np.full(SIZE, 0.05), N)
"""Each place has a distribution of its own, and the others tell nothing."""


class Independent(Prior):
    """Tokens of `TRANSITIONS`, a row a place."""

    codebook, codebook_size, grid, num_classes = "independent", SIZE, None, 5

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        return np.log(TRANSITIONS[tokens == LOST] + 1e-12).astype(np.float32)


def a_frame(seed):
    rng = np.random.default_rng(seed)
    tokens = [rng.choice(SIZE, p=row) for row in TRANSITIONS]
    return TokenFrame(np.array(tokens), "independent", SIZE)


@pytest.fixture
def labels():
    return TokenLabels(np.random.default_rng(5).permutation(SIZE))


@pytest.mark.parametrize("scheme", ["64qam", "8psk 8psk", "16qam qpsk"])
def test_tokens_are_decided_with_the_context_s_prior_as_by_bayes(scheme, labels):
    frame = a_frame(1)
    plain, informed = UncodedLink(scheme, labels), UncodedLink(scheme, labels, Independent())
    symbols = awgn(plain.transmit(frame), 6, np.random.default_rng(2))
    variance = noise_variance(6)
    received, confidence = informed.receive(frame, symbols, variance)
    points = plain.mapping.points[labels.of_tokens]
    distance = (np.abs(symbols[:, None] - points) ** 2).sum(axis=2) / variance
    assert np.array_equal(plain.receive(frame, symbols, variance)[0].tokens, distance.argmin(axis=1))
    metric = np.log(TRANSITIONS + 1e-12) - distance
    posterior = np.exp(metric - metric.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    assert np.array_equal(received.tokens, posterior.argmax(axis=1))
    assert np.allclose(confidence, posterior.max(axis=1), atol=1e-4)
    assert np.mean(received.tokens != frame.tokens) < 0.5 * np.mean(distance.argmin(axis=1) != frame.tokens)


def test_a_clean_channel_brings_everything_back(labels):
    frame, link = a_frame(3), UncodedLink("64qam", labels)
    received, confidence = link.receive(frame, link.transmit(frame), 1e-4)
    assert np.array_equal(received.tokens, frame.tokens) and (confidence > 0.999).all()


def test_frames_that_cannot_be_sent_are_named(labels):
    frame, link = a_frame(4), UncodedLink("64qam", labels)
    with pytest.raises(ParameterError, match="39 rows of symbols do not match a frame of 40 tokens"):
        link.receive(frame, np.ones((39, 1)), 0.1)
    with pytest.raises(FrameError, match="token -1 lies outside"):
        link.transmit(frame.with_tokens(np.full(N, LOST, np.int32)))
    with pytest.raises(ParameterError, match="'16qam' has 16 labels; 64 tokens"):
        UncodedLink("16qam", labels)
