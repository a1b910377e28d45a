"""The labels of a model's codebook: for its coded bits, and for each way to send tokens without code."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.frame import LOST
from tokcom.mcs import find_mcs
from tokcom.models.zoo import CODED, load_context, load_tokenizer, model_card
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
"""The code whose errors the labels of coded bits are made for."""
PACKETS = 20_000
"""Packets at each Es/N0 on which its errors are counted."""
RANDOM_LABELS = 5
"""Random labels whose mean the figures are relative to."""
SMALLEST_ERRORS = 1e-9
"""Errors a table that rounding cannot have made."""
BATCH = 64
VISITS = 4
"""Of the search for tokens, at most: each is weighed once, which is enough to count words."""
TOKENS = "tokens of photographs"
"""What `map_model` calls its progress in making tokens."""
PHOTOGRAPHS = "photographs"
"""What `map_model` calls its progress in weighing alternatives."""
BHATTACHARYYA = 0.5
"""Factor by which each coded bit in which two labels differ makes it less likely that they are confused. On the channel
it is 0.7 to 0.8 where packets fail; a smaller one lets the pairs count that are nearest in code, and gave fewer lost
packets."""
HIDDEN_SHARES = (0.1, 0.8)
"""Shares of a frame's tokens that are hidden from the context model when its alternatives are weighed."""


def error_patterns(token_bits: int, esn0_db: float, packets: int = PACKETS, seed: int = 0) -> np.ndarray:
    """How often each pattern of wrong bits befalls a token, Viterbi-decoded, CRC or not.

    The code is linear: which bits go wrong does not depend on the label, apart from what the levels of 16-QAM differ.

    Args:
        token_bits: bits a token.
        esn0_db: Es/N0 in dB, AWGN.
        packets: random packets that are sent.
        seed: seed of tokens and noise.

    Returns:
        float64 (2**token_bits,), share of tokens whose received label is the label sent, XOR the index.
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
    """Errors of the coded bits at all CODED_ESN0_DB as a table of label pairs, float64 (size, size), as
    `mean_confusion`."""
    labels = np.arange(size)
    differences = labels[:, None] ^ labels
    bits = bits_per_token(size)
    return mean_confusion([error_patterns(bits, value, seed=seed)[differences] for value in CODED_ESN0_DB])


def mean_confusion(tables: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of confusions at several Es/N0, each scaled to one error a label, so that all count alike; those
    without errors do not count."""
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
    """Labels for coded bits, and for every scheme that is made for a codebook of this size.

    Args:
        embeddings: float (size, dimension), the code vectors.
        use: float (size,), how often each token is sent; None: all alike.
        proposals: swaps tried for each purpose.
        seed: seed of errors and swaps.
        progress: called with the purpose and the number of swaps tried since the last call.

    Returns:
        Labels by purpose, CODED or a scheme, int32 (size,); and for each the mean cosine distance after an error,
        relative to that of labels drawn at random. Codebooks of more than LARGEST_IMPROVED words have the fast start
        alone, and no figures.
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
    """How much each pair of tokens competes in the eyes of the context model.

    Tokens are hidden, with the class label and without it in turn; summed is the square root of the product of both
    tokens' probabilities at each hidden place. By Bhattacharyya's bound that is what two hypotheses with such priors
    contribute to errors, times what the channel contributes.

    Args:
        tokens: int32 (n, tokens), of n pictures.
        cmi: int (n,), their class labels.
        context: the context model.
        seed: of what is hidden.
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
    """Bhattacharyya's bound on the probability that two labels are confused, float64 (size, size), by the coded bits in
    which they differ (K=7, rate 1/2, a token between others that are the same)."""
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
    """Labels that keep apart in code what the context model confuses: the opposite of semantic ones.

    A receiver that decodes with the context model has to tell apart by the channel what the context cannot.

    Args:
        competition: as from `confused_by_context`.
        proposals: swaps tried.
        seed: seed of the swaps.
        progress: called with the number of swaps tried since the last call.

    Returns:
        int32 (size,), the label of each token; and what pairs contribute to errors, relative to labels drawn at random.
    """
    size = len(competition)
    confusion = confused_by_code(size)
    natural = np.arange(size, dtype=np.int32)
    labels = improved_labels(natural, confusion, competition, proposals=proposals, seed=seed, progress=progress)
    return labels, _relative_to_random(labels, confusion, competition, None, seed)


