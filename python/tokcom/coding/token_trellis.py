"""Kernel of list decoding: the token trellis of a packet, its backward metrics, and the list above a threshold.

A stage is a whole token. From a state the token's first bits, as many as fill the encoder's memory, cost
`start[state, first bits]`; they alone decide the next state, so the token's other bits, its prior and everything that
may follow cost `rest[token]`, whatever the state was. Tokens with the same first bits form a group: a path looks once
at each group's best token, and at more only while they are good enough. Tokens too short to fill the memory form one
group per state.
"""

from typing import NamedTuple

import numpy as np

from tokcom.kernels import kernel

NEVER = -1e30
"""Metric of impossible paths."""
TINY = 1e-300
SLACK = 1e-6
"""Largest rounding error of a path's metric, in nepers."""
FIRST_GAP = 6.0
FINEST_GAP = 0.1
"""Difference in nepers between a threshold whose list fits and one whose list does not, below which the search ends."""


class Trellis(NamedTuple):
    """Parameters of a code, its check and its tokens."""

    outputs: np.ndarray
    """Code words, int64 (states, 2)."""
    width: int
    """Bits per token."""
    memory: int
    """Bits per state."""
    check_width: int
    tail: int
    terminated: bool
    check_high: np.ndarray
    """Contribution of each token's high bits to the check, by exclusive or, int64 (n_tokens, values)."""
    check_low: np.ndarray
    """The same for the lower width // 2 bits."""


class Stages(NamedTuple):
    """Metrics of one packet, stage by stage; the two rows of `total` are sums in which unlisted sequences have the
    average check and the best check."""

    step: np.ndarray
    likelihood: np.ndarray
    start: np.ndarray
    start_likelihood: np.ndarray
    branch: np.ndarray
    weight: np.ndarray
    rest: np.ndarray
    members: np.ndarray
    words: np.ndarray
    """Word at each place of a group if the group does not hold all words with its first bits; otherwise empty."""
    counts: np.ndarray
    after: np.ndarray
    total: np.ndarray
    relaxed: np.ndarray


class Paths(NamedTuple):
    """Listed sequences as parent links; entries level[k] to level[k + 1] - 1 have k tokens."""

    metric: np.ndarray
    whole: np.ndarray
    state: np.ndarray
    check: np.ndarray
    parent: np.ndarray
    token: np.ndarray
    level: np.ndarray


@kernel(error_model="numpy")
def grow(
    step: np.ndarray, likelihood: np.ndarray, outputs: np.ndarray, first: int, n_bits: int, metrics: np.ndarray,
    products: np.ndarray,
) -> None:  # fmt: skip
    """Compute metrics and likelihoods, (states, 2**n_bits), of all runs of n_bits bits from each state."""
    mask = outputs.shape[0] - 1
    for origin in range(outputs.shape[0]):
        metrics[origin, 0], products[origin, 0] = 0.0, 1.0
        for depth in range(n_bits):
            cost, factor = step[first + depth], likelihood[first + depth]
            for run in range((1 << depth) - 1, -1, -1):
                state = ((origin << depth) | run) & mask
                metric, product = metrics[origin, run], products[origin, run]
                for bit in range(1, -1, -1):
                    word = outputs[state, bit]
                    metrics[origin, 2 * run + bit] = metric + cost[word]
                    products[origin, 2 * run + bit] = product * factor[word]


@kernel(error_model="numpy")
def _end(trellis, stages, first):
    """Set after[-1] and total[-1] from check and tail for each end state; return the logarithm of the scale."""
    n_states = trellis.outputs.shape[0]
    mask = n_states - 1
    best, total = np.full(n_states, NEVER), np.zeros(n_states)
    for s in range(1 if trellis.terminated else n_states):
        best[s], total[s] = 0.0, 1.0
    scale = -trellis.check_width * np.log(2.0)
    for t in range(stages.step.shape[0] - 1, first - 1, -1):
        free = t < stages.step.shape[0] - trellis.tail
        best_before, total_before = np.empty(n_states), np.empty(n_states)
        for s in range(n_states):
            to, word = (s << 1) & mask, trellis.outputs[s, 0]
            value, mass = best[to] + stages.step[t, word], total[to] * stages.likelihood[t, word]
            if free:
                word = trellis.outputs[s, 1]
                value = max(value, best[to | 1] + stages.step[t, word])
                mass += total[to | 1] * stages.likelihood[t, word]
            best_before[s], total_before[s] = value, mass
        peak = max(total_before.max(), TINY)
        best, total = best_before, total_before / peak
        scale += np.log(peak)
    stages.after[-1] = best
    stages.total[-1, 0] = total
    for s in range(n_states):
        stages.total[-1, 1, s] = np.exp(best[s] - scale) if best[s] > NEVER / 2 else 0.0
    return scale


