"""Drafts: their record, against sets counted one by one; and the law of what the server makes of them, in closed
form."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from tokcom.context.condition import NOTHING
from tokcom.context.sampling import Sampling, continued
from tokcom.errors import MessageError
from tokcom.offload.drafts import (
    IDENTICAL,
    IN_LAW,
    MAX_CANDIDATES,
    SHARES,
    Draft,
    _rank,
    _set,
    acceptance,
    drafted,
    judged,
    residual,
)  # fmt: skip


def logs_of(seed, size, spread=2.0):
    logits = np.random.default_rng(seed).normal(0, spread, size)
    return (logits - np.log(np.exp(logits).sum())).astype(np.float32)


def test_sets_are_numbered_in_order_by_their_largest_number():
    for size, count in ((7, 3), (8, 1), (6, 6), (5, 0)):
        sets = sorted(combinations(range(size), count), key=lambda each: each[::-1])
        assert [_rank(each) for each in sets] == list(range(comb(size, count)))
        assert [tuple(_set(number, count, size)) for number in range(len(sets))] == sets


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 9, 256, 1024, 49152, 1 << 18]), st.floats(0.1, 5))
def test_a_draft_comes_back_from_64_bits(seed, size, temperature):
    draft = drafted(logs_of(seed, size), Sampling(temperature, seed), 3, IN_LAW)
    assert 1 <= len(draft.words) <= min(MAX_CANDIDATES, size)
    assert sorted(set(draft.words)) == list(draft.words)
    assert sum(draft.shares) == SHARES
    assert min(draft.shares) >= 1
    assert 0 <= draft.record < 2**64
    assert Draft.of_record(draft.record, size) == draft


@given(st.integers(0, 2**64 - 1), st.integers(1, 1 << 18))
def test_any_64_bits_are_a_draft_or_are_refused(record, size):
    try:
        draft = Draft.of_record(record, size)
    except MessageError:
        return
    assert draft.record == record
    assert draft.words[-1] < size


def test_records_hold_eight_candidates_of_a_small_codebook_and_the_likeliest_of_a_large_one():
    assert len(drafted(logs_of(0, 150), Sampling(1.0), 0, IN_LAW).words) == MAX_CANDIDATES
    logs = logs_of(1, 49152, 6.0)
    draft = drafted(logs, Sampling(1.0), 0, IN_LAW)
    best = np.argsort(-logs)[:MAX_CANDIDATES]
    assert set(draft.words) <= set(best.tolist())
    assert len(draft.words) >= 3
    # Of all sets of the eight that fit, none is likelier.
    mass = np.exp(logs[list(draft.words)]).sum()
    for count in range(1, MAX_CANDIDATES + 1):
        for each in combinations(sorted(best.tolist()), count):
            bits = comb(each[-1] + 1, count) * comb(SHARES - 1, count - 1) * count * MAX_CANDIDATES
            assert bits > 1 << 64 or np.exp(logs[list(each)]).sum() <= mass + 1e-6


@given(st.integers(0, 2**32), st.integers(2, 30), st.floats(0.2, 3))
def test_accepted_and_replaced_words_together_follow_the_large_model(seed, size, temperature):
    sampling = Sampling(temperature)
    own = np.exp(sampling.tempered(logs_of(seed + 1, size)))
    draft = drafted(logs_of(seed, size), sampling, 0, IN_LAW)
    proposed, accepted = np.array(draft.shares) / SHARES, acceptance(own, draft)
    law = residual(own, draft) * (1 - (proposed * accepted).sum())
    law[list(draft.words)] += proposed * accepted
    assert np.allclose(law, own, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shift", [0.0, 0.3, 5.0])
def test_judged_words_are_those_that_the_large_model_writes_alone(chain, temperature, shift):
    large, small = chain(), chain(shift=shift)
    for seed in range(40):
        sampling = Sampling(temperature, seed)
        alone = continued(large, np.array([1]), 6, sampling)
        paths, ahead, drafts = large.paths(NOTHING), small.paths(NOTHING), []
        ahead.follow(np.array([1]))
        for place in range(1, 6):
            drafts.append(drafted(ahead.log_probabilities[0], sampling, place, IDENTICAL))
            ahead.follow(np.array([drafts[-1].word]))
        words, behind = judged(paths, [1], drafts, 1, sampling, IDENTICAL)
        assert words == alone[: len(words)].tolist()
        agree = np.array([each.word for each in drafts]) == alone[:5]
        assert len(words) - 1 == (5 if agree.all() else int(agree.argmin()))
        behind.follow(np.array(words[-1:]))
        again = large.paths(NOTHING)
        again.follow(np.array([1, *words]))
        assert np.array_equal(behind.log_probabilities, again.log_probabilities)
        assert shift or len(words) == 6  # a model agrees with itself


def test_texts_in_law_are_as_frequent_as_the_large_model_says(chain):
    large, small, count = chain(size=3), chain(size=3, shift=0.7), 1500
    found = np.zeros((3, 3))
    for seed in range(count):
        sampling, ahead, drafts = Sampling(1.0, seed), small.paths(NOTHING), []
        for place in range(2):
            drafts.append(drafted(ahead.log_probabilities[0], sampling, place, IN_LAW))
            ahead.follow(np.array([drafts[-1].word]))
        words, paths = judged(large.paths(NOTHING), [], drafts, 0, sampling, IN_LAW)
        if len(words) == 1:  # the next word is the large model's own, as in another round
            paths.follow(np.array(words))
            words += judged(paths, [], [], 1, sampling, IN_LAW)[0]
        found[words[0], words[1]] += 1
    table = np.exp(large.table.astype(float))
    expected = count * table[0, 0][:, None] * table[0]
    assert chisquare(found.ravel(), expected.ravel() * count / expected.sum()).pvalue > 0.001
