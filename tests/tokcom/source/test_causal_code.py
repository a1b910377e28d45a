import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING
from tokcom.errors import SourceError
from tokcom.source.causal_code import Ending, decode_causal, encode_causal

pytest.importorskip("constriction")


class Steps(Paths):
    """Paths of `Chain`, whose log-probabilities are off by at most `noise`."""

    def __init__(self, chain, last=0, noise=0.0):
        self.chain, self.last, self.noise = chain, last, noise

    @property
    def log_probabilities(self):
        row = self.chain.table[self.last % 7]
        return (row + self.chain.rng.uniform(-self.noise, self.noise, row.shape))[None].astype(np.float32)

    def branch(self, parents, tokens):
        self.last = int(tokens[0])

    def select(self, kept):
        pass

    def follow(self, tokens, weigh=True):
        self.last = int(tokens[-1])
        return np.zeros(1)


class Chain(CausalPrior):
    """A Markov chain: the token after t is drawn from row t modulo 7."""

    codebook, grid = "chain", None

    def __init__(self, words, noise=0.0):
        self.codebook_size, self.noise, self.rng = words, noise, np.random.default_rng(0)
        logits = np.random.default_rng(1).normal(0, 2, (7, words))
        self.table = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def paths(self, condition):
        return Steps(self, noise=self.noise)

    def draw(self, count, seed):
        rng, tokens = np.random.default_rng(seed), [0]
        for _ in range(count):
            tokens.append(int(rng.choice(self.codebook_size, p=np.exp(self.table[tokens[-1] % 7]))))
        return np.array(tokens[1:])

    def bits(self, tokens):
        before = np.concatenate([[0], tokens[:-1]]) % 7
        return -self.table[before, tokens].sum() / np.log(2)


@settings(max_examples=25)
@given(st.integers(2, 300), st.integers(1, 400), st.integers(0, 100))
def test_tokens_come_back_in_any_number(words, count, seed):
    chain = Chain(words)
    tokens = chain.draw(count, seed)
    bits = encode_causal(tokens, chain.paths(NOTHING))
    assert list(decode_causal(bits, chain.paths(NOTHING), words, count)) == tokens.tolist()


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(0, 100))
def test_the_number_of_tokens_may_be_coded(count, seed):
    """Also of texts with ends of lines within."""
    chain, ending = Chain(50), Ending(np.array([3, 11]))
    tokens = chain.draw(count, seed)
    bits = encode_causal(tokens, chain.paths(NOTHING), ending)
    assert list(decode_causal(bits, chain.paths(NOTHING), 50, None, ending)) == tokens.tolist()


def test_a_decoder_whose_probabilities_differ_decodes_the_same():
    chain = Chain(300)
    tokens = chain.draw(300, 0)
    bits = encode_causal(tokens, chain.paths(NOTHING))
    for noise, same in ((2e-5, True), (1e-2, False)):
        other = Chain(300, noise)
        try:
            found = list(decode_causal(bits, other.paths(NOTHING), 300, 300))
        except SourceError:
            found = []
        assert (found == tokens.tolist()) is same


def test_length_is_the_information():
    """Within 1% of the chain's own code length, dithers and end included."""
    chain = Chain(256)
    tokens = chain.draw(2000, 3)
    assert chain.bits(tokens) <= len(encode_causal(tokens, chain.paths(NOTHING))) <= 1.01 * chain.bits(tokens)


def test_an_end_costs_about_what_the_model_says():
    """Where words that end lines are certain, the end is nearly free; where they are not, a token costs little more."""
    ending, words = Ending(np.array([0])), 8
    sure, never = np.full((1, words), -20.0), np.zeros((1, words)) - np.log(words - 1)
    sure[0, 0], never[0, 0] = 0, -np.inf
    chances = 1 / (1 + np.exp(-np.array([ending.log_odds(sure)[0], ending.log_odds(never)[0]])))
    np.testing.assert_allclose(chances, [0.9 + 0.1 / 16, 0.1 / 16], atol=1e-6)


def test_a_text_without_end_is_refused():
    chain, ending = Chain(50), Ending(np.array([49]))
    bits = encode_causal(chain.draw(40, 0), chain.paths(NOTHING), ending)
    with pytest.raises(SourceError, match="does not end after 30 tokens"):
        list(decode_causal(bits, chain.paths(NOTHING), 50, None, ending, 30))


@settings(max_examples=25)
@given(st.binary(max_size=60))
def test_any_bits_end_in_tokens_or_an_error(data):
    chain, ending = Chain(50), Ending(np.array([49]))
    try:
        found = list(
            decode_causal(np.unpackbits(np.frombuffer(data, np.uint8)), chain.paths(NOTHING), 50, None, ending, 99)
        )
    except SourceError:
        return
    assert len(found) <= 99 and all(0 <= token < 50 for token in found)