def _relative_to_random(
    labels: np.ndarray, confusion: np.ndarray, distance: np.ndarray, use: np.ndarray | None, seed: int
) -> float:
    """`expected_distance` of labels over its mean for RANDOM_LABELS drawn at random."""
    random = np.mean(
        [
            expected_distance(rng.permutation(len(labels)).astype(np.int32), confusion, distance, use)
            for rng in (np.random.default_rng([seed, k]) for k in range(RANDOM_LABELS))
        ]
    )
    return float(expected_distance(labels, confusion, distance, use) / random)


def has_room(scheme: str, size: int) -> bool:
    """Whether a scheme has as many labels as a codebook's words have numbers: no fewer, and not twice as many."""
    return DirectMapping.room(scheme) == 1 << bits_per_token(size)


def sample_tokens(
    data: Path, model: str, pictures: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of pictures of the training split, drawn at random.

    Args:
        data: folder or tar archive of train/<class>/*.
        model: name or folder of the model.
        pictures: how many.
        seed: of which.
        progress: called with the number of pictures done since the last call.

    Returns:
        int32 (n, tokens), and their class labels, int64 (n,).

    Raises:
        DatasetError: there are no pictures.
        ModelError: the model's tokenizer is missing or broken.
    """
    tokenizer = load_tokenizer(model)
    if tokenizer.visits > VISITS:
        tokenizer = load_tokenizer(model, VISITS)
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
    progress: Callable[[str, int], None] = lambda name, done: None,
) -> dict[str, float]:  # fmt: skip
    """Make the labels of a model and store them beside its weights.

    Args:
        folder: the model's folder.
        data: photographs on which the use of tokens is counted and, where the model has a context, its alternatives are
            weighed for contextual labels; None: all tokens are used alike, and there are no contextual labels.
        pictures: photographs.
        proposals: swaps tried for each purpose.
        seed: seed of errors, swaps and the choice of photographs.
        command: the command line that made them.
        progress: called with the purpose, or TOKENS or PHOTOGRAPHS, and the number done since the last call.

    Returns:
        The figures of `semantic_labels` and `contextual_labels`.

    Raises:
        ModelError: there is no such model, or a part of it is broken.
        DatasetError: there are no pictures.
    """
    embeddings = load_tokenizer(str(folder), 0, "cpu").network.codebook.numpy()
    tokens = use = None
    if data is not None:
        tokens, cmi = sample_tokens(data, str(folder), pictures, seed, partial(progress, TOKENS))
        # One more each, so that none is of no account.
        use = 1.0 + np.bincount(tokens.ravel(), minlength=len(embeddings))
    labels, figures = semantic_labels(embeddings, use, proposals, seed, progress)
    config = {
        "distance": "cosine", "proposals": proposals, "seed": seed,
        CODED: {"mcs": MCS, "tokens_per_packet": TOKENS_PER_PACKET, "esn0_db": list(CODED_ESN0_DB), "packets": PACKETS},
    } | {scheme: {"esn0_db": list(SCHEMES[scheme])} for scheme in labels if scheme != CODED}  # fmt: skip
    if tokens is not None and figures and "context" in model_card(str(folder)).content:
        context = load_context(str(folder))
        competition = confused_by_context(tokens, cmi, context, seed, partial(progress, PHOTOGRAPHS))
        labels[CONTEXTUAL], figures[CONTEXTUAL] = contextual_labels(
            competition, proposals, seed, partial(progress, CONTEXTUAL)
        )
        config[CONTEXTUAL] = {"bhattacharyya": BHATTACHARYYA, "hidden": list(HIDDEN_SHARES), "pictures": pictures}
    export_labels(folder, labels, config, figures, command, None if use is None else use / use.sum())
    return figures
