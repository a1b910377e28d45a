"""Recognition of pictures of which only some tokens were sent, by the rule that chose them.

The judge is EfficientNet-Lite0 with a linear layer that is trained here on the training split; the rule's own network,
the model's classifier, is of another family. Receivers show pictures by the model's decoder of thinned pictures, which
may have learnt from a sibling of the judge (the card tells); what the classifier names stands beside, therefore.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.context.classifier import Classifier
from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.mcs import Mcs
from tokcom.metrics.pictures import psnr_db
from tokcom.models.published import load_efficientnet_lite
from tokcom.packets.bits import bits_per_token
from tokcom.packets.thinning import Thinning, rule_bytes, sent_mask
from tokcom.source.chooser import TokenChooser
from tokcom.source.filling import expected_picture, filled_picture
from tokcom.source.relevance import sent_first
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import as_input
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, keep_array, key_of
from tokcom_lab.case_study.picture_codecs import load_codec

SIDE = 128
"""Side in pixels to which pictures are resampled for the judge."""
WEIGHT_DECAY, EPOCHS = 1e-3, 300
CHOSEN = {"relevance": "relevance", "relevance, regions": "regions", "distortion": "distortion", "surprise": "surprise"}
"""The choices of `source.choices` that are measured, by the rule's name here."""
TOKEN_RULES = *CHOSEN, "low variance", "random", "checkerboard", "spread"
CODECS = "webp", "avif"
SHOWN = {"decoder": filled_picture, "mean": expected_picture}
"""Ways to show what the prior expects in place of missing tokens: as receivers do, and as the mean of the code
vectors."""


@dataclass(frozen=True)
class RelevancePoint:
    """Figures of a rule.

    Attributes:
        rule: the rule.
        shown: one of SHOWN; None where no tokens are missing.
        share_sent: share of the tokens that are sent; of codecs, share of the bits of all tokens.
        bits: bits per picture, those of the rule included; None for photographs.
        esn0_db: Es/N0 in dB; None for no losses.
        mcs: name of the MCS; None for no losses.
        accuracy: share of pictures whose class the judge names.
        classifier_accuracy: share of pictures whose class the model's classifier names.
        psnr_db: mean PSNR with respect to the photographs; None for the photographs themselves.
        pictures: number of pictures.
    """

    rule: str
    shown: str | None
    share_sent: float
    bits: int | None
    esn0_db: float | None
    mcs: str | None
    accuracy: float
    classifier_accuracy: float
    psnr_db: float | None
    pictures: int


class Judge:
    """Classifier made of EfficientNet-Lite0 and a linear layer, trained on photographs.

    Args:
        pictures: uint8 (n, size, size, 3).
        labels: int (n,).
        classes: number of classes.
        kept: folder of the cache of features.
    """

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, classes: int, kept: Path = FOLDER):
        self._trunk, _ = load_efficientnet_lite(0)
        path = kept / f"lite0-{key_of(pictures, SIDE)}.npy"
        if not path.exists():
            keep_array(self._features(pictures), path)
        features = torch.from_numpy(np.load(path))
        self._mean, self._scale = features.mean(0), features.std(0) + 1e-3
        self.content = key_of(pictures, labels, SIDE)
        self._layer = self._fitted((features - self._mean) / self._scale, torch.from_numpy(labels), classes)

    @staticmethod
    def _fitted(features: Tensor, labels: Tensor, classes: int) -> torch.nn.Linear:
        layer = torch.nn.Linear(features.shape[1], classes)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=EPOCHS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            found = F.cross_entropy(layer(features), labels) + WEIGHT_DECAY * layer.weight.square().sum()
            found.backward()
            return found

        optimizer.step(loss)
        return layer.requires_grad_(False)

    def _features(self, pictures: np.ndarray) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for start in range(0, len(pictures), 16):
                scaled = as_input(pictures[start : start + 16])
                found.append(self._trunk(F.interpolate(scaled, (SIDE, SIDE), mode="bilinear", align_corners=False)))
        return torch.cat(found).numpy()

    def names(self, pictures: np.ndarray) -> np.ndarray:
        """Find the class of each picture, int (n,)."""
        scaled = (torch.from_numpy(self._features(pictures)) - self._mean) / self._scale
        return self._layer(scaled).argmax(1).numpy()


