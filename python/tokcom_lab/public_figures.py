"""Figures of a model's tokenizer and context model on photographs, for the card of a model that came without them."""

from collections.abc import Callable, Sequence

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import CAUSAL, Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame
from tokcom.metrics.pictures import psnr_db
from tokcom.models.card import CONTEXT
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.photograph_tokens import photograph_tokens
from tokcom_lab.photographs import Photographs

SHARES = (0.15, 0.3, 0.6, 0.9)
"""Shares of tokens that are masked."""


def measure_parts(
    model: str, photographs: Photographs, seed: int = 0, device: str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Measure the parts of a model on photographs.

    Args:
        model: name or folder of the model.
        photographs: the photographs.
        seed: seed of the masks.
        device: where the networks run, as in `device.find_device`.
        progress: called with the number of photographs done since the last call.

    Returns:
        Figures by part. tokenizer: psnr_db, token_entropy_bits, codes_used. context: bits_at_15 … and exact_at_15 …,
        bits per masked token and share of them whose likeliest word is right, with the class label where the model has
        it, and …_without_cmi; of a causal model, bits and exact, over all tokens.
    """
    tokenizer = load_tokenizer(model, 0, device)
    tokens = photograph_tokens(photographs.pictures, model)
    psnr = [
        psnr_db(each, tokenizer.decode(own[None])[0]) for each, own in zip(photographs.pictures, tokens, strict=True)
    ]
    counts = np.bincount(tokens.ravel(), minlength=tokenizer.codebook_size)
    share = counts[counts > 0] / counts.sum()
    figures = {
        "tokenizer": {
            "psnr_db": float(np.mean(psnr)), "token_entropy_bits": float(-(share * np.log2(share)).sum()),
            "codes_used": int((counts > 0).sum()), "photographs": len(tokens),
        }
    }  # fmt: skip
    if CONTEXT in model_card(model).content:
        prior = load_context(model, device)
        flat = tokens.reshape(len(tokens), -1)
        measure = causal_figures if prior.order == CAUSAL else masked_figures
        figures[CONTEXT] = measure(prior, flat, photographs.labels, seed, progress)
    return figures


def masked_figures(
    prior: Prior, tokens: np.ndarray, labels: Sequence[int | None], seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:  # fmt: skip
    """Measure bits and exact recovery of masked tokens, one pass per frame, share of masked tokens and condition.

    Args:
        prior: the prior, of order ANY.
        tokens: int (frames, n).
        labels: class of each frame; None where the model lacks it.
        seed: seed of the masks.
        progress: called with 1 per frame.
    """
    sums: dict[str, list[float]] = {}
    for number, (own, label) in enumerate(zip(tokens, labels, strict=True)):
        order = np.random.default_rng([seed, number]).permutation(len(own))
        for condition in (Condition(label), NOTHING) if label is not None else (NOTHING,):
            if not _takes(prior, own, condition):
                continue
            suffix = "_without_cmi" if condition == NOTHING else ""
            for share in SHARES:
                hidden = np.zeros(len(own), bool)
                hidden[order[: max(1, round(share * len(own)))]] = True
                shown = np.where(hidden, LOST, own)[None]
                logs = prior.log_probabilities(shown, hidden[None], [condition])
                name = f"{round(100 * share)}{suffix}"
                _add(sums, name, logs, own[hidden])
        progress(1)
    return _means(sums, "_at_")


def causal_figures(
    prior: Prior, tokens: np.ndarray, labels: Sequence[int | None], seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:  # fmt: skip
    """Measure bits and exact prediction of each token from those before; arguments as of `masked_figures`."""
    sums: dict[str, list[float]] = {}
    for own, label in zip(tokens, labels, strict=True):
        for condition in (Condition(label), NOTHING) if label is not None else (NOTHING,):
            logs = prior.log_probabilities(own[None], np.ones((1, len(own)), bool), [condition])
            _add(sums, "_without_cmi" if condition == NOTHING else "", logs, own)
        progress(1)
    return _means(sums, "")


def _takes(prior: Prior, own: np.ndarray, condition: Condition) -> bool:
    """Whether a prior works with a condition: some must have a label, some know none."""
    frame = TokenFrame(own, prior.codebook, prior.codebook_size, prior.grid or (), "image")
    try:
        prior.require_fit(frame, condition)
    except ModelError:
        return False
    return True


def _add(sums: dict[str, list[float]], name: str, logs: np.ndarray, right: np.ndarray) -> None:
    entry = sums.setdefault(name, [0.0, 0.0, 0.0])
    entry[0] -= float(logs[np.arange(len(right)), right].sum()) / np.log(2)
    entry[1] += int((logs.argmax(1) == right).sum())
    entry[2] += len(right)


def _means(sums: dict[str, list[float]], between: str) -> dict[str, float]:
    figures = {}
    for name, (bits, exact, count) in sums.items():
        figures |= {f"bits{between}{name}": bits / count, f"exact{between}{name}": exact / count}
    return figures
