"""Benefit of semantic labels: distance in the codebook's space between tokens sent and received, on photographs.

Uncoded schemes send each token as one or a few symbols in white Gaussian noise; coded ones are the packets of
`context_curve`. Natural, random and semantic labels get the same photographs and the same noise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.device import AUTO
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.bursts import compile_kernels
from tokcom.link.modes import MODES
from tokcom.link.uncoded import UncodedLink
from tokcom.metrics.pictures import psnr_db
from tokcom.models.codebooks import codebook, load_labels
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.modulation.direct import SCHEMES
from tokcom.modulation.semantic import cosine_distances
from tokcom.packets.labels import CONTEXTUAL, NATURAL, SEMANTIC, TokenLabels
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.curves.context_curve import Bench
from tokcom_lab.photographs import Photographs

ESN0_DB = {
    "1024qam": (15, 20, 25, 30), "32qam 32qam": (8, 11, 14, 17), "16qam 16qam qpsk": (3, 6, 9, 12),
    "1024psk": (20, 30, 40),
}  # fmt: skip
"""Values of Es/N0 in dB at which the schemes are measured."""
RANDOM = "random"
CODED, WITH_CONTEXT = "coded ", " map"
"""Prefix of coded schemes' names; suffix of uncoded ones whose receiver decides for the MAP token under the context
model's prior."""
BATCH = 25
"""Pictures decoded at a time."""


@dataclass(frozen=True)
class MappingPoint:
    """Figures of one scheme with one set of labels at one Es/N0.

    Attributes:
        scheme: a scheme of `modulation.direct`, nearest point; with " map" at its end, MAP under the context's prior;
            or "coded" and one of `link.modes.MODES`.
        labels: "natural", "random", "semantic" or, of coded tokens, "contextual".
        esn0_db: Es/N0 in dB.
        embedding_distance: mean cosine distance between the code vectors sent and received, over all tokens, correct
            ones included.
        euclidean_distance: the same in Euclidean distance.
        token_error_rate: share of tokens that are wrong.
        psnr_db: mean PSNR against the photographs.
        per: share of packets that were not accepted, or are wrong; None without code.
        images: number of photographs.
    """

    scheme: str
    labels: str
    esn0_db: float
    embedding_distance: float
    euclidean_distance: float
    token_error_rate: float
    psnr_db: float
    per: float | None
    images: int


class MappingBench:
    """Bench of photographs sent under several labels.

    Args:
        photographs: photographs to send.
        model: name or folder of the model.
        tokenizer: the model's tokenizer.
        seed: seed of noise and random labels.
        device: device of the receiver's networks, as for `device.find_device`.

    Raises:
        ModelError: the model has no labels.
    """

    def __init__(self, photographs: Photographs, model: str, tokenizer: VQTokenizer, seed: int = 0, device: str = AUTO):
        self.photographs, self.model, self.tokenizer, self.seed = photographs, model, tokenizer, seed
        self.device = device
        self.semantic = load_labels(model)
        self.coded = {
            name: Bench(photographs, model, tokenizer, seed=seed, labels=name)
            for name in (NATURAL, *codebook(model).labels)
        }
        self.frames = self.coded[NATURAL].frames
        self._cosine = cosine_distances(tokenizer.network.codebook.float().cpu().numpy())

    def labels(self, scheme: str, name: str) -> TokenLabels:
        """Return the labels of a name for an uncoded scheme."""
        size = self.tokenizer.codebook_size
        if name == SEMANTIC:
            return self.semantic[scheme]
        if name == RANDOM:
            return TokenLabels(np.random.default_rng(self.seed).permutation(size))
        return TokenLabels(np.arange(size))

    def uncoded(self, link: UncodedLink, number: int, esn0_db: float) -> TokenFrame:
        """Simulate the transmission of one frame without code."""
        frame = self.frames[number]
        rng = np.random.default_rng([self.seed, number, round(esn0_db * 1000) & 0xFFFFFFFF])
        symbols = awgn(link.transmit(frame), esn0_db, rng)
        return link.receive(frame, symbols, noise_variance(esn0_db))[0]

    def measures(self, received: Sequence[TokenFrame]) -> list[float]:
        """Compute mean cosine and Euclidean distance, share of wrong tokens and mean PSNR over all received frames."""
        sent = np.stack([frame.tokens for frame in self.frames])
        got = np.stack([frame.tokens for frame in received])
        cosine, grids = self._cosine[sent, got], got.reshape(-1, *self.tokenizer.grid)
        psnr = [
            psnr_db(sent_picture, picture)
            for first in range(0, len(grids), BATCH)
            for sent_picture, picture in zip(
                self.photographs.pictures[first : first + BATCH],
                self.tokenizer.decode(grids[first : first + BATCH]), strict=True,
            )
        ]  # fmt: skip
        means = cosine.mean(), np.sqrt(2 * cosine).mean(), np.mean(sent != got), np.mean(psnr)
        return [float(mean) for mean in means]


def mapping_curve(
    bench: MappingBench, schemes: Sequence[str], esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[MappingPoint]:  # fmt: skip
    """Measure schemes under all labels at every Es/N0.

    Args:
        bench: the photographs.
        schemes: schemes as in `MappingPoint.scheme`.
        esn0_db: Es/N0 in dB.
        progress: called with the number of frames done since the last call.

    Raises:
        ParameterError: an Es/N0 is not a number, or a scheme does not exist.
    """
    for value in esn0_db:
        noise_variance(value)
    compile_kernels()
    for scheme in schemes:
        for name in labels_of(scheme):
            if scheme.startswith(CODED) and name not in bench.coded:
                continue
            for value in esn0_db:
                yield _point(bench, scheme, name, value, progress)


def labels_of(scheme: str) -> tuple[str, ...]:
    """List the labels with which a scheme is measured.

    Raises:
        ParameterError: there is no such scheme.
    """
    if scheme.removesuffix(WITH_CONTEXT) in SCHEMES:
        return NATURAL, RANDOM, SEMANTIC
    if scheme in [CODED + mode for mode in MODES]:
        return NATURAL, SEMANTIC, CONTEXTUAL
    known = [*SCHEMES, *(each + WITH_CONTEXT for each in SCHEMES), *(CODED + mode for mode in MODES)]
    raise ParameterError(f"scheme is {scheme!r}; it must be one of {', '.join(known)}")


def _point(
    bench: MappingBench, scheme: str, name: str, esn0_db: float, progress: Callable[[int], None]
) -> MappingPoint:
    received, lost, count = [], 0.0, len(bench.frames)
    if scheme.startswith(CODED):
        coded, recovery = bench.coded[name], load_recovery(bench.model, scheme.removeprefix(CODED), bench.device)
        for number in range(count):
            arrival = coded.received(number, esn0_db, True)
            recovered = recovery.recover(arrival.frame, arrival.received)
            received.append(recovered.frame)
            wrong = coded.errors(number, arrival, recovered).any(axis=1)
            lost += np.mean(~recovered.packets_ok | wrong)
            progress(1)
    else:
        plain = scheme.removesuffix(WITH_CONTEXT)
        context = load_context(bench.model, bench.device) if plain != scheme else None
        link = UncodedLink(plain, bench.labels(plain, name), context)
        for number in range(count):
            received.append(bench.uncoded(link, number, esn0_db))
            progress(1)
    per = lost / count if scheme.startswith(CODED) else None
    return MappingPoint(scheme, name, float(esn0_db), *bench.measures(received), per, count)
