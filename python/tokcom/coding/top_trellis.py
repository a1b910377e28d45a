"""List decoding where a prior names the most likely words of a large codebook, and all others share the rest.

Words that share one prior need not be scored individually: bit by bit, the code's own trellis sums over them and finds
the best. The cost per token is therefore that of the named words and of the few others that the channel prefers; these
are found by a beam search along the bits and then named, so that they can be listed. The trellis sums over all words
below the codebook's size are exact: beside the states, one more path is tracked, the prefix of the size itself.
"""

from typing import NamedTuple

import numpy as np

from tokcom.coding.token_trellis import (
    NEVER,
    TINY,
    Stages,
    Trellis,
    begin,
    grow,
    room_for_paths,
    search,
    sort_places,
    weigh,
)
from tokcom.kernels import kernel


class Even(NamedTuple):
    """Metrics of the ends that may follow a prefix of a token's bits, over all words of equal prior. Axes: token;
    prefix below (0) or at (1) that of the codebook's size; bits so far; state."""

    best: np.ndarray
    """Metric of the best end."""
    sums: np.ndarray
    """Sums of the likelihoods of all ends, with one more axis: average check, best check."""


class Named(NamedTuple):
    """Words that are scored individually, per token: those of the prior, then those that the channel prefers."""

    word: np.ndarray
    to: np.ndarray
    likelihood: np.ndarray
    """Log-likelihood of the bits after the first ones."""
    branch: np.ndarray
    weight: np.ndarray
    relaxed: np.ndarray
    count: np.ndarray


class Beam(NamedTuple):
    """Prefixes of words of one length."""

    word: np.ndarray
    value: np.ndarray
    total: np.ndarray
    tight: np.ndarray


@kernel(error_model="numpy")
def _even_ends(trellis, stages, even, k, size):
    """Set the metrics of the ends of every prefix of token k."""
    width, n_states = trellis.width, trellis.outputs.shape[0]
    mask = n_states - 1
    best, sums = even.best[k], even.sums[k]
    best[0, width], best[1, width] = stages.after[k + 1], NEVER
    sums[:, 0, width], sums[:, 1, width] = stages.total[k + 1], 0.0
    for d in range(width - 1, -1, -1):
        cost, factor = stages.step[k * width + d], stages.likelihood[k * width + d]
        one = (size >> (width - 1 - d)) & 1
        for s in range(n_states):
            zero_to, zero, unit = (s << 1) & mask, trellis.outputs[s, 0], trellis.outputs[s, 1]
            one_to = zero_to | 1
            below = cost[zero] + best[0, d + 1, zero_to]
            best[0, d, s] = max(below, cost[unit] + best[0, d + 1, one_to])
            best[1, d, s] = (
                max(below, cost[unit] + best[1, d + 1, one_to]) if one else cost[zero] + best[1, d + 1, zero_to]
            )
            for row in range(2):
                mass = factor[zero] * sums[row, 0, d + 1, zero_to]
                sums[row, 0, d, s] = mass + factor[unit] * sums[row, 0, d + 1, one_to]
                if one:
                    sums[row, 1, d, s] = mass + factor[unit] * sums[row, 1, d + 1, one_to]
                else:
                    sums[row, 1, d, s] = factor[zero] * sums[row, 1, d + 1, zero_to]


@kernel(error_model="numpy")
def _name(trellis, stages, named, k, place, word, log_prior):
    """Set the metrics of a word of token k after its first bits; return the group of those bits."""
    mask = trellis.outputs.shape[0] - 1
    state = word >> (trellis.width - trellis.memory)
    group, metric, likelihood = state, 0.0, 1.0
    for d in range(trellis.memory, trellis.width):
        bit = (word >> (trellis.width - 1 - d)) & 1
        out, t = trellis.outputs[state, bit], k * trellis.width + d
        metric += stages.step[t, out]
        likelihood *= stages.likelihood[t, out]
        state = ((state << 1) | bit) & mask
    named.word[k, place], named.to[k, place], named.likelihood[k, place] = word, state, likelihood
    if log_prior < NEVER:
        named.branch[k, place], named.weight[k, place] = 2 * NEVER, 0.0
    else:
        named.branch[k, place] = metric + log_prior
        named.weight[k, place] = likelihood * np.exp(np.float64(log_prior))
    return group


