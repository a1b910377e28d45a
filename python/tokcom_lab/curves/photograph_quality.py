"""Quality of a model for photographs: fidelity of its tokens, and accuracy of its context."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from tokcom.device import AUTO, find_device
from tokcom.errors import ParameterError
from tokcom.metrics.pictures import psnr_db, ssim
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.photograph_judge import PhotographJudge
from tokcom_lab.photograph_tokens import photograph_tokens
from tokcom_lab.training.dataset import load_dataset

MASKED = 0.15
"""Share of masked tokens, which the context model predicts."""
TIMED = 12
"""Photographs that are tokenized and decoded one by one for the timing."""
AT_ONCE = 16


@dataclass(frozen=True)
class PhotographQuality:
    """Figures of a model on photographs.

    Attributes:
        images: number of photographs.
        psnr_db: mean PSNR of the decoded pictures.
        ssim: mean structural similarity.
        sharpness: energy of the gradients of decoded pictures relative to that of the originals, over all photographs.
        lite2_agreement: share of photographs that EfficientNet-Lite2 classifies alike in both.
        lite2_cosine: mean cosine of its pooled features of both.
        bits_told, exact_told: bits per masked token at 15% masked, and accuracy of the most likely guess, with the
            class, over the photographs of classes that the model knows; None if there are none.
        bits_untold, exact_untold: the same without the class, over all photographs.
        known: number of photographs of classes that the model knows.
        tokenize_ms, detokenize_ms: median time of one photograph.
    """

    images: int
    psnr_db: float
    ssim: float
    sharpness: float
    lite2_agreement: float
    lite2_cosine: float
    bits_told: float | None
    exact_told: float | None
    bits_untold: float
    exact_untold: float
    known: int
    tokenize_ms: float
    detokenize_ms: float


def photograph_quality(
    data: Sequence[Path], model: str, n: int, *, visits: int | None = None, device: str = AUTO, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> PhotographQuality:  # fmt: skip
    """Measure a model on photographs of the test split, drawn at random, reproducibly for a seed.

    Args:
        data: folders, tar or zip archives of train/<class>/* and test/<class>/*.
        model: the model, by name or folder, with a tokenizer and a context.
        n: number of photographs; all if there are fewer.
        visits: search passes per picture; None for the value in the model's card.
        device: device of the model's networks, as for `device.find_device`; cached tokens are those of the processors.
        seed: seed of the choice and of the masks.
        progress: called with the number of photographs done since the last call, each counted twice: tokens, then
            figures.

    Raises:
        DatasetError: there are no photographs.
        ModelError: the model or EfficientNet-Lite2 is missing.
        ParameterError: n is not positive.
    """
    if n < 1:
        raise ParameterError(f"n is {n}; it must be at least 1 photograph")
    judge = PhotographJudge()
    tokenizer, network = load_tokenizer(model, visits, device), load_context(model, find_device(device)).network
    found = load_dataset(data, "test", size=tokenizer.image_size, crops=1)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(found.labels))[:n])
    pictures, n = np.ascontiguousarray(found.pictures[chosen, 0]), len(chosen)
    labels = found.numbered(model_card(model).classes).labels[chosen]
    if visits is None:
        tokens = photograph_tokens(pictures, model, progress=progress)
    else:
        parts = []
        for start in range(0, n, AT_ONCE):
            parts.append(tokenizer.encode(pictures[start : start + AT_ONCE]))
            progress(len(parts[-1]))
        tokens = np.concatenate(parts)
    figures, energies, alike = [], np.zeros(2), []
    for start in range(0, n, AT_ONCE):
        sent = pictures[start : start + AT_ONCE]
        shown = tokenizer.decode(tokens[start : start + AT_ONCE])
        figures += [(psnr_db(*pair), ssim(*pair)) for pair in zip(sent, shown, strict=True)]
        energies += [picture_energy(each) for each in (shown, sent)]
        features = [judge.features(each) for each in (sent, shown)]
        top = [judge.classes(each) for each in features]
        cosines = F.cosine_similarity(*map(torch.from_numpy, features))
        alike += list(zip((top[0] == top[1]).tolist(), cosines.tolist(), strict=True))
        progress(len(sent))
    bits_untold, exact_untold = _expected(network, tokens, np.full(n, len(model_card(model).classes)), seed)
    known = labels < len(model_card(model).classes)
    bits_told, exact_told = _expected(network, tokens[known], labels[known], seed) if known.any() else (None, None)
    tokenize_ms, detokenize_ms = _times(pictures[:TIMED], model, visits, device)
    quality, structure = np.mean(figures, axis=0)
    agreement, cosine = np.mean(alike, axis=0)
    return PhotographQuality(
        n, float(quality), float(structure), float(energies[0] / energies[1]), float(agreement), float(cosine),
        bits_told, exact_told, bits_untold, exact_untold, int(known.sum()), tokenize_ms, detokenize_ms,
    )  # fmt: skip


def picture_energy(pictures: np.ndarray) -> float:
    """Sum squared differences of neighbouring pixels, down and across, of uint8 (n, rows, columns, 3)."""
    values = pictures.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).sum() for axis in (1, 2)))


@torch.inference_mode()
def _expected(network: torch.nn.Module, tokens: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, float]:
    """Compute the bits per masked token, and the accuracy of the most likely guess."""
    rng, words = np.random.default_rng([seed, 15]), network.config.codebook_size
    where = next(network.parameters()).device
    bits = right = count = 0
    for start in range(0, len(tokens), AT_ONCE):
        part = torch.from_numpy(tokens[start : start + AT_ONCE].reshape(-1, tokens[0].size).astype(np.int64))
        masked = torch.from_numpy(rng.random(part.shape) < MASKED)
        told = torch.from_numpy(labels[start : start + AT_ONCE])
        logits = network(part.masked_fill(masked, words).to(where), told.to(where), masked.to(where)).float().cpu()
        bits += float(F.cross_entropy(logits, part[masked], reduction="sum")) / math.log(2)
        right += int((logits.argmax(-1) == part[masked]).sum())
        count += int(masked.sum())
    if not count:
        raise ParameterError("no token was masked; take more photographs")
    return bits / count, right / count


def _times(pictures: np.ndarray, model: str, visits: int | None, device: str) -> tuple[float, float]:
    """Measure the median time in ms to tokenize one photograph and to decode it, with a new tokenizer."""
    tokenizer = load_tokenizer(model, visits, device)
    tokenizer.encode(pictures[:1])
    taken = []
    for picture in pictures:
        begun = time.perf_counter()
        frame = tokenizer.tokenize(picture)
        between = time.perf_counter()
        tokenizer.detokenize(frame)
        taken.append((between - begun, time.perf_counter() - between))
    tokenize, detokenize = (1000 * statistics.median(each) for each in zip(*taken, strict=True))
    return tokenize, detokenize
