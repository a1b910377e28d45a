"""Information about content in the shape of bursts, for an observer without the key.

Semantic MCS gives predictable packets less protection, and header and length of a burst are in clear. A classifier is
trained on what can be seen from outside, and asked for the class of pictures that it has not seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokcom.adaptation.predictability import token_bits
from tokcom.adaptation.residual import ResidualModel
from tokcom.frame import TokenFrame
from tokcom.link.adaptation import AdaptationConfig, Choice, LinkAdapter
from tokcom.models.card import CONTEXT
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, key_of, model_content

TAG_BITS = 32
FOLDS = 5
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BISECTIONS = 12
BATCH = 16
"""Pictures whose predictability is computed before the results are saved."""


@dataclass(frozen=True)
class Sample:
    """Pictures of some classes as they are sent.

    Attributes:
        tokens: int32 (n, rows, columns).
        bits: float32 (n, n_tokens), predictability of each token without a label.
        labels: int (n,), 0 to the number of classes - 1.
    """

    tokens: np.ndarray
    bits: np.ndarray
    labels: np.ndarray


def sample_of(
    pictures: np.ndarray, labels: np.ndarray, model: str, part: str = CONTEXT, *, cache: str | Path = FOLDER,
    progress: Callable[[int], None] = lambda done: None,
) -> Sample:  # fmt: skip
    """Tokens of pictures and their predictability, computed once and cached.

    Args:
        pictures: uint8 (n, size, size, 3).
        labels: int (n,).
        model: name or folder of the model.
        part: the prior: `card.CONTEXT` or `card.SMALL_CONTEXT`.
        cache: folder of the cache.
        progress: called with the number of pictures done since the last call.

    Raises:
        ModelError: the model lacks a part.
    """
    tokenizer, prior = load_tokenizer(model, visits=0, device="cpu"), load_context(model, "cpu", part)
    content = [model_content(model), part, code_of("tokcom.context", "tokcom.adaptation"), "leakage"]
    names, made = [key_of(content, picture) for picture in pictures], {}
    table = Table(Path(cache) / RESULTS, "leakage")
    for name, _, data in table.find(names):
        made[name] = np.frombuffer(data, np.float32)
    unknown = [number for number, name in enumerate(names) if name not in made]
    progress(len(names) - len(unknown))
    tokens = np.concatenate([tokenizer.encode(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)])
    for start in range(0, len(unknown), BATCH):
        rows = unknown[start : start + BATCH]
        new = {names[row]: token_bits(prior, _frame(tokens[row], model)).astype(np.float32) for row in rows}
        table.add({name: ({}, bits.tobytes()) for name, bits in new.items()})
        made |= new
        progress(len(rows))
    table.close()
    return Sample(tokens, np.stack([made[name] for name in names]), np.asarray(labels))


def observed(choice: Choice) -> np.ndarray:
    """Features of a burst that are visible without a key: packets of each MCS, airtime and signalling, float64
    (18,)."""
    packets = np.bincount(choice.mcs, minlength=MCS_NOT_SENT + 1)
    return np.array([*packets, choice.airtime, choice.signalling_bits], float)


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
    train: Sample, test: Sample, model: str, esn0_db: Sequence[float], *, bound: float = 0.02,
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Rate at which a classifier finds the class of pictures from the shape of their bursts, adapted to their content
    and of one shape for all.

    The one shape is that of the smallest assumed predictability with which training pictures are expected to have no
    more wrong tokens on average than with adapted shapes.

    Args:
        train: pictures that the classifier learns from, and the shape is chosen with.
        test: other pictures.
        model: name or folder of the model.
        esn0_db: Es/N0 of the channel.
        bound: of the semantic policy.
        progress: called with the number of values of Es/N0 done since the last call.
    """
    residual, rows = load_residual(model), []
    for value in esn0_db:
        adapted = _adapter(residual, bound)
        inside, outside = _choices(adapted, train, model, value), _choices(adapted, test, model, value)
        wrong = np.mean([each.expected_ter for each in inside])
        rows.append(_row("adapted", value, inside, train, outside, test))
        rows[-1]["expected_ter"] = round(float(np.mean([each.expected_ter for each in outside])), 5)
        constant = _constant(residual, bound, train, model, value, wrong)
        one, other = _choices(constant, train, model, value), _choices(constant, test, model, value)
        rows.append(_row("constant", value, one, train, other, test))
        rows[-1] |= {
            "expected_ter": round(float(_expected(constant, test, model, value)), 5),
            "assumed_bits": constant.config.assumed_bits,
            "airtime_over_adapted": round(rows[-1]["airtime_samples"] / rows[-2]["airtime_samples"] - 1, 4),
        }
        progress(1)
    return rows


def _adapter(residual: ResidualModel, bound: float, assumed_bits: float | None = None) -> LinkAdapter:
    config = AdaptationConfig("semantic", bound=bound, assumed_bits=assumed_bits)
    return LinkAdapter(config, None, _Unasked(), residual, tag_bits=TAG_BITS)


class _Unasked:
    """In place of a prior that nobody asks, for predictability is at hand."""


def _constant(
    residual: ResidualModel, bound: float, sample: Sample, model: str, esn0_db: float, wrong: float
) -> LinkAdapter:
    """The adapter of one shape, the shortest with which a sample's expected share of wrong tokens is not above."""
    low, high = 0.05, 20.0
    for _ in range(BISECTIONS):
        middle = float(np.sqrt(low * high))
        if _expected(_adapter(residual, bound, middle), sample, model, esn0_db) <= wrong:
            high = middle
        else:
            low = middle
    return _adapter(residual, bound, round(high, 3))


def _expected(adapter: LinkAdapter, sample: Sample, model: str, esn0_db: float) -> float:
    """Expected share of wrong tokens where all frames of a sample are sent alike."""
    choice, esn0 = _choices(adapter, sample, model, esn0_db, 1)[0], np.array([esn0_db])
    found = [
        adapter.expected_ter(_frame(tokens, model), choice, esn0, bits)
        for tokens, bits in zip(sample.tokens, sample.bits, strict=True)
    ]
    return float(np.mean(found))


def _choices(
    adapter: LinkAdapter, sample: Sample, model: str, esn0_db: float, count: int | None = None
) -> list[Choice]:
    return [
        adapter.choose(_frame(tokens, model), 0, np.array([esn0_db]), bits=bits)
        for tokens, bits in zip(sample.tokens[:count], sample.bits[:count], strict=True)
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
        "airtime_samples": round(float(np.mean([each.airtime for each in test])), 1),
    }


def _frame(tokens: np.ndarray, model: str) -> TokenFrame:
    """A frame without a class label, which would stand in the header."""
    book = codebook(model)
    return TokenFrame(tokens.ravel().astype(np.int32), book.name, book.size, tokens.shape, book.modality)


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
