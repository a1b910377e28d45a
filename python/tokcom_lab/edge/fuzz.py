"""Spoilt messages for both ends of an edge server's wire: none may raise anything but a MessageError."""

from collections.abc import Callable

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.sampling import Sampling
from tokcom.errors import MessageError
from tokcom.offload.draft_messages import DRAFTS, VERDICT, DraftRequest, read_verdict, verdict_bytes
from tokcom.offload.drafts import IN_LAW, Draft
from tokcom.offload.messages import (
    COARSE,
    PICTURES,
    PREDICTION,
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
)
from tokcom.offload.wire import opened

WORDS, WANTED, TOP = 16, 5, 4
DRAFTED = [3, 1, 4]
READERS = REQUESTS | {
    PREDICTION: lambda reader: read_prediction(reader, WANTED, WORDS, None),
    TOKENS: read_tokens,
    PICTURES: read_pictures,
    REFUSED: read_refusal,
    WELCOME: read_welcome,
    DRAFTS: lambda reader: DraftRequest.decode(reader).drafts(WORDS),
    VERDICT: lambda reader: read_verdict(reader, DRAFTED, WORDS),
}
"""Reader of each kind of message, at either end."""
FEW = 4
"""Largest number of bytes that are spoilt in one message."""


def fuzzed(count: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None) -> dict:
    """Spoil valid messages of every kind at random, and read them.

    Args:
        count: number of messages.
        seed: seed of what is spoilt.
        progress: called with the number of messages since the last call.

    Returns:
        messages, refused (with a MessageError), read (valid in spite of it), raised (anything else), and first, which
        names the first of these.
    """
    rng, seeds = np.random.default_rng(seed), _valid()
    refused = read = raised = 0
    first = ""
    for number in range(count):
        message = _spoilt(seeds[number % len(seeds)], rng)
        try:
            kind, _, reader = opened(message)
            READERS.get(kind, lambda reader: None)(reader)
            read += 1
        except MessageError:
            refused += 1
        except Exception as error:  # what the fuzzing is looking for
            raised += 1
            first = first or f"{type(error).__name__}: {error}, of {message.hex()[:200]}"
        if number % 1000 == 999:
            progress(1000)
    return {"messages": count, "refused": refused, "read": read, "raised": raised, "first": first}


def _spoilt(message: bytes, rng: np.random.Generator) -> bytes:
    """Replace some bytes, mostly of the head; sometimes cut the end off, or put something behind it."""
    made = np.frombuffer(message, np.uint8).copy()
    far = len(made) if rng.random() < 0.5 else min(len(made), 48)
    places = rng.integers(0, far, rng.integers(0, FEW + 1))
    # Extreme values find more than others.
    made[places] = np.where(rng.random(len(places)) < 0.5, 255 * rng.integers(0, 2), rng.integers(0, 256, len(places)))
    how = rng.random()
    if how < 0.2:
        made = made[: rng.integers(0, len(made) + 1)]
    return made.tobytes() + (rng.bytes(rng.integers(1, 9)) if how > 0.9 else b"")


def _valid() -> list[bytes]:
    rng = np.random.default_rng(1)
    tokens = rng.integers(-1, 50, (2, 9)).astype(np.int32)
    told = (Condition(3, "two words"), Condition(embedding=np.array([1.0, -2.0])))
    logits = rng.normal(0, 3, (WANTED, WORDS))
    found = Prediction.dense((logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32))
    models = [ServedModel("a@00000001", 32, (4, 4), 5, frozenset({"label"}), ("prior", "tokenizer"))]
    pictures, grids = np.zeros((1, 3, 3, 3), np.uint8), np.ones((1, 2, 2), np.int32)
    drafts = np.array([Draft((each, 9), (20, 12), each % 2).record for each in DRAFTED], np.uint64)
    return [
        PredictRequest(1, 250, tokens, np.ones_like(tokens, bool), told).encode(1),
        PredictRequest(1, 250, tokens, np.ones_like(tokens, bool), told, TOP, COARSE).encode(2),
        PixelsRequest(1, 250, pictures).encode(3), TokensRequest(1, 250, grids).encode(4), prediction_bytes(found, 5),
        prediction_bytes(found, 6, COARSE), prediction_bytes(found.top(TOP), 7), tokens_bytes(grids, 8),
        pictures_bytes(pictures, 9), refusal_bytes("busy", "64 requests wait", 10), welcome_bytes(models, 11),
        DraftRequest(1, 250, 7, 2, grids[0, 0], drafts, IN_LAW, Sampling(0.7, 5)).encode(12),
        verdict_bytes([*DRAFTED[:2], 5], 13), verdict_bytes(None, 14),
    ]  # fmt: skip
