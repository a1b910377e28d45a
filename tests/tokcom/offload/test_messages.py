import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.errors import MessageError, ParameterError
from tokcom.frame import LOST
from tokcom.offload.messages import (
    COARSE,
    DECODE,
    ENCODE,
    EXACT,
    PICTURES,
    PREDICT,
    PREDICTION,
    REASONS,
    REFUSED,
    REQUESTS,
    TOKENS,
    WELCOME,
    PixelsRequest,
    PredictRequest,
    ServedModel,
    TokensRequest,
    pictures_bytes,
    prediction_bytes,
    read_pictures,
    read_prediction,
    read_refusal,
    read_tokens,
    read_welcome,
    refusal_bytes,
    tokens_bytes,
    welcome_bytes,
)  # fmt: skip
from tokcom.offload.wire import MAGIC, Reader, begin, opened


def request(frames=2, places=9, top=None, form=EXACT):
    rng = np.random.default_rng(frames)
    tokens = rng.integers(LOST, 50, (frames, places)).astype(np.int32)
    wanted = rng.random((frames, places)) < 0.5
    wanted[:, 2] = True
    told = [Condition(), Condition(3, "Füße"), Condition(embedding=np.array([1.0, -2.5])), Condition(label=0)]
    return PredictRequest(0xDEADBEEF, 250, tokens, wanted, tuple(told[:frames]), top, form)


def prediction(count=5, size=16, top=None):
    logits = np.random.default_rng(1).normal(0, 3, (count, size)).astype(np.float32)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return Prediction.dense(logs).top(top)


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("top", [None, 7])
def test_a_question_arrives_as_it_was_asked(frames, top):
    sent = request(frames, top=top, form=COARSE)
    kind, number, reader = opened(sent.encode(2**63 + 5))
    got = PredictRequest.decode(reader)
    assert (kind, number) == (PREDICT, 2**63 + 5)
    assert (got.codebook_id, got.deadline_ms, got.top, got.form) == (0xDEADBEEF, 250, top, COARSE)
    assert np.array_equal(got.tokens, sent.tokens)
    assert np.array_equal(got.wanted, sent.wanted)
    assert got.conditions == sent.conditions


@pytest.mark.parametrize("top", [None, 4])
def test_an_exact_answer_arrives_bit_for_bit(top):
    found = prediction(top=top)
    kind, number, reader = opened(prediction_bytes(found, 9))
    got = read_prediction(reader, 5, 16, top)
    assert (kind, number) == (PREDICTION, 9)
    for name in ("log_probability", "words", "rest", "levels"):
        expected = getattr(found, name)
        assert (getattr(got, name) is None) == (expected is None)
        assert expected is None or np.array_equal(getattr(got, name), expected)


def test_a_coarse_answer_takes_a_quarter_and_is_off_by_little():
    found = prediction(200, 64)
    exact, coarse = (prediction_bytes(found, 0, form) for form in (EXACT, COARSE))
    got = read_prediction(opened(coarse)[2], 200, 64, None)
    assert len(coarse) < 0.26 * len(exact)
    assert np.abs(got.log_probability - found.log_probability).max() < 1 / 8
    assert np.allclose(np.exp(got.log_probability).sum(-1), 1, atol=1e-5)


def lie(found, **changes):
    arrays = {name: getattr(found, name) for name in ("log_probability", "words", "rest", "levels")} | changes
    return prediction_bytes(Prediction(arrays["log_probability"], 16, *list(arrays.values())[1:]), 0)


@pytest.mark.parametrize(
    "message",
    [
        lie(prediction(), log_probability=prediction().log_probability + 0.5),
        lie(prediction(), log_probability=np.full((5, 16), np.nan, np.float32)),
        lie(prediction(), log_probability=np.full((5, 16), np.inf, np.float32)),
        prediction_bytes(prediction(count=4), 0),
        prediction_bytes(prediction(size=15), 0),
        prediction_bytes(prediction(top=4), 0),
        prediction_bytes(prediction(), 0) + b"\0",
        prediction_bytes(prediction(), 0)[:-1],
    ],
)
def test_lies_are_found(message):
    with pytest.raises(MessageError):
        read_prediction(opened(message)[2], 5, 16, None)


