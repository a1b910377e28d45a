"""Whether a model tells which pictures it was trained on: membership inference by a threshold of the loss.

Yeom et al., "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting", CSF 2018.
"""

import numpy as np


def membership_advantage(members: np.ndarray, others: np.ndarray, seed: int = 0) -> dict:
    """Advantage over chance in telling the members of a training set from others by their losses.

    The threshold is chosen on a random half of either set, and the advantage measured on the other half.

    Args:
        members: float (n,), losses of pictures that the model was trained on.
        others: float (m,), of pictures of the same kind that it was not.
        seed: of the halves.

    Returns:
        "advantage": share of members below the threshold less that of others, 0 by chance and 1 at best, with its
        "standard_error"; "auc": chance that a member has the smaller loss of a pair.
    """
    rng = np.random.default_rng(seed)
    (known, asked), (known_others, asked_others) = (
        np.array_split(rng.permutation(np.asarray(each, float)), 2) for each in (members, others)
    )
    thresholds = np.sort(np.concatenate([known, known_others]))
    gains = [np.mean(known <= value) - np.mean(known_others <= value) for value in thresholds]
    threshold = thresholds[int(np.argmax(gains))]
    hit, miss = np.mean(asked <= threshold), np.mean(asked_others <= threshold)
    error = np.sqrt(hit * (1 - hit) / len(asked) + miss * (1 - miss) / len(asked_others))
    pairs = np.asarray(members, float)[:, None] - np.asarray(others, float)
    return {
        "advantage": round(float(hit - miss), 4),
        "standard_error": round(float(error), 4),
        "auc": round(float(np.mean(pairs < 0) + np.mean(pairs == 0) / 2), 4),
    }
