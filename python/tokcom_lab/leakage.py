"""Information about content in the shape of bursts, for an observer without the key.

Semantic MCS gives predictable packets less protection, and header and length of a burst are in clear. A classifier is
trained on what can be seen from outside, and asked for the class of pictures, or the kind of texts, that it has not
seen.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch

from tokcom.adaptation.residual import ResidualModel
from tokcom.link.adaptation import AdaptationConfig, Choice, LinkAdapter
from tokcom.link.transmitter import TransmitConfig
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.predictability_samples import Sample

TAG_BITS = 32
FOLDS = 5
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BISECTIONS = 12


def observed(choice: Choice) -> np.ndarray:
    """Features of a burst that are visible without a key: packets of each MCS, airtime and signalling, float64
    (18,)."""
    packets = np.bincount(choice.mcs, minlength=MCS_NOT_SENT + 1)
    return np.array([*packets, choice.airtime, choice.signalling_bits], float)


def told_apart(choices: Sequence[Choice]) -> float:
    """Share of right answers of an observer who knows two of the frames and is asked which was sent, over all pairs:
    1 if no two bursts have the same MCS in the same order and the same length, 1/2 if all have."""
    shapes = Counter((choice.mcs.tobytes(), choice.airtime, choice.signalling_bits) for choice in choices)
    total = len(choices) * (len(choices) - 1)
    return 1 - sum(count * (count - 1) for count in shapes.values()) / total / 2


def accuracy(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Share of the test set whose class logistic regression on values and their squares finds; its penalty is chosen on
    the training set alone.

    Args:
        train: float (n, features).
        train_labels: int (n,), 0 to classes - 1.
        test, test_labels: of the same kind.
    """
    centre, spread = train.mean(axis=0), train.std(axis=0)
    used = spread > 0
    if not used.any():
        # Nothing differs: the commonest class is the best guess.
        return float(np.mean(test_labels == np.bincount(train_labels).argmax()))

    def features(values: np.ndarray) -> np.ndarray:
        plain = (values[:, used] - centre[used]) / spread[used]
        return np.concatenate([plain, plain**2 - 1], axis=1)

    inside, outside = features(train), features(test)
    fold = np.arange(len(inside)) % FOLDS
    scores = [
        np.mean(
            [
                np.mean(
                    _predicted(_fitted(inside[fold != k], train_labels[fold != k], penalty), inside[fold == k])
                    == train_labels[fold == k]
                )
                for k in range(FOLDS)
            ]
        )
        for penalty in PENALTIES
    ]
    weights = _fitted(inside, train_labels, PENALTIES[int(np.argmax(scores))])
    return float(np.mean(_predicted(weights, outside) == test_labels))


