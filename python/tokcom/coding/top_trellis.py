"""List decoding of tokens of large codebooks: the few words that matter are found, all others are summed up.

A token's first bits, as many as fill the encoder's memory, decide a state; its last bits decide the state that it leads
to, and those between join the two. So a word's metric is the sum of two small tables' entries and its log-prior, and a
pass over the words, without a branch, leaves for every pair of states the best word's metric and the sum of all. The
paths through these are those of the whole codebook. Only the words that lie on the best paths are then listed one by
one; the best path through any other word is known, and bounds what the list may miss.
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

BINS = 512
"""Bins of the histogram of words over their best path, from which the end of the list of words is read."""


class Words(NamedTuple):
    """All words of each token of a packet: word *w* has the first bits *g*, then bits *m*, then the last bits *l*."""

    prior: np.ndarray
    """float32 (n_tokens, words), log-probability; 2 * NEVER beyond the codebook."""
    share: np.ndarray
    """float64 of that shape, probability: what is not listed is a small difference of large sums."""
    middle: np.ndarray
    """(n_tokens, states, m), metric of bits m behind the state of g."""
    middle_likelihood: np.ndarray
    last: np.ndarray
    """(n_tokens, states, l), metric of bits l behind the state of g and m."""
    last_likelihood: np.ndarray
    best: np.ndarray
    """(n_tokens, states, l), metric of the best of all words of g and l, behind g."""
    total: np.ndarray
    """Sum of prior times likelihood over all of them, in that shape."""


class Chosen(NamedTuple):
    """Words that are looked at one by one, by token, rising."""

    word: np.ndarray
    relaxed: np.ndarray
    """Posterior before the check has its say."""
    count: np.ndarray


@kernel(error_model="numpy")
def _write_out(words, k, named, log_priors, each, levels, scale):
    """Set the prior of every word of token k."""
    prior, share = words.prior[k], words.share[k]
    if len(levels):
        for word in range(len(levels)):
            prior[word], share[word] = scale[0, levels[word]], scale[1, levels[word]]
    else:
        prior[:] = max(each, np.float32(2 * NEVER))
        share[:] = np.exp(np.float64(each))
    for place in range(len(named)):
        prior[named[place]] = max(log_priors[place], np.float32(2 * NEVER))
        share[named[place]] = np.exp(np.float64(log_priors[place]))


@kernel(error_model="numpy")
def _gather(trellis, words, k, size):
    """Set best and total of token k."""
    mask, n_last = trellis.outputs.shape[0] - 1, words.last.shape[2]
    n_middle = words.middle.shape[2]
    words.best[k], words.total[k] = 2 * NEVER, 0.0
    for base in range(0, size, n_last):
        prefix = base // n_last
        g, m = prefix // n_middle, prefix % n_middle
        state = prefix & mask
        metric, factor = words.middle[k, g, m], words.middle_likelihood[k, g, m]
        last, likelihood = words.last[k, state], words.last_likelihood[k, state]
        prior, share = words.prior[k, base : base + n_last], words.share[k, base : base + n_last]
        best, total = words.best[k, g], words.total[k, g]
        for end in range(n_last):
            value = metric + last[end] + prior[end]
            best[end] = value if value > best[end] else best[end]
            total[end] += factor * likelihood[end] * share[end]


@kernel(error_model="numpy")
def _backward(trellis, stages, words, size, scale):
    """For every state before a token the best end and the sum of all; returns the scale."""
    n_tokens, n_states, n_last = words.best.shape
    mask, memory, rest = n_states - 1, trellis.memory, trellis.width - trellis.memory
    last_bits = min(rest, memory)
    groups = (size - 1 >> rest) + 1
    for k in range(n_tokens - 1, -1, -1):
        first = k * trellis.width
        step, likelihood, outputs = stages.step, stages.likelihood, trellis.outputs
        grow(step, likelihood, outputs, first, memory, stages.start[k], stages.start_likelihood[k])
        grow(
            step, likelihood, outputs, first + memory, rest - last_bits, words.middle[k], words.middle_likelihood[k]
        )  # fmt: skip
        grow(
            step, likelihood, outputs, first + trellis.width - last_bits, last_bits, words.last[k],
            words.last_likelihood[k],
        )  # fmt: skip
        _gather(trellis, words, k, size)
        best, total = np.full(n_states, 2 * NEVER), np.zeros((2, n_states))
        for g in range(groups):
            for end in range(n_last):
                to = ((g << last_bits) | end) & mask
                best[g] = max(best[g], words.best[k, g, end] + stages.after[k + 1, to])
                for row in range(2):
                    total[row, g] += words.total[k, g, end] * stages.total[k + 1, row, to]
        for s in range(n_states):
            stages.after[k, s], stages.total[k, :, s] = 2 * NEVER, 0.0
            for g in range(groups):
                stages.after[k, s] = max(stages.after[k, s], stages.start[k, s, g] + best[g])
                for row in range(2):
                    stages.total[k, row, s] += stages.start_likelihood[k, s, g] * total[row, g]
        peak = max(stages.total[k].max(), TINY)
        stages.total[k] /= peak
        scale += np.log(peak)
    return scale


@kernel(error_model="numpy")
def _choose(trellis, stages, words, chosen, k, size, arrive, reach):
    """The words of token k on the best paths, as many as there is room for; returns a bound on the metric of paths with
    any other."""
    mask, n_last = trellis.outputs.shape[0] - 1, words.last.shape[2]
    n_middle, last_bits = words.middle.shape[2], min(trellis.width - trellis.memory, trellis.memory)
    top, room = stages.after[0, 0], chosen.word.shape[1]
    ends = np.empty_like(words.last[k])
    for state in range(mask + 1):
        for end in range(n_last):
            ends[state, end] = words.last[k, state, end] + stages.after[k + 1, ((state << last_bits) | end) & mask]
    gaps, counts, width = np.empty(size, np.float32), np.zeros(BINS, np.int64), BINS / reach
    for base in range(0, size, n_last):
        prefix = base // n_last
        g = prefix // n_middle
        sofar = top - arrive[g] - words.middle[k, g, prefix % n_middle]
        own, prior = ends[prefix & mask], words.prior[k]
        for word in range(base, min(base + n_last, size)):
            gaps[word] = (sofar - own[word - base] - prior[word]) * width
    for word in range(size):
        if gaps[word] < BINS:
            counts[max(int(gaps[word]), 0)] += 1
    within, last_bin = 0, 0
    while last_bin < BINS and within + counts[last_bin] <= room:
        within += counts[last_bin]
        last_bin += 1
    count = 0
    # Of equals beyond the room, the first are as good as any.
    limit = max(last_bin, 1)
    for word in range(size):
        if gaps[word] < limit and count < room:
            chosen.word[k, count] = word
            count += 1
    chosen.count[k] = count
    return top - last_bin / width if last_bin < BINS else NEVER


@kernel(error_model="numpy")
def _forward(trellis, stages, words, chosen, size, reach):
    """Choose words, sort each group's, and set their relaxed posteriors.

    Returns a bound on the metric of paths with a word that was not chosen.
    """
    n_tokens, n_states, n_last = words.best.shape
    mask, rest = n_states - 1, trellis.width - trellis.memory
    last_bits = min(rest, trellis.memory)
    groups, n_middle = (size - 1 >> rest) + 1, words.middle.shape[2]
    best, mass = np.full(n_states, 2 * NEVER), np.zeros(n_states)
    best[0], mass[0] = 0.0, 1.0
    arrive, come = np.empty(n_states), np.empty(n_states)
    lowest, missed = stages.after[0, 0] - reach, NEVER
    for k in range(n_tokens):
        for g in range(n_states):
            arrive[g], come[g] = 2 * NEVER, 0.0
            for s in range(n_states):
                arrive[g] = max(arrive[g], best[s] + stages.start[k, s, g])
                come[g] += mass[s] * stages.start_likelihood[k, s, g]
        missed = max(missed, _choose(trellis, stages, words, chosen, k, size, arrive, reach))
        best[:], mass[:], relaxed = 2 * NEVER, 0.0, 0.0
        for g in range(groups):
            for end in range(n_last):
                to = ((g << last_bits) | end) & mask
                here = come[g] * words.total[k, g, end]
                best[to] = max(best[to], arrive[g] + words.best[k, g, end])
                mass[to] += here
                relaxed += here * stages.total[k + 1, 0, to]
        mass /= max(mass.max(), TINY)
        held = np.zeros(n_states, np.int64)
        for place in range(chosen.count[k]):
            word = chosen.word[k, place]
            prefix, end, to = word // n_last, word % n_last, word & mask
            g, m, state = prefix // n_middle, prefix % n_middle, prefix & mask
            likelihood = words.middle_likelihood[k, g, m] * words.last_likelihood[k, state, end] * words.share[k, word]
            chosen.relaxed[k, place] = come[g] * likelihood * stages.total[k + 1, 0, to] / max(relaxed, TINY)
            metric = words.middle[k, g, m] + words.last[k, state, end] + words.prior[k, word]
            stages.words[k, g, held[g]] = word
            stages.rest[k, g, held[g]] = metric + stages.after[k + 1, to]
            held[g] += 1
        for g in range(n_states):
            stages.counts[k, g] = sort_places(stages.rest[k, g, : held[g]], lowest - arrive[g], stages.members[k, g])
    return missed


@kernel(error_model="numpy")
def decode_packets_of_named_words(
    steps: np.ndarray, named: np.ndarray, log_priors: np.ndarray, each: np.ndarray, levels: np.ndarray,
    scale: np.ndarray, size: int, zeros: np.ndarray, trellis: Trellis, list_size: int, reach: float,
    tokens: np.ndarray, log_odds: np.ndarray, evidence: np.ndarray, left_out: np.ndarray, left_out_bound: np.ndarray,
    exact: np.ndarray, lengths: np.ndarray, log_share: np.ndarray, marginals: np.ndarray, marginal_words: np.ndarray,
) -> None:  # fmt: skip
    """List-decode packets one after the other, as `token_trellis.decode_packets`.

    Args:
        named: int32 (n, n_tokens, m), the words that the prior names.
        log_priors: float32 of that shape.
        each: float32 (n, n_tokens), of every other word, where there are no levels.
        levels: uint8 (n, n_tokens, size), of every word, as `Prediction` has them; or (n, n_tokens, 0).
        scale: float64 (2, 256), log-probability and probability of each level.
        size: words of the codebook.
        marginals, marginal_words: (n, n_tokens, room), the words on the best paths and their posteriors; -1 where there
            are no more.
    """
    n_tokens, n_states, room = named.shape[1], trellis.outputs.shape[0], marginals.shape[2]
    rest = trellis.width - trellis.memory
    n_last, n_middle = 1 << min(rest, trellis.memory), 1 << max(rest - trellis.memory, 0)
    of_states, of_words = (n_tokens, n_states, n_states), (n_tokens, n_states, room)
    stages = Stages(
        np.empty(steps.shape[1:]), np.empty(steps.shape[1:]), np.empty(of_states), np.empty(of_states),
        np.empty((0, 0, 0)), np.empty((0, 0, 0)), np.empty(of_words), np.empty(of_words, np.int32),
        np.empty(of_words, np.int32), np.empty((n_tokens, n_states), np.int64), np.empty((n_tokens + 1, n_states)),
        np.empty((n_tokens + 1, 2, n_states)), np.empty((0, 0)),
    )  # fmt: skip
    of_middle, of_last = (n_tokens, n_states, n_middle), (n_tokens, n_states, n_last)
    padded = -(-size // n_last) * n_last
    words = Words(
        np.full((n_tokens, padded), np.float32(2 * NEVER)), np.zeros((n_tokens, padded)),
        np.empty(of_middle), np.empty(of_middle), np.empty(of_last), np.empty(of_last), np.empty(of_last),
        np.empty(of_last),
    )  # fmt: skip
    chosen = Chosen(np.empty((n_tokens, room), np.int64), np.empty((n_tokens, room)), np.empty(n_tokens, np.int64))
    paths = room_for_paths(list_size, n_tokens)
    first = n_tokens * trellis.width
    for p in range(len(steps)):
        end_scale = begin(trellis, stages, steps[p], first)
        for k in range(n_tokens):
            _write_out(words, k, named[p, k], log_priors[p, k], each[p, k], levels[p, k], scale)
            words.prior[k, size:], words.share[k, size:] = 2 * NEVER, 0.0
        whole_scale = _backward(trellis, stages, words, size, end_scale)
        missed = _forward(trellis, stages, words, chosen, size, reach)
        winner, exact[p] = search(trellis, stages, first, zeros[p], list_size, reach, paths)
        top, mass, outside, log_odds[p], left_out_bound[p], lead = weigh(stages, paths, winner, whole_scale, end_scale)
        log_share[p] = lead - trellis.check_width * np.log(2.0)
        exact[p] = exact[p] and top >= missed
        evidence[p] = top + np.log(mass)
        left_out[p] = outside / mass
        lengths[p] = paths.level[n_tokens + 1] - paths.level[n_tokens]
        marginal_words[p], marginals[p] = -1, 0.0
        for k in range(n_tokens):
            for place in range(chosen.count[k]):
                marginal_words[p, k, place] = chosen.word[k, place]
                marginals[p, k, place] = chosen.relaxed[k, place] * outside / mass
        for i in range(paths.level[n_tokens], paths.level[n_tokens + 1]):
            share, node = np.exp(paths.whole[i] - top) / mass, i
            for k in range(n_tokens - 1, -1, -1):
                place = np.searchsorted(chosen.word[k, : chosen.count[k]], paths.token[node])
                marginals[p, k, place] += share
                if i == winner:
                    tokens[p, k] = paths.token[node]
                node = paths.parent[node]