@pytest.mark.parametrize("words", [[0, 1, 1, 2], [3, 2, 1, 0], [0, 1, 2, 16], [-1, 0, 1, 2]])
def test_words_out_of_order_or_beyond_the_codebook_are_lies(words):
    message = lie(prediction(top=4), words=np.array([words] * 5, np.int32))
    with pytest.raises(MessageError, match="names words"):
        read_prediction(opened(message)[2], 5, 16, 4)


def test_pictures_and_tokens_arrive():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    tokens = rng.integers(0, 99, (3, 4, 5)).astype(np.int32)
    kind, _, reader = opened(PixelsRequest(7, 99, pictures).encode(1))
    assert kind == ENCODE
    assert np.array_equal(PixelsRequest.decode(reader).pictures, pictures)
    kind, _, reader = opened(TokensRequest(7, 99, tokens).encode(1))
    assert kind == DECODE
    assert np.array_equal(TokensRequest.decode(reader).tokens, tokens)
    kind, _, reader = opened(tokens_bytes(tokens, 1))
    assert kind == TOKENS
    assert np.array_equal(read_tokens(reader), tokens)
    kind, _, reader = opened(pictures_bytes(pictures, 1))
    assert kind == PICTURES
    assert np.array_equal(read_pictures(reader), pictures)


def test_refusals_and_welcomes_arrive():
    for reason in REASONS:
        kind, number, reader = opened(refusal_bytes(reason, "ü" * 3000, 4))
        found, text = read_refusal(reader)
        assert (kind, number, found) == (REFUSED, 4, reason)
        assert text.startswith("üü")
    models = [
        ServedModel("a@00000001", 32, (4, 4), 5, frozenset({"label"}), ("prior", "tokenizer")),
        ServedModel("ü", 1 << 18, (), 0, frozenset(), ("tokenizer",)),
    ]
    kind, _, reader = opened(welcome_bytes(models, 0))
    assert kind == WELCOME
    assert read_welcome(reader) == models


def test_what_cannot_be_sent_is_refused_before():
    one = np.zeros((1, 1), np.int32)
    with pytest.raises(ParameterError, match="2048"):
        PredictRequest(0, 1, one, one == 0, (Condition(text="x" * 3000),)).encode(0)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        # Sizes that nothing in the message bears out, up to the largest numbers that fit.
        (PREDICT, b"\xff" * 19), (ENCODE, b"\xff" * 14), (DECODE, b"\xff" * 14), (PREDICT, b"\0" * 19),
        (ENCODE, b"\0" * 14), (DECODE, b"\0" * 14),
    ],
)  # fmt: skip
def test_absurd_sizes_are_refused_before_anything_is_allocated(kind, head):
    with pytest.raises(MessageError):
        REQUESTS[kind](opened(begin(kind, 0) + head)[2])


def read_all(data):
    """Read bytes as anything that either end reads; only MessageError may come of it."""
    try:
        _, _, reader = opened(data)
    except MessageError:
        return
    rest = reader.bytes(reader.left)
    for read in (
        *REQUESTS.values(), read_tokens, read_pictures, read_refusal, read_welcome,
        lambda each: read_prediction(each, 5, 16, None), lambda each: read_prediction(each, 5, 16, 4),
    ):  # fmt: skip
        try:
            read(Reader(rest))
        except MessageError:
            pass


SEEDS = (
    request(1).encode(1), request(4, top=3).encode(2), prediction_bytes(prediction(), 3),
    prediction_bytes(prediction(top=4), 4), prediction_bytes(prediction(), 5, COARSE),
    tokens_bytes(np.zeros((1, 2, 2), np.int32), 6), refusal_bytes("late", "sorry", 7),
    welcome_bytes([ServedModel("a", 2, (1,), 0, frozenset(), ("prior",))], 8),
    PixelsRequest(1, 1, np.zeros((1, 2, 2, 3), np.uint8)).encode(9),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_no_bytes_raise_anything_but_a_message_error(seed, data):
    spoilt = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(spoilt)))
    read_all(bytes(spoilt[:cut]) if data.draw(st.booleans()) else bytes(spoilt))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=200))
def test_no_random_bytes_raise_anything_else_either(kind, rest):
    read_all(MAGIC + bytes([kind]) + rest)
