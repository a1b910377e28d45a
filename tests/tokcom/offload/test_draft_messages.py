import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.sampling import Sampling
from tokcom.errors import MessageError
from tokcom.offload.draft_messages import (
    DRAFTS,
    MAX_CONTEXT,
    MAX_DRAFTS,
    VERDICT,
    DraftRequest,
    read_verdict,
    verdict_bytes,
)  # fmt: skip
from tokcom.offload.drafts import IDENTICAL, IN_LAW, Draft
from tokcom.offload.wire import opened


def request(tokens=(3, 1, 4), start=0, drafts=3, rule=IN_LAW, sampling=None):
    records = [Draft((each, each + 2), (20, 12), each % 2).record for each in range(drafts)]
    return DraftRequest(
        0xDEADBEEF, 250, 2**64 - 1, start, np.array(tokens, np.int32), np.array(records, np.uint64), rule,
        sampling or Sampling(0.7, 2**62),
    )  # fmt: skip


@pytest.mark.parametrize("given_", [{}, {"tokens": (), "start": 9}, {"drafts": 0}, {"rule": IDENTICAL}])
def test_drafts_arrive_as_they_were_sent(given_):
    sent = request(**given_)
    kind, number, reader = opened(sent.encode(77))
    found = DraftRequest.decode(reader)
    assert (kind, number) == (DRAFTS, 77)
    for name in ("codebook_id", "deadline_ms", "session", "start", "rule", "sampling", "place"):
        assert getattr(found, name) == getattr(sent, name)
    assert np.array_equal(found.tokens, sent.tokens)
    assert found.drafts(50) == sent.drafts(50)


def test_a_drafted_word_takes_64_bits():
    assert len(request(drafts=5).encode(0)) - len(request(drafts=4).encode(0)) == 8


@pytest.mark.parametrize(
    "spoilt",
    [
        request(tokens=(-1,)), request(tokens=(1 << 18,)), request(start=MAX_CONTEXT), request(drafts=MAX_DRAFTS + 1),
        request(rule=2), request(sampling=Sampling()),
    ],
)  # fmt: skip
def test_requests_out_of_schema_are_refused(spoilt):
    with pytest.raises(MessageError):
        DraftRequest.decode(opened(spoilt.encode(1))[2])


def test_a_count_that_is_not_there_allocates_nothing():
    whole = request().encode(1)
    head = len(whole) - 3 * 4 - 3 * 8
    claimed = bytearray(whole[:head])
    claimed[13 + 20 : 13 + 24] = (MAX_CONTEXT).to_bytes(4, "little")  # behind codebook, deadline, session and start
    with pytest.raises(MessageError, match="bytes early"):
        DraftRequest.decode(opened(bytes(claimed))[2])


def test_words_beyond_the_codebook_are_refused():
    with pytest.raises(MessageError, match="beyond the 4 of its codebook"):
        request().drafts(4)


@given(st.lists(st.integers(0, 9), max_size=MAX_DRAFTS), st.data())
def test_a_verdict_comes_back(drafts, data):
    words = [*drafts[: data.draw(st.integers(0, len(drafts)))], data.draw(st.integers(0, 9))]
    kind, number, reader = opened(verdict_bytes(words, 5))
    assert (kind, number) == (VERDICT, 5)
    assert read_verdict(reader, drafts, 10) == words
    assert read_verdict(opened(verdict_bytes(None, 5))[2], drafts, 10) is None


@pytest.mark.parametrize("words", [[], [10], [-1], [5, 1], [1, 2, 3, 4, 5]])
def test_verdicts_on_other_words_are_lies(words):
    with pytest.raises(MessageError):
        read_verdict(opened(verdict_bytes(words, 5))[2], [1, 2, 3], 10)
