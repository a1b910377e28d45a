"""Packets token by token, against sums over all that could have been sent."""

from itertools import product

import numpy as np
import pytest

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.list_decoding import ListDecoder
from tokcom.errors import ParameterError
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.crc import Crc

WIDTH, N_TOKENS, SIZE = 4, 2, 13
CODE = ConvolutionalCode(4, (0o13, 0o17))
CRC = Crc(5, 0x15, 0x1F)
ALL = np.array(list(product(range(SIZE), repeat=N_TOKENS)))


def log_likelihoods(llrs, crc, preset=None, labels=None):
    """Of all packets, by encoding each; up to the constant that the best code word of every step is 0."""
    sent = ALL if labels is None else labels[ALL]
    bits = tokens_to_bits(sent, WIDTH)
    bits = crc.append(bits, None if preset is None else np.full(len(bits), preset)) if crc.width else bits
    steps = np.maximum(llrs, 0).reshape(-1).sum()
    return CODE.encode(bits) @ llrs[0].astype(np.float64) - steps


def packet(crc, seed=0):
    """LLRs of a packet, and frequencies of words."""
    rng = np.random.default_rng(seed)
    length = CODE.coded_length(N_TOKENS * WIDTH + crc.width)
    return rng.normal(0, 2, (1, length)).astype(np.float32), rng.dirichlet(np.ones(SIZE)).astype(np.float32)


def decoder(crc):
    return ListDecoder(CODE, crc, WIDTH, N_TOKENS)


@pytest.mark.parametrize("labelled", [False, True])
def test_paths_and_the_look_ahead_are_those_of_all_packets(labelled):
    none, rng = Crc(0, 0, 0), np.random.default_rng(3)
    labels = rng.permutation(SIZE).astype(np.int32) if labelled else None
    llrs, frequencies = packet(none)
    whole = log_likelihoods(llrs, none, labels=labels).reshape(SIZE, SIZE)
    steps = decoder(none).token_steps(decoder(none).steps(llrs)[0], np.log(frequencies), labels=labels)
    priors = np.log(rng.dirichlet(np.ones(SIZE), 1)).astype(np.float32)
    found = steps.continuations(0, steps.begin(np.zeros(1)), priors, 1000)
    ahead = priors[0] + np.logaddexp.reduce(whole + np.log(frequencies), axis=1)
    assert sorted(found.word) == list(range(SIZE))
    assert found.total == pytest.approx(ahead[found.word], abs=1e-4)
    assert (np.diff(found.total) <= 0).all()
    assert found.mass == pytest.approx(np.logaddexp.reduce(ahead), abs=1e-4)
    second = np.log(rng.dirichlet(np.ones(SIZE), SIZE)).astype(np.float32)
    last = steps.continuations(1, found.ends, second, 1000)
    first = found.word[last.parent]
    expected = priors[0, first] + second[last.parent, last.word] + whole[first, last.word]
    assert len(last.word) == SIZE**2 and last.total == pytest.approx(expected, abs=1e-4)
    assert last.ends.metric == pytest.approx(last.total)


def test_the_check_decides_behind_the_last_token():
    llrs, frequencies = packet(CRC, 1)
    preset = 9
    whole = log_likelihoods(llrs, CRC, preset).reshape(SIZE, SIZE)
    steps = decoder(CRC).token_steps(decoder(CRC).steps(llrs)[0], np.log(frequencies), preset)
    even = np.full((1, SIZE), -np.log(SIZE), np.float32)
    found = steps.continuations(0, steps.begin(np.zeros(1)), even, 1000)
    last = steps.continuations(1, found.ends, even.repeat(SIZE, 0), 1000)
    first = found.word[last.parent]
    assert last.total == pytest.approx(2 * even[0, 0] + whole[first, last.word], abs=1e-4)
    assert last.mass == pytest.approx(np.logaddexp.reduce(last.total), abs=1e-4)


def test_what_is_not_listed_counts_with_the_average_check():
    llrs, frequencies = packet(CRC, 2)
    steps = decoder(CRC).token_steps(decoder(CRC).steps(llrs)[0], np.log(frequencies))
    even = np.full((SIZE, SIZE), -np.log(SIZE), np.float32)
    found = steps.continuations(0, steps.begin(np.zeros(1)), even[:1], 1000)
    everything = steps.continuations(1, found.ends, even, 1000)
    few = steps.continuations(1, found.ends, even, 20)
    assert 0 < len(few.word) <= 20 and few.mass > np.logaddexp.reduce(few.total)
    assert abs(few.mass - everything.mass) < 2


def test_a_selection_of_paths_goes_on():
    llrs, frequencies = packet(CRC)
    steps = decoder(CRC).token_steps(decoder(CRC).steps(llrs)[0], np.log(frequencies))
    even = np.full((1, SIZE), -np.log(SIZE), np.float32)
    found = steps.continuations(0, steps.begin(np.array([-5.0])), even, 1000)
    ends = found.select(np.array([2, 0]))
    assert np.array_equal(ends.state, found.ends.state[[2, 0]]) and np.array_equal(
        ends.metric, found.ends.metric[[2, 0]]
    )


def test_a_word_that_is_asked_for_is_listed_behind_every_path():
    llrs, frequencies = packet(CRC)
    steps = decoder(CRC).token_steps(decoder(CRC).steps(llrs)[0], np.log(frequencies))
    even = np.full((3, SIZE), -np.log(SIZE), np.float32)
    even[:, 5] = -500
    begun = steps.begin(np.zeros(3))
    plain, asked = (steps.continuations(0, begun, even, 1000, also) for also in (None, np.array([5])))
    assert 5 not in plain.word and asked.mass == plain.mass
    assert sorted(asked.parent[asked.word == 5]) == [0, 1, 2] and len(asked.word) == len(plain.word) + 3
    assert np.isfinite(asked.total).all() and (asked.word[-3:] == 5).all()


def test_tokens_that_do_not_fill_the_code_are_refused():
    narrow = ListDecoder(CODE, CRC, 2, 4)
    with pytest.raises(ParameterError, match="do not fill the memory of K=4"):
        narrow.token_steps(np.zeros((16, 4), np.float32), np.zeros(4, np.float32))
