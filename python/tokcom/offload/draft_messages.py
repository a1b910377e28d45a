"""Messages by which drafted words are settled by a causal model at an edge server.

| kind | from | content |
|---|---|---|
| DRAFTS | device | session, tokens that the server lacks, drafts of those that follow, how words are drawn |
| VERDICT | server | the words that follow; or that it has forgotten the session |

A session is a text that grows. The server keeps what its model makes of the tokens so far, and the device sends only
those that it has not had yet; a server that has forgotten a session, or never had it, is given all of them again.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.context.sampling import MAX_SEED, MAX_TEMPERATURE, Sampling
from tokcom.errors import MessageError
from tokcom.offload.drafts import IDENTICAL, IN_LAW, MAX_WORDS, Draft
from tokcom.offload.messages import MAX_DEADLINE_MS
from tokcom.offload.wire import Reader, begin, in_range

DRAFTS, VERDICT = 32, 33
MAX_CONTEXT, MAX_DRAFTS = 1 << 16, 8
"""Limits on the tokens before the drafts, and on the drafts of a message."""

_DRAFTS = struct.Struct("<IIQIIBBdQ")
_VERDICT = struct.Struct("<BB")


@dataclass(frozen=True, eq=False)
class DraftRequest:
    """Drafts for a causal model.

    Attributes:
        codebook_id: `packets.codebook.codebook_id` of the model's codebook.
        deadline_ms: milliseconds from its arrival until an answer is of no use.
        session: number of the session, 64 bits, chosen by the device at random.
        start: number of tokens that the server has already.
        tokens: int32 (n,), those that follow, none LOST.
        records: uint64 (m,), drafts of those behind these (`drafts.Draft.record`), at most MAX_DRAFTS.
        rule: `drafts.IDENTICAL` or `drafts.IN_LAW`.
        sampling: how words are drawn.
    """

    codebook_id: int
    deadline_ms: int
    session: int
    start: int
    tokens: np.ndarray
    records: np.ndarray
    rule: int
    sampling: Sampling

    @property
    def place(self) -> int:
        """Number of tokens before the first draft."""
        return self.start + len(self.tokens)

    def drafts(self, codebook_size: int) -> list[Draft]:
        """Read the drafts.

        Raises:
            MessageError: they name words beyond the codebook.
        """
        return [Draft.of_record(int(each), codebook_size) for each in self.records]

    def encode(self, number: int) -> bytes:
        """Bytes of the request; `number` identifies it."""
        head = _DRAFTS.pack(
            self.codebook_id, self.deadline_ms, self.session, self.start, len(self.tokens), len(self.records),
            self.rule, self.sampling.temperature, self.sampling.seed,
        )  # fmt: skip
        return begin(DRAFTS, number) + head + self.tokens.astype("<i4").tobytes() + self.records.astype("<u8").tobytes()

    @classmethod
    def decode(cls, reader: Reader) -> "DraftRequest":
        """Read a request.

        Raises:
            MessageError: it is invalid.
        """
        codebook, deadline, session, start, count, drafts, rule, temperature, seed = reader.numbers(_DRAFTS)
        in_range("the deadline", deadline, 1, MAX_DEADLINE_MS)
        in_range("the number of tokens", start + count, 0, MAX_CONTEXT)
        in_range("the number of drafts", drafts, 0, MAX_DRAFTS)
        in_range("the rule", rule, IDENTICAL, IN_LAW)
        in_range("the seed", seed, 0, MAX_SEED)
        if not 0 <= temperature <= MAX_TEMPERATURE or (rule == IN_LAW and not temperature > 0):
            raise MessageError(f"the temperature is {temperature:g} in a message, with rule {rule}")
        tokens = reader.array("<i4", (count,)).astype(np.int32)
        records = reader.array("<u8", (drafts,)).copy()
        reader.end()
        if (tokens < 0).any() or (tokens >= MAX_WORDS).any():
            raise MessageError(f"a message holds tokens other than 0 to {MAX_WORDS - 1}")
        return cls(codebook, deadline, session, start, tokens, records, rule, Sampling(temperature, seed))


def verdict_bytes(words: Sequence[int] | None, number: int) -> bytes:
    """Bytes of the answer to DRAFTS: the words that follow; None if the session is forgotten."""
    made = np.array(words or [], "<i4")
    return begin(VERDICT, number) + _VERDICT.pack(words is None, len(made)) + made.tobytes()


def read_verdict(reader: Reader, drafts: Sequence[int], codebook_size: int) -> list[int] | None:
    """Read the answer to DRAFTS.

    Args:
        reader: the answer behind its head.
        drafts: the words that were drafted.
        codebook_size: words of the codebook.

    Returns:
        The words that follow: some of the drafted ones, and one more; None if the server has forgotten the session.

    Raises:
        MessageError: it is invalid.
    """
    forgotten, count = reader.numbers(_VERDICT)
    in_range("a verdict's flag", forgotten, 0, 1)
    in_range("the number of words", count, 0 if forgotten else 1, 0 if forgotten else len(drafts) + 1)
    words = reader.array("<i4", (count,)).tolist()
    reader.end()
    if forgotten:
        return None
    if any(not 0 <= each < codebook_size for each in words) or words[:-1] != list(drafts[: count - 1]):
        raise MessageError("a verdict holds words that are neither drafted nor of the codebook")
    return words
