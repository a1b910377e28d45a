"""List decoding on the token trellis, with the CRC as part of the code and a prior for every token.

A receiver that decodes check bits as if they were information, and then compares, wastes them. Here the decoder lists
the token sequences whose metric (log-likelihood of the coded bits plus log-prior of the tokens) is largest, completes
each with its own CRC and tail, whose likelihood counts too, and takes the best. The list is exact: every sequence that
could reach the threshold is on it, for the code's backward metrics say how well a path can end. As soon as the best
completed sequence beats the threshold nothing outside can win, and the search stops.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.token_steps import TokenSteps
from tokcom.coding.token_trellis import Trellis, decode_packets
from tokcom.coding.top_trellis import decode_packets_of_named_words
from tokcom.context.prediction import LEAST, Prediction
from tokcom.errors import ParameterError
from tokcom.packets.crc import Crc
from tokcom.processors import usable_processors

LARGEST_TRELLIS = 1 << 24
"""Branches of a stage that are worth holding in memory."""
PREFERRED_WORDS = 256
"""Words of a token that are looked at one by one because the channel prefers them, beside those that a prior names."""
PACKETS_A_TASK = 4
"""Packets that a thread decodes before it asks for more."""


@dataclass(frozen=True)
class ListSettings:
    """How far the search goes.

    Args:
        list_size: sequences at most that a packet's list holds at any number of tokens, at least 1.
        reach: how far, in nepers, a listed sequence may lie below the best that ignores the CRC.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    list_size: int = 4096
    reach: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.list_size <= 1 << 24:
            raise ParameterError(f"list_size is {self.list_size}; it must be 1 to {1 << 24}")
        if not 0 < self.reach <= 1000:
            raise ParameterError(f"reach is {self.reach}; it must be above 0 and at most 1000")


@dataclass(frozen=True)
class ListDecision:
    """What list decoding made of packets.

    Attributes:
        tokens: int32 (n, n_tokens), the likeliest sequence of each packet.
        log_odds: float64 (n,), log of its posterior over that of everything else, the unlisted included.
        evidence: float64 (n,), log of the sum, over all sequences, of prior times likelihood; relative to that of the
            likeliest code word of every trellis step. Of several priors, the better explains what was received.
        left_out: float64 (n,), share of the posterior that the list is expected to have left out: what the trellis
            says of unlisted sequences, each of whose checks fits with a chance of 2**-(CRC width).
        left_out_bound: float64 (n,), share that it cannot exceed, every unlisted sequence given the best check.
        exact: bool (n,), no sequence outside of the list can be likelier.
        lengths: int64 (n,), sequences on the list.
        marginals: float32 (n, n_tokens, m), posterior of m words of every token.
        words: int32 (n, n_tokens, m), which words they are, rising, then -1 where there are no more; None: all of the
            codebook.
    """

    tokens: np.ndarray
    log_odds: np.ndarray
    evidence: np.ndarray
    left_out: np.ndarray
    left_out_bound: np.ndarray
    exact: np.ndarray
    lengths: np.ndarray
    marginals: np.ndarray
    words: np.ndarray | None = None

    @classmethod
    def empty(cls, priors: Prediction) -> "ListDecision":
        """Room for the decision on packets with priors of shape (n, n_tokens)."""
        n, n_tokens, named = priors.log_probability.shape
        shape = (n, n_tokens, named if priors.words is None else named + PREFERRED_WORDS)
        return cls(
            np.zeros((n, n_tokens), np.int32), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, bool),
            np.zeros(n, np.int64), np.zeros(shape, np.float32),
            None if priors.words is None else np.zeros(shape, np.int32),
        )  # fmt: skip

    def set(self, rows: np.ndarray, decision: "ListDecision") -> None:
        """Put the decision on other packets into these rows."""
        for name in self._arrays:
            getattr(self, name)[rows] = getattr(decision, name)

    @property
    def _arrays(self) -> list[str]:
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    @property
    def posterior(self) -> np.ndarray:
        """float64 (n,), probability of each packet's tokens."""
        return 1 / (1 + np.exp(-self.log_odds))