@kernel(error_model="numpy")
def _backward(trellis, stages, prior, scale):
    """Compute each token's metrics and, for every state before it, the best end and the sum of all; return the
    scale."""
    n_tokens, n_groups, size = stages.rest.shape
    n_states, mask = trellis.outputs.shape[0], trellis.outputs.shape[0] - 1
    head = trellis.memory if stages.start.shape[2] > 1 else 0
    for k in range(n_tokens - 1, -1, -1):
        first = k * trellis.width
        grow(stages.step, stages.likelihood, trellis.outputs, first, head, stages.start[k], stages.start_likelihood[k])
        grow(
            stages.step, stages.likelihood, trellis.outputs, first + head, trellis.width - head, stages.branch[k],
            stages.weight[k],
        )  # fmt: skip
        best, total = np.full(n_groups, NEVER), np.zeros((2, n_groups))
        for g in range(n_groups):
            for place in range(size):
                word = (g * size + place) & ((1 << trellis.width) - 1)
                if word >= prior.shape[1] or prior[k, word] < NEVER:
                    stages.branch[k, g, place] = stages.rest[k, g, place] = 2 * NEVER
                    stages.weight[k, g, place] = 0.0
                    continue
                to = ((g << trellis.width) | word) & mask
                stages.branch[k, g, place] += prior[k, word]
                stages.weight[k, g, place] *= np.exp(np.float64(prior[k, word]))
                stages.rest[k, g, place] = stages.branch[k, g, place] + stages.after[k + 1, to]
                best[g] = max(best[g], stages.rest[k, g, place])
                total[0, g] += stages.weight[k, g, place] * stages.total[k + 1, 0, to]
                total[1, g] += stages.weight[k, g, place] * stages.total[k + 1, 1, to]
        for s in range(n_states):
            value, mass, bound = NEVER, 0.0, 0.0
            for g in range(stages.start.shape[2]):
                group = g if head else s
                factor = stages.start_likelihood[k, s, g]
                value = max(value, stages.start[k, s, g] + best[group])
                mass += factor * total[0, group]
                bound += factor * total[1, group]
            stages.after[k, s], stages.total[k, 0, s], stages.total[k, 1, s] = value, mass, bound
        peak = max(stages.total[k].max(), TINY)
        stages.total[k] /= peak
        scale += np.log(peak)
    return scale


@kernel(error_model="numpy")
def _forward(trellis, stages, reach):
    """Sort, per group, the tokens that a path within reach may contain, and set the relaxed posteriors of all
    tokens."""
    n_tokens, n_groups, size = stages.rest.shape
    n_states, mask = trellis.outputs.shape[0], trellis.outputs.shape[0] - 1
    wide = stages.start.shape[2] > 1
    best, total = np.full(n_states, NEVER), np.zeros(n_states)
    best[0], total[0] = 0.0, 1.0
    lowest = stages.after[0, 0] - reach
    for k in range(n_tokens):
        best_next, total_next = np.full(n_states, NEVER), np.zeros(n_states)
        stages.relaxed[k] = 0.0
        for g in range(n_groups):
            arrive, mass = best[g] if not wide else NEVER, total[g] if not wide else 0.0
            if wide:
                for s in range(n_states):
                    arrive = max(arrive, best[s] + stages.start[k, s, g])
                    mass += total[s] * stages.start_likelihood[k, s, g]
            for place in range(size):
                word = (g * size + place) & ((1 << trellis.width) - 1)
                if word >= stages.relaxed.shape[1]:
                    continue
                to = ((g << trellis.width) | word) & mask
                here = mass * stages.weight[k, g, place]
                best_next[to] = max(best_next[to], arrive + stages.branch[k, g, place])
                total_next[to] += here
                stages.relaxed[k, word] += here * stages.total[k + 1, 0, to]
            stages.counts[k, g] = sort_places(stages.rest[k, g], lowest - arrive, stages.members[k, g])
        best, total = best_next, total_next / max(total_next.max(), TINY)
        stages.relaxed[k] /= max(stages.relaxed[k].sum(), TINY)


@kernel(error_model="numpy")
def sort_places(values: np.ndarray, floor: float, members: np.ndarray) -> int:
    """Write the indices of values at or above `floor` into `members`, largest first; return their number."""
    count = 0
    for place in range(len(values)):
        if values[place] >= max(floor, NEVER):
            members[count] = place
            count += 1
    if count > 32:
        members[:count] = members[:count][np.argsort(-values[members[:count]])]
        return count
    for i in range(1, count):
        moved, j = members[i], i
        while j > 0 and values[members[j - 1]] < values[moved]:
            members[j] = members[j - 1]
            j -= 1
        members[j] = moved
    return count