@kernel(error_model="numpy")
def _backward(trellis, stages, even, named, words, log_priors, each, size, scale):
    """Compute, for every state before a token, the best end and the sum of all; return the scale. `each` is the
    log-prior of a word that is not named."""
    n_states, n_tokens = trellis.outputs.shape[0], len(words)
    bounded, share = int(size < 1 << trellis.width), np.empty(n_tokens)
    for k in range(n_tokens - 1, -1, -1):
        first = k * trellis.width
        grow(
            stages.step, stages.likelihood, trellis.outputs, first, trellis.memory, stages.start[k],
            stages.start_likelihood[k],
        )  # fmt: skip
        _even_ends(trellis, stages, even, k, size)
        share[k] = np.exp(np.float64(each[k])) if each[k] > NEVER else 0.0
        best, total, counted = np.full(n_states, NEVER), np.zeros((2, n_states)), np.zeros((2, n_states))
        named.count[k] = words.shape[1]
        for place in range(words.shape[1]):
            g = _name(trellis, stages, named, k, place, words[k, place], log_priors[k, place])
            to = named.to[k, place]
            best[g] = max(best[g], named.branch[k, place] + stages.after[k + 1, to])
            for row in range(2):
                total[row, g] += named.weight[k, place] * stages.total[k + 1, row, to]
                counted[row, g] += named.likelihood[k, place] * stages.total[k + 1, row, to]
        for s in range(n_states):
            value = each[k] + even.best[k, bounded, 0, s] if share[k] else NEVER
            for row in range(2):
                others, mass = even.sums[k, row, bounded, 0, s], 0.0
                for g in range(n_states):
                    factor = stages.start_likelihood[k, s, g]
                    mass += factor * total[row, g]
                    others -= factor * counted[row, g]
                stages.total[k, row, s] = mass + share[k] * max(others, 0.0)
            for g in range(n_states):
                value = max(value, stages.start[k, s, g] + best[g])
            stages.after[k, s] = value
        peak = max(stages.total[k].max(), TINY)
        stages.total[k] /= peak
        scale += np.log(peak)
    return scale


@kernel(error_model="numpy")
def _even_arrivals(trellis, stages, k, size, arrive, mass, best, total):
    """Compute the best metric and the sum of likelihoods per state after token k, over all words of equal prior."""
    width, n_states = trellis.width, trellis.outputs.shape[0]
    mask, bounded = n_states - 1, size < 1 << width
    edge = (size >> (width - trellis.memory)) if bounded else n_states
    best[:], total[:] = NEVER, 0.0
    best[:edge], total[:edge] = arrive[:edge], mass[:edge]
    tight, tight_best, tight_total = edge, NEVER, 0.0
    if bounded:
        tight_best, tight_total = arrive[edge], mass[edge]
    best_next, total_next = np.empty(n_states), np.empty(n_states)
    for d in range(trellis.memory, width):
        cost, factor = stages.step[k * width + d], stages.likelihood[k * width + d]
        best_next[:], total_next[:] = NEVER, 0.0
        for s in range(n_states):
            for bit in range(2):
                to, out = ((s << 1) | bit) & mask, trellis.outputs[s, bit]
                best_next[to] = max(best_next[to], best[s] + cost[out])
                total_next[to] += total[s] * factor[out]
        if bounded:
            one = (size >> (width - 1 - d)) & 1
            if one:
                to, out = (tight << 1) & mask, trellis.outputs[tight, 0]
                best_next[to] = max(best_next[to], tight_best + cost[out])
                total_next[to] += tight_total * factor[out]
            out = trellis.outputs[tight, one]
            tight_best, tight_total = tight_best + cost[out], tight_total * factor[out]
            tight = ((tight << 1) | one) & mask
        best[:], total[:] = best_next, total_next


@kernel(error_model="numpy")
def _narrow(beam, count, most):
    """Keep the best prefixes; return their number and the largest total that was dropped."""
    if count <= most:
        return count, NEVER
    least = np.partition(beam.total[:count], count - most)[count - most]
    kept, dropped = 0, NEVER
    for i in range(count):
        if beam.total[i] >= least and kept < most:
            beam.word[kept], beam.value[kept] = beam.word[i], beam.value[i]
            beam.total[kept], beam.tight[kept] = beam.total[i], beam.tight[i]
            kept += 1
        else:
            dropped = max(dropped, beam.total[i])
    return kept, dropped


