"""List decoding on the token trellis, with the check as part of the code and a prior for every token.

A receiver that decodes check bits as if they were information bits and then compares wastes them. Here the decoder
lists the token sequences whose metric (log-likelihood of the coded bits plus log-prior of the tokens) is largest,
completes each with its own CRC and tail, whose likelihood counts too, and takes the best. The list is exact: it holds
every sequence that could reach the threshold, because the code's backward metrics bound how well a path can end. As
soon as the best completed sequence beats the threshold, nothing outside the list can win, and the search stops.
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
from tokcom.context.prediction import LEAST, LEVELS, Prediction
from tokcom.errors import ParameterError
from tokcom.packets.crc import Crc
from tokcom.packets.universal_hash import UniversalHash
from tokcom.processors import usable_processors

LARGEST_TRELLIS = 1 << 24
"""Upper bound on the branches per stage that are held in memory."""
PREFERRED_WORDS = 1024
"""Words per token that are scored individually, in addition to as many as a prior names."""
_SCALE = np.stack([LEVELS.astype(np.float64), np.exp(LEVELS.astype(np.float64))])
PACKETS_A_TASK = 4
"""Packets per task of a thread."""


@dataclass(frozen=True)
class ListSettings:
    """Limits of the search.

    Args:
        list_size: largest number of sequences on a packet's list after any number of tokens, at least 1.
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
    """Result of list decoding for a batch of packets.

    Attributes:
        tokens: int32 (n, n_tokens), the most likely sequence of each packet.
        log_odds: float64 (n,), log of its posterior odds against all other sequences, unlisted ones included.
        evidence: float64 (n,), log of the sum, over all sequences, of prior times likelihood; relative to that of the
            most likely code word at every trellis step. Of several priors, the one with the higher evidence explains
            the received signal better.
        left_out: float64 (n,), expected share of the posterior outside the list: the trellis sums over unlisted
            sequences, each of whose checks holds with probability 2**-(check width).
        left_out_bound: float64 (n,), upper bound on that share, every unlisted sequence being given the best check.
        exact: bool (n,), whether no sequence outside the list can be more likely.
        lengths: int64 (n,), sequences on the list.
        log_share: float64 (n,), log of the share that the tokens with their check have among all sequences with all
            checks, right or wrong, weighed by prior and likelihood. At most exp(-s) pairs have a share of exp(s) or
            more: to believe those alone is to try no more candidates.
        marginals: float32 (n, n_tokens, m), posterior of m words of every token.
        words: int32 (n, n_tokens, m), those words in ascending order, padded with -1; None for the whole codebook.
    """

    tokens: np.ndarray
    log_odds: np.ndarray
    evidence: np.ndarray
    left_out: np.ndarray
    left_out_bound: np.ndarray
    exact: np.ndarray
    lengths: np.ndarray
    log_share: np.ndarray
    marginals: np.ndarray
    words: np.ndarray | None = None

    @classmethod
    def empty(cls, priors: Prediction) -> "ListDecision":
        """Allocate a decision for packets with priors of shape (n, n_tokens)."""
        n, n_tokens, named = priors.log_probability.shape
        shape = (n, n_tokens, named if priors.words is None else named + PREFERRED_WORDS)
        return cls(
            np.zeros((n, n_tokens), np.int32), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, bool),
            np.zeros(n, np.int64), np.zeros(n), np.zeros(shape, np.float32),
            None if priors.words is None else np.zeros(shape, np.int32),
        )  # fmt: skip

    def set(self, rows: np.ndarray, decision: "ListDecision") -> None:
        """Copy another decision into these rows."""
        for name in self._arrays:
            getattr(self, name)[rows] = getattr(decision, name)

    @property
    def _arrays(self) -> list[str]:
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    @property
    def posterior(self) -> np.ndarray:
        """Posterior probability of each packet's tokens, float64 (n,)."""
        return 1 / (1 + np.exp(-self.log_odds))


