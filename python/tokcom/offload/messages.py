"""Messages between devices and an edge server: questions to priors, pictures to tokenize, tokens to decode.

| kind | from | content |
|---|---|---|
| PING, PONG | either | nothing |
| HELLO, WELCOME | device, server | the models of the server |
| PREDICT, PREDICTION | device, server | tokens, those wanted, conditions; log-probabilities |
| ENCODE, TOKENS | device, server | pictures; their tokens |
| DECODE, PICTURES | device, server | tokens; their pictures |
| REFUSED | server | a reason |

Every request but PING and HELLO tells its deadline: an answer that comes later is of no use to the device.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import LEVELS, Prediction, levels_of
from tokcom.errors import MessageError, ParameterError
from tokcom.frame import LOST, MAX_DIMENSIONS, MAX_TOKENS
from tokcom.offload.wire import MAX_MESSAGE, Reader, begin, in_range

PING, PONG, HELLO, WELCOME, PREDICT, PREDICTION, ENCODE, TOKENS, DECODE, PICTURES, REFUSED = range(11)

EXACT, COARSE = 0, 1
"""Forms of log-probabilities: float32; or levels of `context.prediction`, a byte each, none off by more than an eighth
of a neper."""
REASONS = ("busy", "late", "unknown", "invalid", "failed", "stopping")
"""Reasons for a refusal: too many requests wait; the deadline has passed; no such model; the request is invalid; the
computation failed; the server is about to stop."""
TAKES = ("label", "text", "embedding")
"""Fields of a condition that a message can hold."""

MAX_FRAMES, MAX_SIDE, MAX_WORDS = 64, 4096, 1 << 18
MAX_TEXT, MAX_EMBEDDING, MAX_NAME, MAX_MODELS = 2048, 4096, 256, 256
MAX_DEADLINE_MS = 600_000
MAX_CLASSES = 1 << 20

_PREDICT = struct.Struct("<IIHIIB")
_CONDITION = struct.Struct("<iHH")
_PREDICTION = struct.Struct("<IIIB")
_PIXELS = struct.Struct("<IIHHH")
_TOKENS = struct.Struct("<IIHHH")
_GRIDS = struct.Struct("<HHH")
_REFUSED = struct.Struct("<BH")
_MODEL = struct.Struct("<IIBBBH")
_COUNT = struct.Struct("<H")
_HAS_WORDS, _HAS_LEVELS, _IS_COARSE = 1, 2, 4


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """Question to a prior.

    Attributes:
        codebook_id: `packets.codebook.codebook_id` of the prior's codebook.
        deadline_ms: milliseconds from its arrival until an answer is of no use.
        tokens: int32 (frames, n), LOST where unknown.
        wanted: bool (frames, n).
        conditions: one per frame.
        top: number of most likely words; None for all.
        form: EXACT or COARSE.
    """

    codebook_id: int
    deadline_ms: int
    tokens: np.ndarray
    wanted: np.ndarray
    conditions: tuple[Condition, ...]
    top: int | None = None
    form: int = EXACT

    def encode(self, number: int) -> bytes:
        """Bytes of the request; `number` identifies it."""
        frames, places = self.tokens.shape
        head = _PREDICT.pack(self.codebook_id, self.deadline_ms, frames, places, self.top or 0, self.form)
        told = b"".join(map(_condition_bytes, self.conditions))
        asked = np.packbits(self.wanted.ravel()).tobytes()
        return begin(PREDICT, number) + head + self.tokens.astype("<i4").tobytes() + asked + told

    @classmethod
    def decode(cls, reader: Reader) -> "PredictRequest":
        """Read a request.

        Raises:
            MessageError: it is invalid.
        """
        codebook, deadline, frames, places, top, form = reader.numbers(_PREDICT)
        in_range("the number of frames", frames, 1, MAX_FRAMES)
        in_range("the number of tokens", places, 1, MAX_TOKENS)
        in_range("the number of words", top, 0, MAX_WORDS)
        in_range("the form", form, EXACT, COARSE)
        in_range("the deadline", deadline, 1, MAX_DEADLINE_MS)
        tokens = reader.array("<i4", (frames, places)).astype(np.int32)
        packed = reader.array("u1", (-(-frames * places // 8),))
        wanted = np.unpackbits(packed, count=frames * places).astype(bool).reshape(frames, places)
        conditions = tuple(_condition(reader) for _ in range(frames))
        reader.end()
        if (tokens < LOST).any() or (tokens >= MAX_WORDS).any():
            raise MessageError(f"a message holds tokens other than {LOST} to {MAX_WORDS - 1}")
        if not wanted.any(axis=1).all():
            raise MessageError("no token is wanted of a frame in a message")
        return cls(codebook, deadline, tokens, wanted, conditions, top or None, form)


def _condition_bytes(condition: Condition) -> bytes:
    text = (condition.text or "").encode()
    embedding = b"" if condition.embedding is None else condition.embedding.astype("<f4").tobytes()
    if len(text) > MAX_TEXT or len(embedding) > 4 * MAX_EMBEDDING:
        raise ParameterError(
            f"a condition has {len(text)} bytes of text and an embedding of {len(embedding) // 4} numbers; at most "
            f"{MAX_TEXT} and {MAX_EMBEDDING} can be sent"
        )
    label = -1 if condition.label is None else condition.label
    return _CONDITION.pack(label, len(text), len(embedding) // 4) + text + embedding


def _condition(reader: Reader) -> Condition:
    label, text_bytes, width = reader.numbers(_CONDITION)
    in_range("a label", label, -1, MAX_CLASSES)
    in_range("the length of a text", text_bytes, 0, MAX_TEXT)
    in_range("the width of an embedding", width, 0, MAX_EMBEDDING)
    text, embedding = reader.text(text_bytes), reader.array("<f4", (width,))
    try:
        return Condition(None if label < 0 else label, text or None, embedding if width else None)
    except ParameterError as error:
        raise MessageError(f"a condition in a message: {error}") from None


def prediction_bytes(found: Prediction, number: int, form: int = EXACT) -> bytes:
    """Bytes of the answer to a PREDICT request; `found` has one row per token wanted."""
    count, words = found.log_probability.shape
    if form == COARSE and found.words is None:
        head = _PREDICTION.pack(count, words, found.codebook_size, _IS_COARSE)
        return begin(PREDICTION, number) + head + levels_of(found.log_probability).tobytes()
    flags = (found.words is not None) * _HAS_WORDS | (found.levels is not None) * _HAS_LEVELS
    parts = [found.log_probability.astype("<f4").tobytes()]
    if found.words is not None:
        parts += [found.words.astype("<i4").tobytes(), found.rest.astype("<f4").tobytes()]
    if found.levels is not None:
        parts.append(found.levels.tobytes())
    return begin(PREDICTION, number) + _PREDICTION.pack(count, words, found.codebook_size, flags) + b"".join(parts)


def answer_bytes(wanted: int, codebook_size: int, top: int | None, form: int) -> int:
    """Upper bound on the bytes of the answer for a number of tokens wanted."""
    if top is None or top >= codebook_size:
        return 64 + wanted * codebook_size * (1 if form == COARSE else 4)
    return 64 + wanted * (8 * top + 4 + codebook_size)


def read_prediction(reader: Reader, wanted: int, codebook_size: int, top: int | None) -> Prediction:
    """Read and check the answer to a PREDICT request.

    Args:
        reader: the answer behind its head.
        wanted: number of tokens asked for.
        codebook_size: words of the prior's codebook.
        top: number of most likely words asked for; None for all.

    Raises:
        MessageError: it is invalid: no log-probabilities, of other tokens or words, or they do not sum to 1.
    """
    count, words, size, flags = reader.numbers(_PREDICTION)
    dense = top is None or top >= codebook_size
    if (count, words, size) != (wanted, codebook_size if dense else top, codebook_size):
        raise MessageError(
            f"an answer has {count} tokens of {words} of {size} words; {wanted} of {top or codebook_size} of "
            f"{codebook_size} were asked for"
        )
    if bool(flags & _HAS_WORDS) == dense or flags & ~(_HAS_WORDS | _HAS_LEVELS | _IS_COARSE):
        raise MessageError(f"an answer has flags {flags}, which do not fit its words")
    if flags & _IS_COARSE:
        levels = reader.array("u1", (count, words))
        reader.end()
        logs = LEVELS[levels]
        with np.errstate(divide="ignore"):
            logs = logs - np.log(np.exp(logs).sum(-1, keepdims=True))
        _require_probabilities(logs, None)
        return Prediction.dense(logs.astype(np.float32))
    logs = reader.array("<f4", (count, words)).astype(np.float32)
    if dense:
        reader.end()
        _require_probabilities(logs, None)
        return Prediction.dense(logs)
    names = reader.array("<i4", (count, words)).astype(np.int32)
    rest = reader.array("<f4", (count,)).astype(np.float32)
    levels = reader.array("u1", (count, size)).copy() if flags & _HAS_LEVELS else None
    reader.end()
    if (names < 0).any() or (names >= size).any() or (np.diff(names, axis=-1) <= 0).any():
        raise MessageError("an answer names words out of order or beyond the codebook")
    _require_probabilities(logs, rest)
    return Prediction(logs, size, names, rest, levels)


TOLERANCE = 0.02
"""Largest distance of a sum of probabilities from 1."""


def _require_probabilities(logs: np.ndarray, rest: np.ndarray | None) -> None:
    """Raise MessageError unless rows of log-probabilities sum to 1."""
    # An overflow to infinity is a wrong sum, too.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.exp(logs).sum(-1)
        if rest is not None:
            total = total + np.exp(rest)
        if not (np.abs(total - 1) <= TOLERANCE).all():
            raise MessageError("the probabilities in an answer do not sum to 1")


@dataclass(frozen=True, eq=False)
class PixelsRequest:
    """Pictures to tokenize.

    Attributes:
        codebook_id, deadline_ms: as in `PredictRequest`.
        pictures: uint8 (frames, height, width, 3).
    """

    codebook_id: int
    deadline_ms: int
    pictures: np.ndarray

    def encode(self, number: int) -> bytes:
        """Bytes of the request; `number` identifies it."""
        head = _PIXELS.pack(self.codebook_id, self.deadline_ms, *self.pictures.shape[:3])
        return begin(ENCODE, number) + head + self.pictures.astype(np.uint8).tobytes()

    @classmethod
    def decode(cls, reader: Reader) -> "PixelsRequest":
        """Read a request; raises MessageError if it is invalid."""
        codebook, deadline, *shape = reader.numbers(_PIXELS)
        in_range("the deadline", deadline, 1, MAX_DEADLINE_MS)
        return cls(codebook, deadline, _pixels(reader, shape))


@dataclass(frozen=True, eq=False)
class TokensRequest:
    """Tokens to decode to pictures.

    Attributes:
        codebook_id, deadline_ms: as in `PredictRequest`.
        tokens: int32 (frames, rows, columns), none LOST.
    """

    codebook_id: int
    deadline_ms: int
    tokens: np.ndarray

    def encode(self, number: int) -> bytes:
        """Bytes of the request; `number` identifies it."""
        head = _TOKENS.pack(self.codebook_id, self.deadline_ms, *self.tokens.shape)
        return begin(DECODE, number) + head + self.tokens.astype("<i4").tobytes()

    @classmethod
    def decode(cls, reader: Reader) -> "TokensRequest":
        """Read a request; raises MessageError if it is invalid."""
        codebook, deadline, *shape = reader.numbers(_TOKENS)
        in_range("the deadline", deadline, 1, MAX_DEADLINE_MS)
        return cls(codebook, deadline, _grids(reader, shape))


def tokens_bytes(tokens: np.ndarray, number: int) -> bytes:
    """Bytes of the answer to ENCODE, of tokens int (frames, rows, columns)."""
    return begin(TOKENS, number) + _GRIDS.pack(*tokens.shape) + tokens.astype("<i4").tobytes()


def read_tokens(reader: Reader) -> np.ndarray:
    """Read tokens, int32 (frames, rows, columns); raises MessageError if they are invalid."""
    return _grids(reader, reader.numbers(_GRIDS))


def pictures_bytes(pictures: np.ndarray, number: int) -> bytes:
    """Bytes of the answer to DECODE, of pictures uint8 (frames, height, width, 3)."""
    return begin(PICTURES, number) + _GRIDS.pack(*pictures.shape[:3]) + pictures.tobytes()


def read_pictures(reader: Reader) -> np.ndarray:
    """Read pictures, uint8 (frames, height, width, 3); raises MessageError if they are invalid."""
    return _pixels(reader, reader.numbers(_GRIDS))


def _pixels(reader: Reader, shape: Sequence[int]) -> np.ndarray:
    frames, height, width = shape
    in_range("the number of pictures", frames, 1, MAX_FRAMES)
    for side in (height, width):
        in_range("the side of a picture", side, 1, MAX_SIDE)
    pictures = reader.array("u1", (frames, height, width, 3))
    reader.end()
    return pictures


def _grids(reader: Reader, shape: Sequence[int]) -> np.ndarray:
    frames, rows, columns = shape
    in_range("the number of grids", frames, 1, MAX_FRAMES)
    in_range("the number of tokens", rows * columns, 1, MAX_TOKENS)
    tokens = reader.array("<i4", (frames, rows, columns)).astype(np.int32)
    reader.end()
    if (tokens < 0).any() or (tokens >= MAX_WORDS).any():
        raise MessageError(f"a message holds tokens other than 0 to {MAX_WORDS - 1}")
    return tokens


def refusal_bytes(reason: str, message: str, number: int) -> bytes:
    """Bytes of a refusal, for one of REASONS."""
    text = message.encode()[:MAX_TEXT]
    return begin(REFUSED, number) + _REFUSED.pack(REASONS.index(reason), len(text)) + text


def read_refusal(reader: Reader) -> tuple[str, str]:
    """Read reason and message of a refusal; raises MessageError if they are invalid."""
    reason, length = reader.numbers(_REFUSED)
    in_range("the reason", reason, 0, len(REASONS) - 1)
    in_range("the length of a message", length, 0, MAX_TEXT)
    # A text cut short within a letter is no error.
    text = reader.bytes(length).decode(errors="replace")
    reader.end()
    return REASONS[reason], text


@dataclass(frozen=True)
class ServedModel:
    """A model in a server's WELCOME.

    Attributes:
        codebook: name of its codebook.
        codebook_size: number of words.
        grid: shape of its frames; empty for any.
        num_classes: number of labels.
        takes: fields of conditions that its prior uses, of TAKES.
        parts: those of PARTS that it has: a prior in any order, a tokenizer, a causal prior that continues texts.
    """

    codebook: str
    codebook_size: int
    grid: tuple[int, ...]
    num_classes: int
    takes: frozenset[str]
    parts: tuple[str, ...]


PARTS = ("prior", "tokenizer", "continuation")


def welcome_bytes(models: Sequence[ServedModel], number: int) -> bytes:
    """Bytes of a WELCOME."""
    parts = [begin(WELCOME, number), _COUNT.pack(len(models))]
    for each in models:
        name = each.codebook.encode()[:MAX_NAME]
        takes = sum(1 << bit for bit, field in enumerate(TAKES) if field in each.takes)
        has = sum(1 << bit for bit, part in enumerate(PARTS) if part in each.parts)
        head = each.codebook_size, each.num_classes, takes, has, len(each.grid), len(name)
        parts += [_MODEL.pack(*head), *(side.to_bytes(4, "little") for side in each.grid), name]
    return b"".join(parts)


def read_welcome(reader: Reader) -> list[ServedModel]:
    """Read a WELCOME; raises MessageError if it is invalid."""
    (count,) = reader.numbers(_COUNT)
    in_range("the number of models", count, 0, MAX_MODELS)
    found = []
    for _ in range(count):
        size, classes, takes, has, sides, length = reader.numbers(_MODEL)
        in_range("the number of words", size, 1, MAX_WORDS)
        in_range("the number of classes", classes, 0, MAX_CLASSES)
        in_range("the number of dimensions", sides, 0, MAX_DIMENSIONS)
        in_range("the length of a name", length, 1, MAX_NAME)
        grid = tuple(int(side) for side in reader.array("<u4", (sides,)))
        found.append(ServedModel(
            reader.text(length), size, grid, classes,
            frozenset(field for bit, field in enumerate(TAKES) if takes >> bit & 1),
            tuple(part for bit, part in enumerate(PARTS) if has >> bit & 1),
        ))  # fmt: skip
    reader.end()
    return found


REQUESTS = {PREDICT: PredictRequest.decode, ENCODE: PixelsRequest.decode, DECODE: TokensRequest.decode}
"""Reader of each kind of request for work."""
LARGEST = MAX_MESSAGE - 1024
"""Largest answer in bytes."""