@kernel(error_model="numpy")
def _preferred(trellis, stages, even, k, size, arrive, lowest, most, beam, spare):
    """Collect the words of token k that the channel prefers, whatever the prior, in `beam`; return it, their number,
    and an upper bound on the metric of all other words, priors excluded."""
    width, n_states = trellis.width, trellis.outputs.shape[0]
    mask, bounded = n_states - 1, size < 1 << width
    edge = (size >> (width - trellis.memory)) if bounded else n_states
    count, dropped = 0, NEVER
    for g in range(min(edge + 1, n_states)):
        tight = int(g == edge)
        total = arrive[g] + even.best[k, tight, trellis.memory, g]
        if total >= lowest:
            beam.word[count], beam.value[count], beam.total[count], beam.tight[count] = g, arrive[g], total, tight
            count += 1
    for d in range(trellis.memory, width):
        count, lost = _narrow(beam, count, most)
        dropped = max(dropped, lost)
        cost, longer = stages.step[k * width + d], 0
        one = (size >> (width - 1 - d)) & 1
        for i in range(count):
            s = beam.word[i] & mask
            for bit in range(2):
                if beam.tight[i] and bit > one:
                    continue
                tight = int(beam.tight[i] and bit == one)
                to = ((s << 1) | bit) & mask
                value = beam.value[i] + cost[trellis.outputs[s, bit]]
                total = value + even.best[k, tight, d + 1, to]
                if total >= lowest:
                    spare.word[longer], spare.value[longer] = (beam.word[i] << 1) | bit, value
                    spare.total[longer], spare.tight[longer] = total, tight
                    longer += 1
        beam, spare, count = spare, beam, longer
    count, lost = _narrow(beam, count, most)
    return beam, count, max(dropped, lost)


@kernel(error_model="numpy")
def _forward(trellis, stages, even, named, each, size, reach, extra):
    """Name the words that the channel prefers, sort the words of each group, and set the relaxed posteriors of all.

    Returns an upper bound on the metric of paths with a word that is not named.
    """
    n_tokens, n_states = len(each), trellis.outputs.shape[0]
    n_words = named.word.shape[1] - extra
    room = 2 * extra + n_states
    beam, spare = (
        Beam(np.empty(room, np.int64), np.empty(room), np.empty(room), np.empty(room, np.int64)),
        Beam(np.empty(room, np.int64), np.empty(room), np.empty(room), np.empty(room, np.int64)),
    )
    best, total = np.full(n_states, NEVER), np.zeros(n_states)
    best[0], total[0] = 0.0, 1.0
    even_best, even_total = np.empty(n_states), np.empty(n_states)
    arrive, mass = np.empty(n_states), np.empty(n_states)
    lowest, unnamed = stages.after[0, 0] - reach, NEVER
    for k in range(n_tokens):
        share = np.exp(np.float64(each[k])) if each[k] > NEVER else 0.0
        for g in range(n_states):
            arrive[g], mass[g] = NEVER, 0.0
            for s in range(n_states):
                arrive[g] = max(arrive[g], best[s] + stages.start[k, s, g])
                mass[g] += total[s] * stages.start_likelihood[k, s, g]
        _even_arrivals(trellis, stages, k, size, arrive, mass, even_best, even_total)
        # The rest counts all words, named ones included: subtract those.
        for place in range(n_words):
            g, to = named.word[k, place] >> (trellis.width - trellis.memory), named.to[k, place]
            even_total[to] -= mass[g] * named.likelihood[k, place]
        relaxed = 0.0
        for s in range(n_states):
            even_total[s] = share * max(even_total[s], 0.0)
            even_best[s] = even_best[s] + each[k] if share else NEVER
            relaxed += even_total[s] * stages.total[k + 1, 0, s]
        for place in range(n_words):
            g, to = named.word[k, place] >> (trellis.width - trellis.memory), named.to[k, place]
            here = mass[g] * named.weight[k, place]
            named.relaxed[k, place] = here * stages.total[k + 1, 0, to]
            relaxed += named.relaxed[k, place]
            even_total[to] += here
            even_best[to] = max(even_best[to], arrive[g] + named.branch[k, place])
        if share:
            beam, count, dropped = _preferred(
                trellis, stages, even, k, size, arrive, lowest - each[k], extra, beam, spare
            )
            spare = Beam(np.empty(room, np.int64), np.empty(room), np.empty(room), np.empty(room, np.int64))
            unnamed = max(unnamed, dropped + each[k])
            known = np.sort(named.word[k, :n_words])
            for i in range(count):
                place = np.searchsorted(known, beam.word[i])
                if place < n_words and known[place] == beam.word[i]:
                    continue
                place = named.count[k]
                g = _name(trellis, stages, named, k, place, beam.word[i], each[k])
                named.relaxed[k, place] = mass[g] * named.weight[k, place] * stages.total[k + 1, 0, named.to[k, place]]
                named.count[k] += 1
        for place in range(named.count[k]):
            named.relaxed[k, place] /= max(relaxed, TINY)
        held = np.zeros(n_states, np.int64)
        for place in range(named.count[k]):
            g = named.word[k, place] >> (trellis.width - trellis.memory)
            stages.words[k, g, held[g]] = named.word[k, place]
            stages.rest[k, g, held[g]] = named.branch[k, place] + stages.after[k + 1, named.to[k, place]]
            held[g] += 1
        for g in range(n_states):
            stages.counts[k, g] = sort_places(stages.rest[k, g, : held[g]], lowest - arrive[g], stages.members[k, g])
        best[:], total[:] = even_best, even_total / max(even_total.max(), TINY)
    return unnamed


