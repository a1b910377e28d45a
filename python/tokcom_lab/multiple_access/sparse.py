"""Receivers that take a slot for a sparse vector: orthogonal matching pursuit with clustering, and approximate message
passing. Neither asks a prior while it detects."""

import numpy as np

from tokcom.frame import LOST
from tokcom.multiple_access.receiver import MultiUserObservation

AMP_ITERATIONS = 15
DAMPING = 0.3


def matching_pursuit(observed: MultiUserObservation) -> np.ndarray:
    """Tokens by orthogonal matching pursuit: in each slot as many words as there are users, each with its channel by
    least squares; a word is the user's whose channel it has. LOST where two words are one user's.

    As in ToDMA (arXiv 2505.10946), but that the clusters' centres are known from pilots.

    Returns:
        int32 (users, n_slots).
    """
    vectors, channels = observed.plan.codebook.vectors, observed.channels
    users, slots = channels.shape[:2]
    out = np.full((users, slots), LOST, np.int32)
    for slot in range(slots):
        atoms = channels[:, slot, None] * vectors  # (users, words, length)
        flat = atoms.reshape(-1, vectors.shape[1])
        norms = np.linalg.norm(flat, axis=1) + 1e-9
        residue, chosen = observed.values[slot], []
        for _ in range(users):
            match = np.abs(flat.conj() @ residue) / norms
            match[chosen] = 0
            chosen.append(int(np.argmax(match)))
            basis = flat[chosen].T
            gains = np.linalg.lstsq(basis, observed.values[slot], rcond=None)[0]
            residue = observed.values[slot] - basis @ gains
        # A word that one user's channel explains has a gain of 1 there.
        for place, _ in sorted(zip(chosen, gains, strict=True), key=lambda pair: abs(pair[1] - 1)):
            user, word = divmod(place, len(vectors))
            if out[user, slot] == LOST:
                out[user, slot] = word
    return out


def message_passing(observed: MultiUserObservation) -> np.ndarray:
    """Tokens by approximate message passing over the users' sections of a sparse vector, one word in each (the decoder
    of sparse regression codes, Rush et al. 2017).

    Returns:
        int32 (users, n_slots).
    """
    vectors = observed.plan.codebook.vectors
    scale = 1 / np.sqrt(observed.noise)
    y, h = observed.values * scale, observed.channels * scale
    users, slots, length = h.shape
    share = np.full((users, slots, len(vectors)), 1 / len(vectors), np.float32)
    residue, spread = y.copy(), np.ones((slots, length))
    power = np.abs(h) ** 2
    squares = (np.abs(vectors) ** 2).T
    for _ in range(AMP_ITERATIONS):
        # Pseudo-data of each section: its own mean plus the matched residue, in noise of the residue's variance.
        mean = h * np.einsum("ksw,wl->ksl", share, vectors)
        inner = np.einsum("ksl,wl->ksw", (h.conj() * (residue + mean) / spread).astype(np.complex64), vectors.conj())
        scores = 2 * inner.real - (power / spread).astype(np.float32) @ squares
        scores -= scores.max(axis=2, keepdims=True)
        new = np.exp(scores)
        new /= new.sum(axis=2, keepdims=True)
        share = (DAMPING * share + (1 - DAMPING) * new).astype(np.float32)
        mean = h * np.einsum("ksw,wl->ksl", share, vectors)
        # Of each section, energy that is not yet decided.
        open_energy = power * (1 - (share**2).sum(axis=2))[..., None]
        onsager = (open_energy.sum(axis=0) / spread) * residue
        residue = y - mean.sum(axis=0) + DAMPING * onsager / length
        spread = 1 + open_energy.sum(axis=0)
    return share.argmax(axis=2).astype(np.int32)