def leakage(
    train: Sample, test: Sample, residual: ResidualModel, esn0_db: Sequence[float], *,
    config: TransmitConfig | None = None, bound: float = 0.02, progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Rate at which a classifier finds the kind of frames from the shape of their bursts, adapted to their content and
    of one shape for all, and at which an observer who knows two frames of the test sample can tell which was sent.

    The one shape is that of the smallest assumed predictability with which training frames are expected to have no
    more wrong tokens on average than with adapted shapes.

    Args:
        train: frames that the classifier learns from, and the shape is chosen with.
        test: other frames.
        residual: errors that the policy expects.
        esn0_db: Es/N0 of the channel.
        config: of the transmitter; None for that of pictures.
        bound: of the semantic policy.
        progress: called with the number of values of Es/N0 done since the last call.
    """
    rows = []
    for value in esn0_db:
        adapted = _adapter(residual, config, bound)
        inside, outside = _choices(adapted, train, value), _choices(adapted, test, value)
        wrong = np.mean([each.expected_ter for each in inside])
        rows.append(_row("adapted", value, inside, train, outside, test))
        rows[-1]["expected_ter"] = round(float(np.mean([each.expected_ter for each in outside])), 5)
        constant = _constant(residual, config, bound, train, value, wrong)
        one, other = _choices(constant, train, value), _choices(constant, test, value)
        rows.append(_row("constant", value, one, train, other, test))
        rows[-1] |= {
            "expected_ter": round(float(_expected(constant, test, value)), 5),
            "assumed_bits": constant.config.assumed_bits,
            "airtime_over_adapted": round(rows[-1]["airtime_samples"] / rows[-2]["airtime_samples"] - 1, 4),
        }
        progress(1)
    return rows


def _adapter(
    residual: ResidualModel, config: TransmitConfig | None, bound: float, assumed_bits: float | None = None
) -> LinkAdapter:
    policy = AdaptationConfig("semantic", bound=bound, assumed_bits=assumed_bits)
    return LinkAdapter(policy, config, _Unasked(), residual, tag_bits=TAG_BITS)


class _Unasked:
    """In place of a prior that nobody asks, for predictability is at hand."""


def _constant(
    residual: ResidualModel, config: TransmitConfig | None, bound: float, sample: Sample, esn0_db: float, wrong: float
) -> LinkAdapter:
    """The adapter of one shape, the shortest with which a sample's expected share of wrong tokens is not above."""
    low, high = 0.05, 20.0
    for _ in range(BISECTIONS):
        middle = float(np.sqrt(low * high))
        if _expected(_adapter(residual, config, bound, middle), sample, esn0_db) <= wrong:
            high = middle
        else:
            low = middle
    return _adapter(residual, config, bound, round(high, 3))


def _expected(adapter: LinkAdapter, sample: Sample, esn0_db: float) -> float:
    """Expected share of wrong tokens where all frames of a sample are sent alike."""
    choice, esn0 = _choices(adapter, sample, esn0_db, 1)[0], np.array([esn0_db])
    found = [
        adapter.expected_ter(frame, choice, esn0, bits) for frame, bits in zip(sample.frames, sample.bits, strict=True)
    ]
    return float(np.mean(found))


def _choices(adapter: LinkAdapter, sample: Sample, esn0_db: float, count: int | None = None) -> list[Choice]:
    return [
        adapter.choose(frame, 0, np.array([esn0_db]), bits=bits)
        for frame, bits in zip(sample.frames[:count], sample.bits[:count], strict=True)
    ]


def _row(
    shape: str, esn0_db: float, train: list[Choice], train_sample: Sample, test: list[Choice], test_sample: Sample
) -> dict:
    seen = [np.stack([observed(each) for each in choices]) for choices in (train, test)]
    found = accuracy(seen[0], train_sample.labels, seen[1], test_sample.labels)
    chance = float(np.mean(test_sample.labels == np.bincount(train_sample.labels).argmax()))
    return {
        "shape": shape,
        "esn0_db": esn0_db,
        "accuracy": round(found, 4),
        "chance": round(chance, 4),
        "standard_error": round(float(np.sqrt(found * (1 - found) / len(test))), 4),
        "pairs": round(told_apart(test), 4),
        "airtime_samples": round(float(np.mean([each.airtime for each in test])), 1),
    }


def _fitted(features: np.ndarray, labels: np.ndarray, penalty: float) -> torch.Tensor:
    """Weights (features + 1, classes) of a multinomial logistic regression."""
    values = torch.from_numpy(np.c_[features, np.ones(len(features))])
    wanted = torch.from_numpy(np.asarray(labels, np.int64))
    weights = torch.zeros(values.shape[1], int(labels.max()) + 1, dtype=values.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.cross_entropy(values @ weights, wanted) + penalty * (weights[:-1] ** 2).sum()
        total.backward()
        return total

    optimizer.step(loss)
    return weights.detach()


def _predicted(weights: torch.Tensor, features: np.ndarray) -> np.ndarray:
    return (torch.from_numpy(np.c_[features, np.ones(len(features))]) @ weights).argmax(dim=1).numpy()
