"""Tokens in their order, coded with a prior that predicts each from those before it, such as a language model.

Each token is a run of binary decisions as in `decisions`, rounded under dithers as in `dither`. The encoder knows all
tokens, so it evaluates the model once for many; the decoder needs one evaluation per token. Both see the same
probabilities because the differences between the two are within the dithers' margin.

If the number of tokens is not known to the decoder, a decision before each token tells whether the text ends there. Its
probability is that of a line's end, which language models predict well.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from tokcom.context.causal import Paths
from tokcom.errors import SourceError
from tokcom.source.decisions import LIMIT, Decisions
from tokcom.source.dither import MARGIN, find_dither, first_suits, probabilities
from tokcom.source.range_coder import DecisionDecoder, DecisionEncoder
from tokcom.source.sections import read_dither, write_dither

FIRST_SECTION, LONGEST_SECTION = 16, 128
"""Tokens that share a dither: few at first, so that a short text pays little for it, then twice as many each time."""
MODEL_SHARE, HAZARD = 0.9, 1 / 16
"""Probability of an end: MODEL_SHARE times that of a line's end by the model, plus the rest times HAZARD."""
INNER_END = 1 / 16
"""Factor of the probabilities of line ends within a text, once it is known that it does not end there."""


class Ending:
    """Decisions that tell where a text ends.

    Args:
        words: int (n,), words that begin with a line's end, or that end texts.
    """

    def __init__(self, words: np.ndarray):
        self._words = words

    def log_odds(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Compute the log-odds of an end, float64 (n,), given log-probabilities of the next token (n, words)."""
        mass = np.exp(log_probabilities[:, self._words].astype(np.float64)).sum(axis=1)
        chance = MODEL_SHARE * np.minimum(mass, 1) + (1 - MODEL_SHARE) * HAZARD
        return np.clip(np.log(chance) - np.log1p(-chance), -LIMIT, LIMIT)

    def within(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Return unnormalised log-probabilities of the next token, given that there is one."""
        found = log_probabilities.copy()
        found[:, self._words] += np.log(INNER_END)
        return found


def encode_causal(
    tokens: np.ndarray, paths: Paths, ending: Ending | None = None, margin: float = MARGIN
) -> np.ndarray:  # fmt: skip
    """Encode tokens.

    Args:
        tokens: int (n,), at least one.
        paths: one path of the prior, which stands before the first token; it follows the tokens.
        ending: decisions that tell the number of tokens; None if the decoder knows it.
        margin: largest difference between the decoder's and the encoder's log-odds.

    Returns:
        uint8 bits (m,), which zeros may follow.

    Raises:
        SourceError: constriction is not installed.
    """
    rows = list(decided(tokens, paths, ending))
    if ending is not None:
        rows.append((ending.log_odds(paths.log_probabilities), np.ones(1, np.uint8)))
    return encode_decided(rows, margin)


def decided(
    tokens: np.ndarray, paths: Paths, ending: Ending | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Follow tokens, and yield the log-odds, float64 (decisions,), and outcomes, uint8, of the decisions of each.

    Args:
        tokens: int (n,).
        paths: one path of the prior, which stands before the first token.
        ending: decisions that tell the number of tokens; None if the decoder knows it.
    """
    start = 0
    for logs in paths.along(tokens):
        yield from _decided(logs, tokens[start : start + len(logs)], ending)
        start += len(logs)


def encode_decided(rows: Sequence[tuple[np.ndarray, np.ndarray]], margin: float = MARGIN) -> np.ndarray:
    """Encode the decisions of tokens, at least one, from `decided`; returns what `encode_causal` does."""
    coder, start, width = DecisionEncoder(), 0, len(rows[0][0])
    while start < len(rows):
        length = _section_length(start)
        odds, went = (np.concatenate([row[side] for row in rows[start : start + length]]) for side in (0, 1))
        dither = find_dither(odds, margin)
        write_dither(coder, dither, first_suits(length * width))
        coder.encode(went, probabilities(odds, np.array(dither)))
        start += length
    return coder.finish()


def decode_causal(
    bits: np.ndarray, paths: Paths, words: int, count: int | None, ending: Ending | None = None, most: int = 1 << 16
) -> Iterator[int]:  # fmt: skip
    """Decode tokens, one by one.

    Args:
        bits: uint8 (m,), from `encode_causal`.
        paths: one path of the prior, as at the encoder; it follows the tokens.
        words: number of words of the codebook.
        count: number of tokens; None if `ending` tells it.
        ending: as at the encoder.
        most: number of tokens that is never exceeded.

    Yields:
        The tokens.

    Raises:
        SourceError: the bits are not the encoder's, or the prior is not.
    """
    coder = DecisionDecoder(bits)
    number, section_end, dither = 0, 0, np.array(0)
    while count is None or number < count:
        logs = paths.log_probabilities
        decisions = Decisions(logs if ending is None else ending.within(logs))
        if number == section_end:
            length = _section_length(section_end)
            section_end += length
            width = decisions.width + (ending is not None)
            dither = np.array(read_dither(coder, first_suits(length * width)))
        if ending is not None and coder.decode(probabilities(ending.log_odds(logs), dither))[0]:
            return
        if number == most:
            raise SourceError(f"it does not end after {most} tokens: it is corrupt, or was coded with another model")
        token = np.zeros(1, np.int64)
        for depth in range(decisions.width):
            token = 2 * token + coder.decode(probabilities(decisions.log_odds(token, depth), dither))
        if token[0] >= words:
            raise SourceError(
                f"it decodes to token {token[0]}, outside the codebook of {words} words: it is corrupt, or was coded "
                "with another model"
            )
        yield int(token[0])
        paths.follow(token, weigh=False)
        number += 1


def check_bits(codebook: str, tokens: np.ndarray, bits: int) -> np.ndarray:
    """Hash tokens (n,) and the identity of their codebook to 8 or 16 bits, uint8 (bits,)."""
    hashed = hashlib.blake2b(codebook.encode(), digest_size=bits // 8)
    hashed.update(np.asarray(tokens).astype("<i4").tobytes())
    return np.unpackbits(np.frombuffer(hashed.digest(), np.uint8))


def _decided(
    log_probabilities: np.ndarray, tokens: np.ndarray, ending: Ending | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield log-odds and outcomes of the decisions of each token."""
    if ending is None:
        yield from zip(*Decisions(log_probabilities).of_tokens(tokens), strict=True)
        return
    odds, went = Decisions(ending.within(log_probabilities)).of_tokens(tokens)
    for end, own, bits in zip(ending.log_odds(log_probabilities), odds, went, strict=True):
        yield np.append(end, own), np.append(np.uint8(0), bits)


def _section_length(start: int) -> int:
    """Compute the number of tokens of the section that begins at a token."""
    return min(max(start, FIRST_SECTION), LONGEST_SECTION)