@kernel(error_model="numpy")
def _expand(trellis, stages, zero, threshold, capacity, paths):
    """List every token sequence whose metric, with the best possible completion, reaches the threshold; `zero` is the
    check of a packet of zeros.

    Returns whether all fitted: a level holds at most `capacity` sequences, and any beyond that are left out.
    """
    n_tokens, _, size = stages.rest.shape
    mask = trellis.outputs.shape[0] - 1
    heads = stages.start.shape[2]
    low_bits, listed = trellis.width // 2, stages.words.shape[2] > 0
    paths.metric[0], paths.state[0], paths.check[0], paths.parent[0] = 0.0, 0, zero, -1
    paths.level[0], paths.level[1] = 0, 1
    filled, whole = 1, True
    for k in range(n_tokens):
        limit = filled + capacity
        for i in range(paths.level[k], paths.level[k + 1]):
            s = paths.state[i]
            for g in range(heads):
                group = g if heads > 1 else s
                sofar = paths.metric[i] + stages.start[k, s, g]
                for rank in range(stages.counts[k, group]):
                    place = stages.members[k, group, rank]
                    value = sofar + stages.rest[k, group, place]
                    if value < threshold:
                        break
                    if filled == limit:
                        whole = False
                        break
                    if listed:
                        word = stages.words[k, group, place]
                    else:
                        word = (group * size + place) & ((1 << trellis.width) - 1)
                    to = ((group << trellis.width) | word) & mask
                    high, low = word >> low_bits, word & ((1 << low_bits) - 1)
                    paths.metric[filled] = value - stages.after[k + 1, to]
                    paths.state[filled] = to
                    paths.check[filled] = paths.check[i] ^ trellis.check_high[k, high] ^ trellis.check_low[k, low]
                    paths.parent[filled] = i
                    paths.token[filled] = word
                    filled += 1
        paths.level[k + 2] = filled
    return whole


@kernel(error_model="numpy")
def _complete(trellis, stages, first, paths):
    """Write the metrics of the listed sequences with their own check and tail into `whole`; return the best's index."""
    mask, n_tokens = trellis.outputs.shape[0] - 1, stages.rest.shape[0]
    best = paths.level[n_tokens]
    for i in range(paths.level[n_tokens], paths.level[n_tokens + 1]):
        s, value = paths.state[i], paths.metric[i]
        for t in range(trellis.check_width + trellis.tail):
            shift = trellis.check_width - 1 - t
            bit = (paths.check[i] >> shift) & 1 if shift >= 0 else 0
            value += stages.step[first + t, trellis.outputs[s, bit]]
            s = ((s << 1) | bit) & mask
        paths.whole[i] = value
        if value > paths.whole[best]:
            best = i
    return best


@kernel(error_model="numpy")
def search(
    trellis: Trellis, stages: Stages, first: int, zero: int, list_size: int, reach: float, paths: Paths
) -> tuple:
    """Extend the list by lowering the threshold until nothing outside can beat the winner, or the list is full.

    Returns the winner's index and whether it is proven to be the most likely of all sequences.
    """
    n_tokens = stages.rest.shape[0]
    top = stages.after[0, 0] - SLACK
    gap, fitting, bursting = min(FIRST_GAP, reach), 0.0, np.inf
    while True:
        if _expand(trellis, stages, zero, top - gap, list_size, paths):
            winner = _complete(trellis, stages, first, paths)
            if paths.whole[winner] >= top - gap:
                return winner, True
            count = paths.level[n_tokens + 1] - paths.level[n_tokens]
            if gap >= reach or 2 * count > list_size:
                return winner, False
            fitting = gap
            # Lists grow roughly exponentially with the gap: aim for eight times the length, or nearly full.
            growth = max(np.log(count) / gap, 0.25)
            gap += max(np.log(min(8.0, 0.8 * list_size / count)) / growth, 0.5)
        else:
            bursting = gap
        if bursting - fitting < FINEST_GAP:
            _expand(trellis, stages, zero, top - fitting, list_size, paths)
            return _complete(trellis, stages, first, paths), False
        gap = min(gap, reach) if gap < bursting else (fitting + bursting) / 2