class ListDecoder:
    """Decodes packets of tokens · CRC · convolutional code.

    Args:
        code: the convolutional code.
        crc: the check; it may have no bits.
        token_bits: bits a token.
        n_tokens: tokens a packet.

    Raises:
        ParameterError: the trellis would not fit in memory.
    """

    def __init__(self, code: ConvolutionalCode, crc: Crc, token_bits: int, n_tokens: int):
        branches = len(code.outputs) << min(token_bits, code.constraint_length - 1)
        if branches > LARGEST_TRELLIS:
            raise ParameterError(
                f"a token trellis of K={code.constraint_length} and {token_bits} bits a token has {branches} branches "
                f"a stage; {LARGEST_TRELLIS} are the most that fit"
            )
        self.code, self.crc, self.token_bits, self.n_tokens = code, crc, token_bits, n_tokens
        self._trellis = Trellis(
            code.outputs, token_bits, code.constraint_length - 1, crc.width, code.tail, code.terminated,
            *_check_tables(crc, token_bits, n_tokens),
        )  # fmt: skip

    def steps(self, llrs: np.ndarray) -> np.ndarray:
        """Log-likelihoods, each up to a constant a step, of the code words of every trellis step.

        Args:
            llrs: float array (n, coded_length), log P(bit 1) / P(bit 0).

        Returns:
            float32 (n, stages, 2**outputs), the first output in the most significant bit of a word.

        Raises:
            ParameterError: the LLRs have another shape.
        """
        full = self.code.depuncture(llrs, self.n_tokens * self.token_bits + self.crc.width)
        outputs = len(self.code.generators)
        bits = (np.arange(1 << outputs) >> np.arange(outputs - 1, -1, -1)[:, None]) & 1
        return full.reshape(len(full), -1, outputs) @ bits.astype(np.float32)

    def decode(
        self, steps: np.ndarray, priors: Prediction | np.ndarray, settings: ListSettings | None = None,
        presets: np.ndarray | None = None,
    ) -> ListDecision:  # fmt: skip
        """The likeliest tokens of each packet, and how certain they are.

        Args:
            steps: from `steps`, or of a demapper that knows more: float32 (n, stages, 2**outputs).
            priors: of shape (n, n_tokens); or natural log-probabilities of all words, float32
                (n, n_tokens, codebook_size), -inf where a token is ruled out.
            settings: how far the search goes.
            presets: int64 (n,), of each packet's CRC, as `Crc.presets` gives them; None: the CRC's own.

        Raises:
            ParameterError: an array has another shape.
        """
        settings = settings or ListSettings()
        stages = self.n_tokens * self.token_bits + self.crc.width + self.code.tail
        words = 1 << len(self.code.generators)
        if steps.ndim != 3 or steps.shape[1:] != (stages, words):
            raise ParameterError(f"steps have shape {steps.shape}; they must be (n, {stages}, {words})")
        if not isinstance(priors, Prediction):
            priors = Prediction.dense(priors)
        shape, size = priors.log_probability.shape, priors.codebook_size
        if shape[:-1] != (len(steps), self.n_tokens) or not 2 <= size <= 1 << self.token_bits:
            raise ParameterError(
                f"log_priors have shape {shape}; they must be ({len(steps)}, {self.n_tokens}, codebook size) with a "
                f"codebook of 2 to {1 << self.token_bits} words"
            )
        if priors.words is not None and self.token_bits < self.code.constraint_length - 1:
            raise ParameterError(
                f"tokens of {self.token_bits} bits do not fill the memory of K={self.code.constraint_length}: weigh "
                "all of their words"
            )
        n = len(steps)
        steps = np.ascontiguousarray(steps, np.float32)
        zeros = self._checks_of_zeros(n, presets)
        log_priors = np.maximum(np.ascontiguousarray(priors.log_probability, np.float32), LEAST)
        result = ListDecision.empty(priors)
        outputs = [getattr(result, name) for name in result._arrays]
        if priors.words is not None:
            words, each = np.ascontiguousarray(priors.words, np.int32), priors.each_other

        def work(rows: slice) -> None:
            out = [array[rows] for array in outputs]
            if priors.words is None:
                decode_packets(
                    steps[rows], log_priors[rows], zeros[rows], self._trellis, settings.list_size, settings.reach, *out
                )
            else:
                decode_packets_of_named_words(
                    steps[rows], words[rows], log_priors[rows], each[rows], size, zeros[rows], self._trellis,
                    settings.list_size, settings.reach, PREFERRED_WORDS, *out,
                )  # fmt: skip

        if n <= PACKETS_A_TASK:
            work(slice(0, n))
        else:
            list(
                _pool(os.getpid()).map(work, [slice(row, row + PACKETS_A_TASK) for row in range(0, n, PACKETS_A_TASK)])
            )
        return result

    def token_steps(
        self, steps: np.ndarray, log_prior: np.ndarray, preset: int | None = None, labels: np.ndarray | None = None
    ) -> TokenSteps:
        """One packet token by token, for priors that take tokens in order.

        Args:
            steps: float32 (stages, 2**outputs), as in `decode`.
            log_prior: float32 (codebook_size,), of tokens whose prior is not known yet.
            preset: of the packet's CRC; None: the CRC's own.
            labels: int32 (codebook_size,), the label under which each token is sent; None: its own number.

        Raises:
            ParameterError: the tokens do not fill the memory of the code.
        """
        if self.token_bits < self.code.constraint_length - 1:
            raise ParameterError(
                f"tokens of {self.token_bits} bits do not fill the memory of K={self.code.constraint_length}; take a "
                "larger codebook or a shorter code"
            )
        zero = int(self._checks_of_zeros(1, None if preset is None else np.array([preset]))[0])
        return TokenSteps(self._trellis, steps, log_prior, zero, labels)

    def _checks_of_zeros(self, n: int, presets: np.ndarray | None) -> np.ndarray:
        """int64 (n,): the check that each packet would have if all of its bits were 0; the tokens add theirs to it."""
        if presets is None:
            presets = np.full(n, self.crc.initial, np.int64)
        n_bits = self.n_tokens * self.token_bits
        checks = self.crc.append(np.zeros((n, n_bits), np.uint8), presets)[:, n_bits:].astype(np.int64)
        return checks @ (1 << np.arange(self.crc.width - 1, -1, -1, dtype=np.int64))


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process: a fork has none of its parent's."""
    return ThreadPoolExecutor(usable_processors(), "list-decoding")


@lru_cache(maxsize=32)
def _check_tables(crc: Crc, token_bits: int, n_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """What the high and the low bits of each token add (by exclusive or) to the check of a packet of zeros, int64
    (n_tokens, values): CRCs are affine."""
    n_bits, low = n_tokens * token_bits, token_bits // 2
    weights = 1 << np.arange(crc.width - 1, -1, -1, dtype=np.int64)
    units = np.concatenate([np.zeros((1, n_bits), np.uint8), np.eye(n_bits, dtype=np.uint8)])
    checks = crc.append(units)[:, n_bits:].astype(np.int64) @ weights
    single = (checks[1:] ^ checks[0]).reshape(n_tokens, token_bits)

    def table(bits: np.ndarray) -> np.ndarray:
        width = bits.shape[1]
        values = np.zeros((n_tokens, 1 << width), np.int64)
        for place in range(width):
            chosen = (np.arange(1 << width) >> (width - 1 - place)) & 1 == 1
            values[:, chosen] ^= bits[:, place, None]
        return values

    return table(single[:, : token_bits - low]), table(single[:, token_bits - low :])
