"""Levels of noise as hidden states of Markov chains: one along the OFDM symbols, and one for every carrier
(forward-backward algorithm; Rabiner, Proc. IEEE 77(2), 1989)."""

import numpy as np

from tokcom.kernels import kernel
from tokcom.phy.noise_likelihoods import USUAL

STAY = 0.95
"""Probability that an OFDM symbol is as loud as the one before."""
RETURN = 0.3
"""Share of changes that go to the usual level."""
CARRIER_STAY = 0.98
CARRIER_USUAL = 0.9
"""Prior probability that a carrier is as loud as the others."""
SUSPICION = 4.0
"""Evidence in nepers for louder noise on a stretch of a carrier, above which its states are estimated."""
BOUND = np.float32(6)
"""Largest evidence of one cell against a level, in nepers: if a few carriers of a symbol are hit, the others decide."""
STEP_CELLS = 20.0
"""Prior weight, in cells, of a level being on its step; otherwise it is moved to the noise between the steps."""
SURE = 0.25
"""Largest distance, in steps, of a symbol's mean level from a step for it to be moved."""
FARTHEST = 0.6
"""Largest move in steps."""


@kernel
def chain_levels(likelihood: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Estimate log2 of the noise of each symbol, (n,), relative to the usual, and of each carrier along the symbols,
    (n, 52), relative to that of the symbols; return them and the evidence."""
    said = np.empty_like(likelihood)
    for t in range(said.shape[0]):
        for i in range(said.shape[1]):
            least = likelihood[t, i, 0]
            for state in range(1, said.shape[2]):
                least = max(least, likelihood[t, i, state])
            least -= BOUND
            for state in range(said.shape[2]):
                said[t, i, state] = max(likelihood[t, i, state], least)
    carriers = np.zeros(said.shape[:2])
    rows, evidence = _rows(said, carriers)
    for _ in range(2):
        before, carriers = carriers, _carriers(said, rows)
        # Rounded to steps, which are all that the other chain uses, they may be unchanged.
        if (np.rint(carriers) == np.rint(before)).all():
            break
        rows, evidence = _rows(said, carriers)
    return rows, carriers, evidence


@kernel
def _rows(likelihood, carriers):
    """Estimate log2 of the noise of each symbol relative to the usual, and the evidence, given the carriers' excess (n,
    52) in powers of two."""
    n, k, states = likelihood.shape
    emission = np.zeros((n, states))
    for t in range(n):
        for i in range(k):
            louder = int(np.rint(carriers[t, i]))
            for state in range(states - louder):
                emission[t, state] += likelihood[t, i, state + louder]
            for state in range(states - louder, states):
                emission[t, state] += likelihood[t, i, states - 1]
    start = np.full(states, 0.5 / (states - 1))
    start[USUAL] = 0.5
    jump = np.full(states, (1 - RETURN) / (states - 1))
    jump[USUAL] = RETURN
    mean, evidence = _chain(emission.copy(), start, STAY, jump)
    _between(emission, mean)
    return mean - USUAL, evidence


@kernel
def _between(emission, mean):
    """Refine levels between the steps, by one value per run of symbols on the same step.

    The log-likelihood of n errors whose mean square is r times the variance is -n (x log 2 + r 2**-x) at x steps of a
    factor 2; r follows from its difference and curvature at -1, 0 and 1.
    """
    n, states = emission.shape
    first = 0
    while first < n:
        state = int(np.rint(mean[first]))
        last = first
        while last < n and int(np.rint(mean[last])) == state:
            last += 1
        if 0 < state < states - 1:
            below, here, above = 0.0, 0.0, 0.0
            for t in range(first, last):
                below += emission[t, state - 1]
                here += emission[t, state]
                above += emission[t, state + 1]
            curvature = 2 * here - below - above + 0.5 * STEP_CELLS
            difference = above - below + (1.5 - 2 * np.log(2)) * STEP_CELLS
            if curvature > 0 and 3 * curvature > difference:
                move = np.log2(4 * np.log(2) * curvature / (3 * curvature - difference))
                for t in range(first, last):
                    if abs(mean[t] - state) < SURE:
                        mean[t] = state + min(max(move, -FARTHEST), FARTHEST)
        first = last


@kernel
def _carriers(likelihood, rows):
    """Estimate log2 of the noise of each carrier along the symbols, relative to that of the symbols, float64 (n,
    52)."""
    n, k, states = likelihood.shape
    louder = states - USUAL
    start = np.full(louder, (1 - CARRIER_USUAL) / (louder - 1))
    start[0] = CARRIER_USUAL
    emission, out = np.empty((n, louder)), np.zeros((n, k))
    for i in np.flatnonzero(_suspects(likelihood, rows)):
        for t in range(n):
            state = int(np.rint(rows[t])) + USUAL
            for j in range(louder):
                emission[t, j] = likelihood[t, i, min(state + j, states - 1)]
        out[:, i] = _chain(emission, start, CARRIER_STAY, start)[0]
    return out


@kernel
def _suspects(likelihood, rows):
    """Find carriers, bool (52,), on which any stretch of symbols indicates a state other than the first one by more
    than chance."""
    n, k, states = likelihood.shape
    suspects, stretch = np.zeros(k, np.bool_), np.zeros((k, states))
    for t in range(n):
        state = int(np.rint(rows[t])) + USUAL
        for i in range(k):
            most = 0.0
            for j in range(states - USUAL):
                told = likelihood[t, i, min(state + j, states - 1)] - likelihood[t, i, state]
                stretch[i, j] = max(stretch[i, j] + told, 0.0)
                most = max(most, stretch[i, j])
            suspects[i] |= most > SUSPICION
    return suspects


@kernel(fastmath=True)
def _chain(emission, start, stay, jump):
    """Compute the mean state of a Markov chain at each step, and the log-evidence. emission: log-likelihoods (n,
    states), replaced by likelihoods relative to the largest; start, jump: probabilities of states initially and after a
    change."""
    n, states = emission.shape
    forward, mean = np.empty((n, states)), np.empty(n)
    evidence = 0.0
    for t in range(n):
        peak = emission[t].max()
        total = 0.0
        for i in range(states):
            prior = start[i] if t == 0 else stay * forward[t - 1, i] + (1 - stay) * jump[i]
            emission[t, i] = np.exp(np.float32(emission[t, i] - peak))
            forward[t, i] = prior * emission[t, i]
            total += forward[t, i]
        inverse = 1 / total
        for i in range(states):
            forward[t, i] *= inverse
        evidence += peak + np.log(total)
    back = np.ones(states)
    for t in range(n - 1, -1, -1):
        total, mean[t], change = 0.0, 0.0, 0.0
        for i in range(states):
            posterior = forward[t, i] * back[i]
            total += posterior
            mean[t] += i * posterior
            back[i] *= emission[t, i]
            change += jump[i] * back[i]
        mean[t] /= total
        inverse = 1 / change
        for i in range(states):
            back[i] = stay * back[i] * inverse + (1 - stay)
    return mean, evidence