@kernel(error_model="numpy")
def weigh(stages: Stages, paths: Paths, winner: int, scale: float, end_scale: float) -> tuple:
    """Weigh the winner against the other listed sequences and against all unlisted ones.

    Returns, relative to the winner's posterior, its metric, the sum over all sequences, the sum over unlisted ones, the
    winner's log-odds, an upper bound on the share of the unlisted ones, and the logarithm of the winner's share among
    all sequences with all checks, without the factor 2**-(check width).
    """
    n_tokens = stages.rest.shape[0]
    top = paths.whole[winner]
    everything = scale + np.log(max(stages.total[0, 0, 0], TINY))
    everything_at_best = scale + np.log(max(stages.total[0, 1, 0], TINY))
    others, listed, listed_at_best = 0.0, 0.0, 0.0
    for i in range(paths.level[n_tokens], paths.level[n_tokens + 1]):
        s = paths.state[i]
        listed += np.exp(paths.metric[i] + end_scale - everything) * stages.total[-1, 0, s]
        listed_at_best += np.exp(paths.metric[i] + stages.after[-1, s] - everything_at_best)
        if i != winner:
            others += np.exp(paths.whole[i] - top)
    outside = np.exp(min(everything - top, 700.0)) * max(1.0 - listed, 0.0)
    bound = np.exp(min(everything_at_best - top, 700.0)) * max(1.0 - listed_at_best, 0.0)
    log_odds = -np.log(max(others + outside, TINY))
    return top, 1.0 + others + outside, outside, log_odds, bound / (1.0 + others + bound), top - everything


@kernel(error_model="numpy")
def room_for_paths(list_size: int, n_tokens: int) -> Paths:
    """Allocate lists of `list_size` sequences."""
    room = list_size * n_tokens + 1
    return Paths(
        np.empty(room), np.empty(room), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.int64), np.empty(n_tokens + 2, np.int64),
    )  # fmt: skip


@kernel(error_model="numpy")
def begin(trellis: Trellis, stages: Stages, steps: np.ndarray, first: int) -> float:
    """Load the metrics of a packet; return the logarithm of the scale at the end of its tokens."""
    for t in range(steps.shape[0]):
        stages.step[t] = steps[t] - steps[t].max()
    stages.likelihood[:] = np.exp(stages.step)
    return _end(trellis, stages, first)


@kernel(error_model="numpy")
def decode_packets(
    steps: np.ndarray, priors: np.ndarray, zeros: np.ndarray, trellis: Trellis, list_size: int, reach: float,
    tokens: np.ndarray, log_odds: np.ndarray, evidence: np.ndarray, left_out: np.ndarray,
    left_out_bound: np.ndarray, exact: np.ndarray, lengths: np.ndarray, log_share: np.ndarray,
    marginals: np.ndarray,
) -> None:  # fmt: skip
    """List-decode packets one after the other, with inputs and outputs as in `list_decoding.ListDecoder.decode`.
    `zeros` are the packets' checks if all their bits were 0."""
    n_tokens, n_words = priors.shape[1], priors.shape[2]
    n_states = trellis.outputs.shape[0]
    wide = trellis.width >= trellis.memory
    heads = n_states if wide else 1
    size = 1 << (trellis.width - trellis.memory if wide else trellis.width)
    groups = (n_tokens, n_states, size)
    stages = Stages(
        np.empty(steps.shape[1:]), np.empty(steps.shape[1:]),
        np.empty((n_tokens, n_states, heads)), np.empty((n_tokens, n_states, heads)),
        np.empty(groups), np.empty(groups), np.empty(groups), np.empty(groups, np.int32),
        np.empty((0, 0, 0), np.int32), np.empty(groups[:2], np.int64), np.empty((n_tokens + 1, n_states)),
        np.empty((n_tokens + 1, 2, n_states)), np.empty((n_tokens, n_words)),
    )  # fmt: skip
    paths = room_for_paths(list_size, n_tokens)
    first = n_tokens * trellis.width
    for p in range(len(steps)):
        end_scale = begin(trellis, stages, steps[p], first)
        scale = _backward(trellis, stages, priors[p], end_scale)
        _forward(trellis, stages, reach)
        winner, exact[p] = search(trellis, stages, first, zeros[p], list_size, reach, paths)
        top, mass, outside, log_odds[p], left_out_bound[p], lead = weigh(stages, paths, winner, scale, end_scale)
        log_share[p] = lead - trellis.check_width * np.log(2.0)
        evidence[p] = top + np.log(mass)
        left_out[p] = outside / mass
        listed_from, listed_to = paths.level[n_tokens], paths.level[n_tokens + 1]
        lengths[p] = listed_to - listed_from
        for k in range(n_tokens):
            for word in range(n_words):
                marginals[p, k, word] = stages.relaxed[k, word] * outside / mass
        for i in range(listed_from, listed_to):
            share, node = np.exp(paths.whole[i] - top) / mass, i
            for k in range(n_tokens - 1, -1, -1):
                marginals[p, k, paths.token[node]] += share
                if i == winner:
                    tokens[p, k] = paths.token[node]
                node = paths.parent[node]
