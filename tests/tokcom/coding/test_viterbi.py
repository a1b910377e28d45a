import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import LANES, viterbi, viterbi_of_steps
from tokcom.errors import ParameterError

KEEPS = {2: ((), ((1, 1), (1, 0)), ((1, 1, 0), (1, 0, 1))), 3: ((), ((1, 1), (1, 0), (0, 1)))}


def likeliest(code, llrs, n_bits):
    """Every message tried: the one whose coded bits correlate best with the LLRs."""
    messages = ((np.arange(1 << n_bits)[:, None] >> np.arange(n_bits - 1, -1, -1)) & 1).astype(np.uint8)
    return messages[(llrs @ code.encode(messages).T.astype(np.float64)).argmax(axis=1)]


@given(
    length=st.integers(2, 7), outputs=st.sampled_from((2, 3)), terminated=st.booleans(), n_bits=st.integers(1, 9),
    pattern=st.integers(0, 2), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_it_finds_the_likeliest_message(length, outputs, terminated, n_bits, pattern, seed):
    rng = np.random.default_rng(seed)
    generators = tuple(int(g) | 1 << (length - 1) for g in rng.integers(1, 1 << length, outputs))
    keep = KEEPS[outputs][pattern % len(KEEPS[outputs])]
    code = ConvolutionalCode(length, generators, terminated, keep)
    llrs = rng.normal(size=(LANES + 3, code.coded_length(n_bits)))
    found = viterbi(code, llrs, n_bits)
    best = likeliest(code, llrs, n_bits)
    metric = [(llrs * code.encode(bits)).sum(axis=1) for bits in (found, best)]
    # Two messages may be equally likely (a bit that no sent bit depends on); then either will do.
    assert np.allclose(*metric, atol=1e-4)


@given(
    length=st.integers(2, 6), outputs=st.sampled_from((2, 3)), terminated=st.booleans(), n_bits=st.integers(1, 8),
    batch=st.sampled_from((1, 9)), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_by_steps_it_finds_the_likeliest_message_of_any_metric(length, outputs, terminated, n_bits, batch, seed):
    """Every message tried, under likelihoods of code words that are no sum over their bits."""
    rng = np.random.default_rng(seed)
    code = ConvolutionalCode(length, tuple(int(g) | 1 for g in rng.integers(1, 1 << length, outputs)), terminated)
    steps = rng.normal(size=(batch, n_bits + code.tail, 1 << outputs)).astype(np.float32)
    messages = ((np.arange(1 << n_bits)[:, None] >> np.arange(n_bits)) & 1).astype(np.uint8)

    def metric(bits):
        words = code.encode(bits).reshape(len(bits), -1, outputs) @ (1 << np.arange(outputs - 1, -1, -1))
        return np.take_along_axis(steps[:, None], words[None, ..., None], -1)[..., 0].sum(axis=-1)

    found = viterbi_of_steps(code, steps, n_bits)
    assert np.allclose(np.diag(metric(found)), metric(messages).max(axis=1), atol=1e-4)


@given(batch=st.integers(1, 3 * LANES), seed=st.integers(0, 2**32 - 1), name=st.sampled_from(("k3", "k7", "k9")))
def test_clean_packets_come_back_whatever_the_batch(batch, seed, name):
    code = ConvolutionalCode.named(name)
    bits = np.random.default_rng(seed).integers(0, 2, (batch, 56), dtype=np.uint8)
    assert np.array_equal(viterbi(code, 2.0 * code.encode(bits) - 1, 56), bits)


def test_a_packet_decodes_the_same_alone_and_in_company():
    code = ConvolutionalCode.named("k7")
    llrs = np.random.default_rng(0).normal(size=(70, 124)).astype(np.float32)
    together = viterbi(code, llrs, 56)
    assert all(np.array_equal(viterbi(code, llrs[i : i + 1], 56)[0], together[i]) for i in range(70))


def test_llrs_of_another_length_are_refused():
    with pytest.raises(ParameterError, match=r"\(2, 123\).*124"):
        viterbi(ConvolutionalCode.named("k7"), np.zeros((2, 123)), 56)
    with pytest.raises(ParameterError, match=r"steps have shape \(2, 62, 2\); they must be \(batch, 62, 4\)"):
        viterbi_of_steps(ConvolutionalCode.named("k7"), np.zeros((2, 62, 2)), 56)
