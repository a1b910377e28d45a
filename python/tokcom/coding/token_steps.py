"""Decoding of a packet token by token, for priors that take tokens in order.

Such a prior says what a token can be once those before it are chosen. So paths grow by one token at a time, and which
of them are worth the prior's time is told by what the channel says of the rest of the packet: the trellis' backward
pass, with the words' frequencies in the place of a prior that is not known yet. With the last token the check is known,
too, and its coded bits decide like any others.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.coding.token_trellis import TINY, Trellis, grow
from tokcom.kernels import kernel

DEEPEST = 60.0
"""Nepers below the best continuation from which none is listed."""
BINS = 480


@dataclass(frozen=True)
class PathEnds:
    """State of the paths at one step inside a packet.

    Attributes:
        metric: float64 (n,), log-likelihood and log-prior of their tokens.
        state: int64 (n,), of the encoder.
        check: int64 (n,), what their tokens make of the packet's check.
    """

    metric: np.ndarray
    state: np.ndarray
    check: np.ndarray


@dataclass(frozen=True)
class Continuations:
    """Paths that are one token longer.

    Attributes:
        parent: int64 (m,), the paths that they continue.
        word: int32 (m,), their last tokens.
        ends: where they end; behind a packet's last token the check is weighed in.
        total: float64 (m,), log of the sum of all that they can become in the packet, falling.
        mass: log of the same sum over all continuations, listed or not.
    """

    parent: np.ndarray
    word: np.ndarray
    ends: PathEnds
    total: np.ndarray
    mass: float

    def select(self, kept: np.ndarray) -> PathEnds:
        """The ends of selected paths; indices int (n,)."""
        return PathEnds(self.ends.metric[kept], self.ends.state[kept], self.ends.check[kept])


class TokenSteps:
    """One packet as its tokens follow each other.

    Args:
        trellis: what code, check and tokens are like; a token fills the code's memory.
        steps: float32 (stages, 2**outputs), log-likelihoods of the code words of every trellis step.
        log_prior: float32 (codebook_size,), of tokens whose prior is not known yet.
        zero: the check of a packet of zeros.
        labels: int32 (codebook_size,), the label under which each token is sent; None: its own number.
    """

    def __init__(
        self, trellis: Trellis, steps: np.ndarray, log_prior: np.ndarray, zero: int, labels: np.ndarray | None = None
    ):
        self._trellis, self._zero = trellis, zero
        words = np.arange(len(log_prior)) if labels is None else labels
        self._labels = words.astype(np.int64)
        self._steps = (steps - steps.max(axis=1, keepdims=True)).astype(np.float64)
        share = np.zeros(1 << trellis.width)
        share[self._labels] = np.exp(log_prior.astype(np.float64))
        self.n_tokens = (len(steps) - trellis.check_width - trellis.tail) // trellis.width
        self._start, self._channel, self._ahead = _tables(trellis, self._steps, share, self.n_tokens)

    def begin(self, metric: np.ndarray) -> PathEnds:
        """Paths of the metric float64 (n,) before the packet's first token."""
        n = len(metric)
        return PathEnds(metric, np.zeros(n, np.int64), np.full(n, self._zero, np.int64))

    def continuations(
        self, place: int, ends: PathEnds, log_prior: np.ndarray, most: int, also: np.ndarray | None = None
    ) -> Continuations:
        """The likeliest paths that are one token longer.

        Args:
            place: of the token in the packet.
            ends: n paths as far as that token.
            log_prior: float32 (n, codebook_size), of the token.
            most: continuations that are listed at most, beside those of the next argument.
            also: int (m,), words that are listed behind every path, however unlikely; None: none.
        """
        asked = np.zeros(len(self._labels), np.bool_)
        if also is not None:
            asked[also] = True
        parent, word, metric, total, mass = _continue(
            ends.metric, self._start[place][ends.state], self._channel[place], self._ahead[place + 1],
            self._trellis.width - self._trellis.memory, self._labels, np.ascontiguousarray(log_prior, np.float32),
            most, asked,
        )  # fmt: skip
        label, low = self._labels[word], self._trellis.width // 2
        check = ends.check[parent] ^ self._trellis.check_high[place, label >> low]
        check ^= self._trellis.check_low[place, label & ((1 << low) - 1)]
        state = label & ((1 << self._trellis.memory) - 1)
        if place == self.n_tokens - 1:
            metric = metric + _completed(self._trellis, self._steps, self.n_tokens * self._trellis.width, state, check)
            # What is not listed is taken to have the average check.
            outside = mass + np.log(max(1 - np.exp(total - mass).sum(), TINY))
            total = metric
            mass = np.logaddexp(np.logaddexp.reduce(total), outside)
        order = np.argsort(-total, kind="stable")
        ends = PathEnds(metric[order], state[order], check[order])
        return Continuations(parent[order], word[order], ends, total[order], float(mass))


