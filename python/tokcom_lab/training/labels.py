"""Labels of a model's codebook, for coded bits and for each scheme of sending tokens without code."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.device import AUTO
from tokcom.frame import LOST
from tokcom.mcs import find_mcs
from tokcom.models.codebooks import CODED
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.modulation.direct import SCHEMES, DirectMapping
from tokcom.modulation.semantic import (
    LARGEST_IMPROVED,
    bisected_labels,
    cosine_distances,
    expected_distance,
    improved_labels,
)
from tokcom.packets.bits import bits_per_token, tokens_to_bits
from tokcom.packets.labels import CONTEXTUAL
from tokcom_lab.training.dataset import load_dataset
from tokcom_lab.training.export import export_labels

MCS, TOKENS_PER_PACKET, CODED_ESN0_DB = "16qam-1/2", 4, (3, 4, 5, 6, 7)
"""Code for whose errors the labels of coded bits are optimised."""
PACKETS = 20_000
"""Packets per Es/N0 over which its errors are counted."""
RANDOM_LABELS = 5
"""Number of random labellings, to whose mean the figures are relative."""
SMALLEST_ERRORS = 1e-9
"""Sum of a table's errors below which they are rounding errors."""
BATCH = 64
VISITS = 4
"""Largest number of search passes per picture; four consider every token once, which suffices to count words."""
TOKENS = "tokens of photographs"
"""Name of `map_model`'s progress in making tokens."""
PHOTOGRAPHS = "photographs"
"""Name of `map_model`'s progress in weighing alternatives."""
BHATTACHARYYA = 0.5
"""Factor on the probability of confusing two labels per coded bit in which they differ. On the channel it is 0.7 to 0.8
where packets fail; a smaller one gives more weight to the pairs that are nearest in code, and gave fewer lost
packets."""
HIDDEN_SHARES = (0.1, 0.8)
"""Shares of a frame's tokens that are masked when the context model's alternatives are weighed."""


def error_patterns(token_bits: int, esn0_db: float, packets: int = PACKETS, seed: int = 0) -> np.ndarray:
    """Measure the frequency of each pattern of wrong bits in a token after Viterbi decoding, whether the CRC holds or
    not.

    The code is linear: errors do not depend on the label, except through the levels of 16-QAM.

    Args:
        token_bits: bits per token.
        esn0_db: Es/N0 in dB, AWGN.
        packets: number of random packets to send.
        seed: seed of tokens and noise.

    Returns:
        float64 (2**token_bits,), share of tokens whose received label is the label sent XOR the index.
    """
    rng = np.random.default_rng([seed, round(esn0_db * 1000) & 0xFFFFFFFF])
    scheme, size = find_mcs(MCS), 1 << token_bits
    codec, constellation = scheme.codec(size, TOKENS_PER_PACKET), scheme.constellation()
    sent = rng.integers(0, size, (packets, TOKENS_PER_PACKET))
    symbols = awgn(constellation.map(codec.encode(sent)), esn0_db, rng)
    llrs = constellation.llrs(symbols, noise_variance(esn0_db), codec.coded_length, "maxlog")
    received, _ = codec.decode(llrs)
    return np.bincount((sent ^ received).ravel(), minlength=size) / sent.size


def coded_confusion(size: int, seed: int = 0) -> np.ndarray:
    """Tabulate errors of the coded bits over label pairs, averaged over CODED_ESN0_DB as in `mean_confusion`, float64
    (size, size)."""
    labels = np.arange(size)
    differences = labels[:, None] ^ labels
    bits = bits_per_token(size)
    return mean_confusion([error_patterns(bits, value, seed=seed)[differences] for value in CODED_ESN0_DB])