@kernel(error_model="numpy")
def decode_packets_of_named_words(
    steps: np.ndarray, words: np.ndarray, log_priors: np.ndarray, each: np.ndarray, size: int, zeros: np.ndarray,
    trellis: Trellis, list_size: int, reach: float, extra: int, tokens: np.ndarray, log_odds: np.ndarray,
    evidence: np.ndarray, left_out: np.ndarray, left_out_bound: np.ndarray, exact: np.ndarray, lengths: np.ndarray,
    marginals: np.ndarray, marginal_words: np.ndarray,
) -> None:  # fmt: skip
    """List-decode packets one after the other, as `token_trellis.decode_packets`.

    Args:
        words: int32 (n, n_tokens, m), the words that the prior names.
        log_priors: float32 of that shape.
        each: float32 (n, n_tokens), log-prior of every other word.
        size: words of the codebook.
        extra: at most this many words per token are named because the channel prefers them.
        marginals, marginal_words: (n, n_tokens, m + extra), posteriors of the named words, and the words, padded with
            -1.
    """
    n_tokens, n_states = words.shape[1], trellis.outputs.shape[0]
    room = words.shape[2] + extra
    stages = Stages(
        np.empty(steps.shape[1:]), np.empty(steps.shape[1:]),
        np.empty((n_tokens, n_states, n_states)), np.empty((n_tokens, n_states, n_states)),
        np.empty((0, 0, 0)), np.empty((0, 0, 0)), np.empty((n_tokens, n_states, room)),
        np.empty((n_tokens, n_states, room), np.int32), np.empty((n_tokens, n_states, room), np.int32),
        np.empty((n_tokens, n_states), np.int64), np.empty((n_tokens + 1, n_states)),
        np.empty((n_tokens + 1, 2, n_states)), np.empty((0, 0)),
    )  # fmt: skip
    even = Even(
        np.empty((n_tokens, 2, trellis.width + 1, n_states)), np.empty((n_tokens, 2, 2, trellis.width + 1, n_states))
    )
    of_words = (n_tokens, room)
    named = Named(
        np.empty(of_words, np.int64), np.empty(of_words, np.int64), np.empty(of_words), np.empty(of_words),
        np.empty(of_words), np.empty(of_words), np.empty(n_tokens, np.int64),
    )  # fmt: skip
    paths = room_for_paths(list_size, n_tokens)
    first = n_tokens * trellis.width
    for p in range(len(steps)):
        end_scale = begin(trellis, stages, steps[p], first)
        scale = _backward(trellis, stages, even, named, words[p], log_priors[p], each[p], size, end_scale)
        unnamed = _forward(trellis, stages, even, named, each[p], size, reach, extra)
        winner, exact[p] = search(trellis, stages, first, zeros[p], list_size, reach, paths)
        top, mass, outside, log_odds[p], left_out_bound[p] = weigh(stages, paths, winner, scale, end_scale)
        exact[p] = exact[p] and top >= unnamed
        evidence[p] = top + np.log(mass)
        left_out[p] = outside / mass
        lengths[p] = paths.level[n_tokens + 1] - paths.level[n_tokens]
        marginal_words[p], marginals[p] = -1, 0.0
        for k in range(n_tokens):
            order = np.argsort(named.word[k, : named.count[k]])
            for place in range(named.count[k]):
                marginal_words[p, k, place] = named.word[k, order[place]]
                marginals[p, k, place] = named.relaxed[k, order[place]] * outside / mass
        for i in range(paths.level[n_tokens], paths.level[n_tokens + 1]):
            share, node = np.exp(paths.whole[i] - top) / mass, i
            for k in range(n_tokens - 1, -1, -1):
                place = np.searchsorted(marginal_words[p, k, : named.count[k]], paths.token[node])
                marginals[p, k, place] += share
                if i == winner:
                    tokens[p, k] = paths.token[node]
                node = paths.parent[node]