@kernel(error_model="numpy")
def _tables(trellis, steps, share, n_tokens):
    """Metrics (n_tokens, states, first bits) of tokens' first bits, (n_tokens, labels) of the others, and, float64
    (n_tokens + 1, states), the log of the sum of all that can follow."""
    n_states, mask = trellis.outputs.shape[0], trellis.outputs.shape[0] - 1
    size, first = 1 << (trellis.width - trellis.memory), n_tokens * trellis.width
    likelihood = np.exp(steps)
    start = np.empty((n_tokens, n_states, n_states), np.float32)
    channel = np.empty((n_tokens, n_states * size), np.float32)
    ahead = np.empty((n_tokens + 1, n_states))
    total = np.zeros(n_states)
    total[: 1 if trellis.terminated else n_states] = 1.0
    scale = -trellis.check_width * np.log(2.0)
    for t in range(len(steps) - 1, first - 1, -1):
        before = np.empty(n_states)
        for s in range(n_states):
            to = (s << 1) & mask
            before[s] = total[to] * likelihood[t, trellis.outputs[s, 0]]
            if t < len(steps) - trellis.tail:
                before[s] += total[to | 1] * likelihood[t, trellis.outputs[s, 1]]
        peak = max(before.max(), TINY)
        total = before / peak
        scale += np.log(peak)
    ahead[n_tokens] = np.log(np.maximum(total, TINY)) + scale
    heads, head_likelihood = np.empty((n_states, n_states)), np.empty((n_states, n_states))
    metrics, products = np.empty((n_states, size)), np.empty((n_states, size))
    for k in range(n_tokens - 1, -1, -1):
        grow(steps, likelihood, trellis.outputs, k * trellis.width, trellis.memory, heads, head_likelihood)
        behind = k * trellis.width + trellis.memory
        grow(steps, likelihood, trellis.outputs, behind, trellis.width - trellis.memory, metrics, products)
        start[k], channel[k] = heads, metrics.ravel()
        peak = ahead[k + 1].max()
        follow = np.exp(ahead[k + 1] - peak)
        mass = np.zeros(n_states)
        for group in range(n_states):
            for place in range(size):
                label = group * size + place
                mass[group] += products[group, place] * share[label] * follow[label & mask]
        ahead[k] = np.log(np.maximum(head_likelihood @ mass, TINY)) + peak
    return start, channel, ahead


@kernel(error_model="numpy")
def _continue(metric, start, channel, ahead, shift, labels, log_prior, most, asked):
    """The likeliest continuations of paths, unsorted: parent, word, metric, the metric including the best continuation,
    and the log of the sum over all."""
    n, n_words = log_prior.shape
    mask = len(ahead) - 1
    behind = np.empty(n_words, np.float32)
    for word in range(n_words):
        behind[word] = channel[labels[word]] + ahead[labels[word] & mask]
    totals, best = np.empty((n, n_words), np.float32), -np.inf
    origin = metric.max()
    for i in range(n):
        own = np.float32(metric[i] - origin)
        for word in range(n_words):
            value = own + log_prior[i, word] + start[i, labels[word] >> shift] + behind[word]
            totals[i, word] = value
            if value > best:
                best = value
    count, sums = np.zeros(BINS, np.int64), 0.0
    scale = BINS / DEEPEST
    for i in range(n):
        for word in range(n_words):
            gap = best - totals[i, word]
            if gap < DEEPEST:
                count[int(gap * scale)] += 1
                sums += np.exp(-gap)
    listed, last = 0, 0
    while last < BINS and (listed + count[last] <= most or last == 0):
        listed += count[last]
        last += 1
    for word in range(n_words):
        if asked[word]:
            for i in range(n):
                gap = best - totals[i, word]
                if not (gap < DEEPEST and int(gap * scale) < last):
                    listed += 1
    parent, chosen = np.empty(listed, np.int64), np.empty(listed, np.int32)
    values, whole = np.empty(listed), np.empty(listed)
    filled = 0
    for i in range(n):
        for word in range(n_words):
            gap = best - totals[i, word]
            if asked[word] or (gap < DEEPEST and int(gap * scale) < last):
                parent[filled], chosen[filled] = i, word
                whole[filled] = totals[i, word] + origin
                values[filled] = metric[i] + log_prior[i, word] + start[i, labels[word] >> shift]
                values[filled] += channel[labels[word]]
                filled += 1
    return parent, chosen, values, whole, np.log(sums) + best + origin


@kernel(error_model="numpy")
def _completed(trellis, steps, first, states, checks):
    """Metric added by check and tail to paths that end in these states with these checks."""
    mask, added = trellis.outputs.shape[0] - 1, np.zeros(len(states))
    for i in range(len(states)):
        s = states[i]
        for t in range(trellis.check_width + trellis.tail):
            shift = trellis.check_width - 1 - t
            bit = (checks[i] >> shift) & 1 if shift >= 0 else 0
            added[i] += steps[first + t, trellis.outputs[s, bit]]
            s = ((s << 1) | bit) & mask
    return added