def mean_confusion(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Average confusions at several Es/N0, each scaled to one error per label for equal weight; tables without errors
    are skipped."""
    total = np.zeros_like(tables[0])
    for table in tables:
        errors = table.sum() - np.trace(table)
        if errors < SMALLEST_ERRORS:
            continue
        total += table * (len(table) / errors / len(tables))
    np.fill_diagonal(total, 0)
    return total


def semantic_labels(
    embeddings: np.ndarray, use: np.ndarray | None, proposals: int, seed: int = 0,
    progress: Callable[[str, int], None] = lambda name, done: None,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:  # fmt: skip
    """Compute labels for coded bits, and for every scheme that suits a codebook of this size.

    Args:
        embeddings: float (size, dimension), the code vectors.
        use: float (size,), how often each token is sent; None for uniform.
        proposals: swaps tried per purpose.
        seed: seed of errors and swaps.
        progress: called with the purpose and the number of swaps tried since the last call.

    Returns:
        Labels by purpose, CODED or a scheme, int32 (size,); and for each the mean cosine distance after an error,
        relative to that of random labels. Codebooks of more than LARGEST_IMPROVED words get the fast start alone, and
        no figures.
    """
    size = len(embeddings)
    bits = tokens_to_bits(np.arange(size)[:, None], bits_per_token(size))
    mappings = {scheme: DirectMapping(scheme, size) for scheme in SCHEMES if has_room(scheme, size)}
    places = {CODED: bits.astype(np.float64)} | {scheme: mapping.places for scheme, mapping in mappings.items()}
    labels = {purpose: bisected_labels(embeddings, each) for purpose, each in places.items()}
    if size > LARGEST_IMPROVED:
        return labels, {}
    distance, figures = cosine_distances(embeddings), {}
    for purpose, start in labels.items():
        if purpose == CODED:
            confusion = coded_confusion(size, seed)
        else:
            confusion = mean_confusion([mappings[purpose].confusion(value) for value in SCHEMES[purpose]])
        labels[purpose] = improved_labels(
            start, confusion, distance, use, proposals=proposals, seed=seed, progress=partial(progress, purpose)
        )
        figures[purpose] = _relative_to_random(labels[purpose], confusion, distance, use, seed)
    return labels, figures


def confused_by_context(
    tokens: np.ndarray, cmi: np.ndarray, context: Prior, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Measure how strongly each pair of tokens competes under the context model.

    Tokens are masked, alternately with and without class label; the square root of the product of both tokens'
    probabilities is summed over masked positions. By the Bhattacharyya bound this is the prior's factor in the error
    probability of two hypotheses; the channel contributes the other factor.

    Args:
        tokens: int32 (n, tokens), tokens of n pictures.
        cmi: int (n,), their class labels.
        context: the context model.
        seed: seed of the masks.
        progress: called with the number of pictures done since the last call.

    Returns:
        float64 (codebook_size, codebook_size), symmetric.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((context.codebook_size,) * 2)
    for number, frame in enumerate(tokens):
        hidden = rng.random(len(frame)) < rng.uniform(*HIDDEN_SHARES)
        told = int(cmi[number]) if number % 2 else None
        roots = np.exp(
            context.log_probabilities(np.where(hidden, LOST, frame)[None], hidden[None], [Condition(told)]) / 2
        )
        total += roots.T @ roots
        progress(1)
    return total


def confused_by_code(size: int) -> np.ndarray:
    """Compute the Bhattacharyya bound on the probability of confusing two labels, float64 (size, size), from the coded
    bits in which they differ (K=7, rate 1/2, a token between identical neighbours)."""
    code, bits = ConvolutionalCode.named("k7"), bits_per_token(size)
    alone = np.pad(tokens_to_bits(np.arange(1 << bits)[:, None], bits), ((0, 0), (0, code.tail)))
    weights = code.encode(alone).sum(axis=1, dtype=np.int64)
    labels = np.arange(size)
    confusion = BHATTACHARYYA ** weights[labels[:, None] ^ labels].astype(np.float64)
    np.fill_diagonal(confusion, 0)
    return confusion


def contextual_labels(
    competition: np.ndarray, proposals: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, float]:
    """Compute labels that are far apart in code for tokens that the context model confuses, the opposite of semantic
    ones.

    A receiver that decodes with the context model must distinguish by the channel what the context cannot.

    Args:
        competition: competition from `confused_by_context`.
        proposals: swaps tried.
        seed: seed of the swaps.
        progress: called with the number of swaps tried since the last call.

    Returns:
        int32 (size,), the label of each token; and the pairs' contribution to errors, relative to random labels.
    """
    size = len(competition)
    confusion = confused_by_code(size)
    natural = np.arange(size, dtype=np.int32)
    labels = improved_labels(natural, confusion, competition, proposals=proposals, seed=seed, progress=progress)
    return labels, _relative_to_random(labels, confusion, competition, None, seed)


def _relative_to_random(
    labels: np.ndarray, confusion: np.ndarray, distance: np.ndarray, use: np.ndarray | None, seed: int
) -> float:
    """Divide the `expected_distance` of labels by its mean over RANDOM_LABELS random labellings."""
    random = np.mean(
        [
            expected_distance(rng.permutation(len(labels)).astype(np.int32), confusion, distance, use)
            for rng in (np.random.default_rng([seed, k]) for k in range(RANDOM_LABELS))
        ]
    )
    return float(expected_distance(labels, confusion, distance, use) / random)


def has_room(scheme: str, size: int) -> bool:
    """Tell whether a scheme has at least as many labels as the codebook has words, and fewer than twice as many."""
    return DirectMapping.room(scheme) == 1 << bits_per_token(size)


def sample_tokens(
    data: Path,
    model: str,
    pictures: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    device: str = AUTO,
) -> tuple[np.ndarray, np.ndarray]:
    """Tokenize pictures of the training split, drawn at random.

    Args:
        data: folder or tar archive of train/<class>/*.
        model: name or folder of the model.
        pictures: number of pictures.
        seed: seed of their choice.
        progress: called with the number of pictures done since the last call.
        device: where the networks run, as in `device.find_device`.

    Returns:
        int32 (n, tokens), and their class labels, int64 (n,).

    Raises:
        DatasetError: the data have no pictures.
        ModelError: the model's tokenizer is missing or broken.
    """
    tokenizer = load_tokenizer(model, device=device)
    if tokenizer.visits > VISITS:
        tokenizer = load_tokenizer(model, VISITS, device)
    found = load_dataset(data, "train", size=tokenizer.image_size, crops=1)
    chosen = np.random.default_rng(seed).permutation(len(found.labels))[:pictures]
    tokens = []
    for first in range(0, len(chosen), BATCH):
        batch = np.ascontiguousarray(found.pictures[chosen[first : first + BATCH], 0])
        tokens.append(tokenizer.encode(batch).reshape(len(batch), -1))
        progress(len(batch))
    return np.concatenate(tokens), found.labels[chosen]


def map_model(
    folder: Path, data: Path | None, pictures: int, proposals: int, seed: int, command: str,
    progress: Callable[[str, int], None] = lambda name, done: None, device: str = AUTO,
) -> dict[str, float]:  # fmt: skip
    """Make the labels of a model and store them beside its weights.

    Args:
        folder: the model's folder.
        data: photographs on which the use of tokens is counted and, if the model has a context, its alternatives are
            weighed for contextual labels; None for uniform use and no contextual labels.
        pictures: number of photographs.
        proposals: swaps tried per purpose.
        seed: seed of errors, swaps and the choice of photographs.
        command: the command line, for the card.
        progress: called with the purpose, or TOKENS or PHOTOGRAPHS, and the number done since the last call.
        device: where the networks run, as in `device.find_device`.

    Returns:
        The figures of `semantic_labels` and `contextual_labels`.

    Raises:
        ModelError: the model does not exist, or a part of it is corrupt.
        DatasetError: the data have no pictures.
    """
    embeddings = load_tokenizer(str(folder), 0, "cpu").network.codebook.numpy()
    tokens = use = None
    if data is not None:
        tokens, cmi = sample_tokens(data, str(folder), pictures, seed, partial(progress, TOKENS), device)
        # Add-one smoothing, so that no word has zero weight.
        use = 1.0 + np.bincount(tokens.ravel(), minlength=len(embeddings))
    labels, figures = semantic_labels(embeddings, use, proposals, seed, progress)
    config = {
        "distance": "cosine", "proposals": proposals, "seed": seed,
        CODED: {"mcs": MCS, "tokens_per_packet": TOKENS_PER_PACKET, "esn0_db": list(CODED_ESN0_DB), "packets": PACKETS},
    } | {scheme: {"esn0_db": list(SCHEMES[scheme])} for scheme in labels if scheme != CODED}  # fmt: skip
    if tokens is not None and figures and "context" in model_card(str(folder)).content:
        context = load_context(str(folder), device)
        competition = confused_by_context(tokens, cmi, context, seed, partial(progress, PHOTOGRAPHS))
        labels[CONTEXTUAL], figures[CONTEXTUAL] = contextual_labels(
            competition, proposals, seed, partial(progress, CONTEXTUAL)
        )
        config[CONTEXTUAL] = {"bhattacharyya": BHATTACHARYYA, "hidden": list(HIDDEN_SHARES), "pictures": pictures}
    export_labels(folder, labels, config, figures, command, None if use is None else use / use.sum())
    return figures
