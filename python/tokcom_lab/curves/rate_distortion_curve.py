"""Benefit of the search for tokens: picture quality over the bits per token under a receiver's model."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tokcom.context.maskgit import MaskGit
from tokcom.errors import ParameterError
from tokcom.metrics.pictures import psnr_db
from tokcom.tokenizers.token_search import PICTURES, SEARCHES
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import as_input
from tokcom_lab.curves.context_curve import MASKED, masked_bits
from tokcom_lab.curves.context_plot import save

BATCH = 16


@dataclass(frozen=True)
class RateDistortionPoint:
    """Figures of the tokens after some search passes.

    Attributes:
        rate: weight of one bit as the search counts it.
        visits: search passes per picture; 0 for the encoder's tokens.
        psnr_db: mean PSNR over pictures, in dB.
        bits: bits per masked token under the context model, 15% being masked, without CMI.
        ms_per_picture: time of encoder and search in ms, in batches of 16.
    """

    rate: float
    visits: int
    psnr_db: float
    bits: float
    ms_per_picture: float


def rate_distortion_curve(
    pictures: np.ndarray, tokenizer: VQTokenizer, context: MaskGit, rates: Sequence[float], visits: Sequence[int],
    seed: int = 0, progress: Callable[[int], None] = lambda done: None, by: str = PICTURES,
) -> Iterator[RateDistortionPoint]:  # fmt: skip
    """Measure the search at several rates and after several numbers of passes.

    Args:
        pictures: uint8 (n, size, size, 3).
        tokenizer: tokenizer, whose encoder provides the initial tokens.
        context: the receiver's context model.
        rates: weights of one bit, at least 0: by pictures in nepers of mean squared error, by latents beside the
            cosine.
        visits: numbers of passes, ascending, at least 0.
        seed: seed of the masks.
        progress: called with the number of passes over pictures done since the last call.
        by: the search, a key of `SEARCHES`.

    Raises:
        ParameterError: a rate is negative, visits do not ascend from 0 or above, or there is no such search.
    """
    if by not in SEARCHES:
        raise ParameterError(f"by is {by!r}; it must be {' or '.join(SEARCHES)}")
    for rate in rates:
        if not rate >= 0:
            raise ParameterError(f"rate is {rate}; it must be at least 0 per bit")
    if not visits or min(visits) < 0 or any(a >= b for a, b in pairwise(visits)):
        raise ParameterError(f"visits are {list(visits)}; they must ascend, from 0 or above")
    batches = as_input(pictures).to(tokenizer.network.codebook.device).split(BATCH)
    for rate in rates:
        search = SEARCHES[by](tokenizer.network, context.network.unlabelled, rate)
        started = time.perf_counter()
        with torch.no_grad():
            tokens = [tokenizer.network.encode(batch.to(tokenizer.network.codebook.dtype)) for batch in batches]
        seconds, done = time.perf_counter() - started, 0
        for count in visits:
            started = time.perf_counter()
            for number, batch in enumerate(batches):
                tokens[number] = search.improve(batch, tokens[number], count - done, done)
                progress(len(batch) * (count - done))
            seconds, done = seconds + time.perf_counter() - started, count
            found = torch.cat(tokens)
            yield RateDistortionPoint(
                rate, count, _quality(pictures, found, tokenizer), _bits(found, context, seed),
                1000 * seconds / len(pictures),
            )  # fmt: skip


def _quality(pictures: np.ndarray, tokens: Tensor, tokenizer: VQTokenizer) -> float:
    shown = tokenizer.decode(tokens.cpu().numpy())
    return float(np.mean([psnr_db(*pair) for pair in zip(pictures, shown, strict=True)]))


def _bits(tokens: Tensor, context: MaskGit, seed: int) -> float:
    rng, frames = np.random.default_rng(seed), tokens.flatten(1).cpu().numpy()
    hidden = rng.random(frames.shape) < MASKED
    bits = [masked_bits(context, *pair, None) for pair in zip(frames, hidden, strict=True)]
    return float(np.concatenate(bits).mean())


def draw_rate_distortion(points: Sequence[RateDistortionPoint], path: Path) -> None:
    """Draw PSNR over bits per token, one line per rate starting at the encoder's tokens, as SVG.

    Raises:
        TokcomError: the file cannot be written.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axis = figure.subplots()
    rates = sorted({point.rate for point in points})
    for number, rate in enumerate(rates):
        line = sorted((point for point in points if point.rate == rate), key=lambda point: point.visits)
        shade = 0.15 + 0.7 * number / max(1, len(rates) - 1)
        axis.plot(
            [point.bits for point in line], [point.psnr_db for point in line], marker="o", markersize=4, linewidth=1.6,
            color=(0.04 + 0.6 * (1 - shade), 0.30 + 0.35 * shade, 0.65 - 0.3 * shade), label=f"{rate:g}",
        )  # fmt: skip
        first, last = line[0], line[-1]
        beside = {"ha": "right", "xytext": (-6, 3)} if last.bits < first.bits else {"ha": "left", "xytext": (6, 3)}
        axis.annotate(
            f"{last.visits} visits", (last.bits, last.psnr_db), textcoords="offset points", fontsize=8, color="#555",
            **beside,
        )  # fmt: skip
    axis.set_xlabel("bits per masked token, 15% masked, under the context model")
    axis.set_ylabel("PSNR (dB)")
    axis.grid(True, color="#d9dde3", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9, title="rate per bit")
    save(figure, path)