class ListDecoder:
    """List decoder for packets of tokens, CRC and convolutional code.

    Args:
        code: the convolutional code.
        crc: the check, a CRC or what takes its place; it may have zero bits.
        token_bits: bits per token.
        n_tokens: tokens per packet.

    Raises:
        ParameterError: the trellis would not fit in memory.
    """

    def __init__(self, code: ConvolutionalCode, crc: Crc | UniversalHash, token_bits: int, n_tokens: int):
        branches = len(code.outputs) << min(token_bits, code.constraint_length - 1)
        if branches > LARGEST_TRELLIS:
            raise ParameterError(
                f"a token trellis of K={code.constraint_length} and {token_bits} bits per token has {branches} "
                f"branches per stage; at most {LARGEST_TRELLIS} fit in memory"
            )
        self.code, self.crc, self.token_bits, self.n_tokens = code, crc, token_bits, n_tokens
        self._trellis = Trellis(
            code.outputs, token_bits, code.constraint_length - 1, crc.width, code.tail, code.terminated,
            *_check_tables(crc, token_bits, n_tokens),
        )  # fmt: skip

    def steps(self, llrs: np.ndarray) -> np.ndarray:
        """Compute the log-likelihoods of the code words at every trellis step, up to one constant per step.

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
        presets: np.ndarray | None = None, tag: UniversalHash | None = None,
    ) -> ListDecision:  # fmt: skip
        """Find the most likely tokens of each packet, and how certain they are.

        Args:
            steps: from `steps`, or from a demapper with joint metrics: float32 (n, stages, 2**outputs).
            priors: a `Prediction` of shape (n, n_tokens), or natural log-probabilities of all words, float32
                (n, n_tokens, codebook_size), -inf where a token is ruled out.
            settings: limits of the search.
            presets: int64 (n,), preset of each packet's check, as `Crc.presets` gives them; None for the check's own.
            tag: secret check in place of the decoder's own, of as many bits; None: the decoder's own.

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
        zeros, trellis = self._checks_of_zeros(n, presets, tag or self.crc), self._trellis_with(tag)
        log_priors = np.maximum(np.ascontiguousarray(priors.log_probability, np.float32), LEAST)
        result = ListDecision.empty(priors)
        outputs = [getattr(result, name) for name in result._arrays]
        if priors.words is not None:
            words, each = np.ascontiguousarray(priors.words, np.int32), priors.each_other
            levels = np.zeros((*shape[:-1], 0)) if priors.levels is None else priors.levels
            levels = np.ascontiguousarray(levels, np.uint8)

        def work(rows: slice) -> None:
            out = [array[rows] for array in outputs]
            if priors.words is None:
                decode_packets(
                    steps[rows], log_priors[rows], zeros[rows], trellis, settings.list_size, settings.reach, *out
                )
            else:
                decode_packets_of_named_words(
                    steps[rows], words[rows], log_priors[rows], each[rows], levels[rows], _SCALE, size, zeros[rows],
                    trellis, settings.list_size, settings.reach, *out,
                )  # fmt: skip

        if n <= PACKETS_A_TASK:
            work(slice(0, n))
        else:
            list(
                _pool(os.getpid()).map(work, [slice(row, row + PACKETS_A_TASK) for row in range(0, n, PACKETS_A_TASK)])
            )
        return result

    def token_steps(
        self, steps: np.ndarray, log_prior: np.ndarray, preset: int | None = None, labels: np.ndarray | None = None,
        tag: UniversalHash | None = None,
    ) -> TokenSteps:  # fmt: skip
        """One packet token by token, for priors that take tokens in order.

        Args:
            steps: float32 (stages, 2**outputs), as in `decode`.
            log_prior: float32 (codebook_size,), of tokens whose prior is not known yet.
            preset: of the packet's check; None: the check's own.
            labels: int32 (codebook_size,), the label under which each token is sent; None: its own number.
            tag: secret check in place of the decoder's own, of as many bits; None: the decoder's own.

        Raises:
            ParameterError: the tokens do not fill the memory of the code.
        """
        if self.token_bits < self.code.constraint_length - 1:
            raise ParameterError(
                f"tokens of {self.token_bits} bits do not fill the memory of K={self.code.constraint_length}; take a "
                "larger codebook or a shorter code"
            )
        zero = int(self._checks_of_zeros(1, None if preset is None else np.array([preset]), tag or self.crc)[0])
        return TokenSteps(self._trellis_with(tag), steps, log_prior, zero, labels)

    def _trellis_with(self, tag: UniversalHash | None) -> Trellis:
        """The trellis with another check than the decoder's own; None: with that."""
        if tag is None:
            return self._trellis
        high, low = _check_tables(tag, self.token_bits, self.n_tokens)
        return self._trellis._replace(check_high=high, check_low=low)

    def _checks_of_zeros(self, n: int, presets: np.ndarray | None, check: Crc | UniversalHash) -> np.ndarray:
        """Check of each packet if all its bits were 0, int64 (n,); the tokens' contributions are added to it."""
        if presets is None:
            presets = np.full(n, check.initial, np.int64)
        n_bits = self.n_tokens * self.token_bits
        checks = check.append(np.zeros((n, n_bits), np.uint8), presets)[:, n_bits:].astype(np.int64)
        return checks @ (1 << np.arange(check.width - 1, -1, -1, dtype=np.int64))


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the thread pool of a process: a forked child inherits none of its parent's threads."""
    return ThreadPoolExecutor(usable_processors(), "list-decoding")


@lru_cache(maxsize=32)
def _check_tables(crc: Crc | UniversalHash, token_bits: int, n_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Contributions (by exclusive or) of the high and the low bits of each token to the check of a packet of zeros,
    int64 (n_tokens, values): checks are affine."""
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