class RelevanceBench:
    """Photographs whose tokens are sent in part.

    Args:
        pictures: uint8 (n, size, size, 3), photographs.
        labels: int (n,), their classes.
        tokens: int (n, rows, columns), their tokens.
        tokenizer: the model's tokenizer.
        prior: the model's prior.
        classifier: the model's classifier, the task that decides about relevance.
        judge: the network that judges.
        seed: seed of random choices and noise.
    """

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, tokens: np.ndarray, tokenizer: VQTokenizer, prior: Prior,
        classifier: Classifier, judge: Judge, seed: int = 0,
    ):  # fmt: skip
        self.pictures, self.labels, self.judge, self.seed = pictures, labels, judge, seed
        self.tokenizer, self.prior, self.classifier = tokenizer, prior, classifier
        self.frames = tokenizer.frames(tokens)
        self._choosers = {rule: TokenChooser(each, prior, tokenizer, classifier) for rule, each in CHOSEN.items()}
        code = code_of("tokcom.source", "tokcom.context", "tokcom.tokenizers"), code_of(__name__)
        shows = [each.float().numpy() for each in tokenizer.thinned.parameters()] if tokenizer.thinned else []
        parts = [tokenizer.codebook, prior.codebook, shows]
        self.content = [key_of(pictures, labels, tokens), *parts, judge.content, seed, code]
        self._random = np.random.default_rng(seed).random((len(tokens), prod(tokenizer.grid)))
        self._ranked: dict[tuple[str, int], np.ndarray | None] = {}

    @property
    def all_bits(self) -> int:
        """Bits of all tokens of a frame."""
        return prod(self.tokenizer.grid) * bits_per_token(self.tokenizer.codebook_size)

    def thinning(self, rule: str, number: int, count: int) -> Thinning:
        """Make the rule of one frame that sends `count` tokens.

        Raises:
            ParameterError: there is no such rule.
        """
        if rule not in TOKEN_RULES:
            raise ParameterError(f"rule is {rule!r}; it must be one of {', '.join(TOKEN_RULES)}")
        if rule in ("checkerboard", "spread"):
            return Thinning(rule, count)
        if rule == "random":
            return sent_first(np.argsort(self._random[number]), count)
        if rule == "low variance":
            return sent_first(np.argsort(-_variances(self.pictures[number], self.tokenizer.grid)), count)
        chooser, frame = self._choosers[rule], self.frames[number]
        ranked = self._ranked.get((rule, number))
        if ranked is None or len(ranked) < count:  # the first places are the same, whatever the number that is ranked
            ranked = self._ranked[rule, number] = chooser.ranked(frame, count)
        return chooser.thinning(frame, count, ranked)

    def sent(self, shown: str, rule: str, share: float) -> RelevancePoint:
        """Send a share of the tokens without losses; the bits are those of the rule and of the tokens."""
        count, pictures = round(share * prod(self.tokenizer.grid)), []
        for number, frame in enumerate(self.frames):
            thinning = self.thinning(rule, number, count)
            bits = self._bits(thinning)
            pictures.append(SHOWN[shown](_thinned(frame, thinning), self.prior, self.tokenizer))
        return self._judged(rule, shown, share, bits, np.stack(pictures))

    def _bits(self, thinning: Thinning) -> int:
        rule = 8 * rule_bytes(thinning.rule, self.tokenizer.grid)
        return rule + thinning.count * bits_per_token(self.tokenizer.codebook_size)

    def all_tokens(self) -> RelevancePoint:
        """Send all tokens."""
        return self._judged("all tokens", None, 1.0, self.all_bits, self.tokenizer.decode(self._tokens()))

    def photographs(self) -> RelevancePoint:
        """Judge the photographs themselves."""
        return RelevancePoint(
            "photographs", None, 1.0, None, None, None, *self._named(self.pictures), None, len(self.pictures)
        )

    def coded(self, codec: str, share: float) -> RelevancePoint:
        """Send pictures by another codec in as many bits, whose container is known to the receiver."""
        coder, shown = load_codec(codec, free_container=True), []
        for picture in self.pictures:
            own = coder.encode(picture, round(share * self.all_bits) // 8)
            shown.append(coder.decode(own, len(own.payload))[0])
        return self._judged(codec, None, share, round(share * self.all_bits), np.stack(shown))

    def over_the_air(self, shown: str, rule: str, share: float, mcs: Mcs, esn0_db: float) -> RelevancePoint:
        """Send tokens through noise, four per packet; those of packets that fail are filled in, too.

        The rule itself is assumed to arrive with the header.
        """
        link = PacketLink(LinkConfig("k7", mcs.modulation, 4, rate=mcs.rate), self.tokenizer.codebook_size)
        count, pictures = round(share * prod(self.tokenizer.grid)), []
        for number, frame in enumerate(self.frames):
            rng = np.random.default_rng([self.seed, number, round(1000 * esn0_db) & 0xFFFFFFFF])
            places = np.arange(len(frame.tokens))
            if rule != "all tokens":
                frame = _thinned(frame, self.thinning(rule, number, count))
                places = np.flatnonzero(~frame.lost)
            order = rng.permutation(places)[: len(places) // 4 * 4].reshape(-1, 4)
            symbols = awgn(link.modulate(frame.tokens[order]), esn0_db, rng)
            decoded, ok = link.decode(link.demap(symbols, noise_variance(esn0_db)))
            tokens = np.full_like(frame.tokens, LOST)
            tokens[order[ok]] = decoded[ok]
            pictures.append(SHOWN[shown](frame.with_tokens(tokens), self.prior, self.tokenizer))
        bits = order.size * bits_per_token(frame.codebook_size)
        found = self._judged(rule, shown, share, bits, np.stack(pictures))
        return replace(found, esn0_db=esn0_db, mcs=mcs.name)

    def examples(self, share: float, numbers: Sequence[int]) -> list[tuple[str, list[np.ndarray]]]:
        """Return titles and pictures of some frames: photographs, all tokens, and rules without and with filling."""
        columns = [
            ("photograph", [self.pictures[number] for number in numbers]),
            ("all tokens", [self.tokenizer.detokenize(self.frames[number]) for number in numbers]),
        ]
        for rule in ("distortion", "random"):
            filled, grey = zip(*(self._shown(rule, share, number) for number in numbers), strict=True)
            columns += [(f"{rule}, {share:.0%} sent", list(grey)), ("filled in", list(filled))]
        return columns

    def _shown(self, rule: str, share: float, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one picture as filled in, and with the tokens not sent in grey."""
        frame = self.frames[number]
        thinning = self.thinning(rule, number, round(share * len(frame.tokens)))
        found = _thinned(frame, thinning)
        return filled_picture(found, self.prior, self.tokenizer), self.tokenizer.detokenize(found)

    def _tokens(self) -> np.ndarray:
        return np.stack([frame.tokens.reshape(frame.grid) for frame in self.frames])

    def _named(self, shown: np.ndarray) -> tuple[float, float]:
        """Compute the shares of pictures whose class judge and classifier name."""
        names = self.judge.names(shown), self.classifier.log_probabilities(shown).argmax(1)
        return tuple(float((each == self.labels).mean()) for each in names)

    def _judged(self, rule: str, shown: str | None, share: float, bits: int, pictures: np.ndarray) -> RelevancePoint:
        psnr = float(np.mean([psnr_db(*pair) for pair in zip(self.pictures, pictures, strict=True)]))
        return RelevancePoint(rule, shown, share, bits, None, None, *self._named(pictures), psnr, len(pictures))


def relevance_points(
    bench: RelevanceBench, shares: Sequence[float], rules: Sequence[str], shown: Sequence[str],
    esn0_db: Sequence[float], dense: Mcs, robust: Mcs, progress: Callable[[int], None] = lambda done: None,
    kept: Path | None = None,
) -> Iterator[RelevancePoint]:  # fmt: skip
    """Measure all rules and codecs.

    Args:
        bench: the photographs.
        shares: shares of the tokens.
        rules: rules of TOKEN_RULES and codecs of CODECS.
        shown: ways of SHOWN to show missing tokens.
        esn0_db: Es/N0 in dB at which all tokens by `dense` are compared with half of them by `robust`.
        dense: MCS of all tokens.
        robust: MCS of half as many bits per symbol.
        progress: called after each point.
        kept: folder of the cache of points, from which an interrupted run resumes; None for no cache.
    """
    tasks: list[tuple[str, Callable[..., RelevancePoint], tuple]] = [
        ("photographs", bench.photographs, ()), ("all tokens", bench.all_tokens, ())
    ]  # fmt: skip
    for share, rule in product(shares, rules):
        if rule in CODECS:
            tasks.append(("coded", bench.coded, (rule, share)))
        else:
            tasks += [("sent", bench.sent, (way, rule, share)) for way in shown]
    for value, way in product(esn0_db, shown):
        tasks.append(("air", bench.over_the_air, (way, "all tokens", 1.0, dense, value)))
        tasks += [("air", bench.over_the_air, (way, rule, 0.5, robust, value)) for rule in ("relevance", "random")]
    table = None if kept is None else Table(kept / RESULTS, "relevance")
    for name, measure, arguments in tasks:
        key = key_of(bench.content, name, arguments)
        known = [] if table is None else list(table.find([key]))
        point = RelevancePoint(**known[0][1]) if known else measure(*arguments)
        if table is not None and not known:
            table.add({key: (asdict(point), None)})
        yield point
        progress(1)


def _thinned(frame: TokenFrame, thinning: Thinning) -> TokenFrame:
    """Return a frame with a rule, and LOST tokens where it does not send them."""
    rule = thinning.to_bytes(frame.grid)
    return replace(frame, tokens=np.where(sent_mask(rule, frame.grid), frame.tokens, LOST), thinning=rule)


def _variances(picture: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Compute the variance of each token's pixels, float64 (n_tokens,)."""
    rows, columns = grid
    patches = picture.astype(float).reshape(rows, picture.shape[0] // rows, columns, picture.shape[1] // columns, 3)
    return patches.var(axis=(1, 3)).sum(axis=-1).ravel()
