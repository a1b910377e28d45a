"""List decoding of tokens of a large codebook: what is lost where the prior names few of the words, and the time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.packet_codec import PacketCodec
from tokcom.context.prediction import Prediction
from tokcom.modulation.constellation import Constellation

CODE, MODULATION, TOKENS = "k7", "16qam", 4


@dataclass(frozen=True)
class VocabularyPoint:
    """Packets at one Es/N0, decoded with one kind of prior.

    Attributes:
        prior: "all words", "K words and levels" or "K words and rest".
        esn0_db: Es/N0 in dB.
        per: share of packets with a wrong token.
        ms_per_packet: processor time, median over packets, in milliseconds.
        packets: packets sent.
    """

    prior: str
    esn0_db: float
    per: float
    ms_per_packet: float
    packets: int


def vocabulary_points(
    codebook_size: int, exponent: float, named: Sequence[int], esn0_db: Sequence[float], packets: int, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[VocabularyPoint]:  # fmt: skip
    """Send packets of tokens that follow Zipf's law, in white Gaussian noise; the receiver knows each token's prior.

    Which words are likely differs from token to token, at random. All priors meet the same packets and noise.

    Args:
        codebook_size: words of the codebook.
        exponent: of Zipf's law.
        named: how many words a prior names.
        esn0_db: Es/N0 in dB.
        packets: at each point.
        seed: of words and noise.
        progress: called with the number of packets done since the last call.
    """
    codec, constellation = PacketCodec(CODE, codebook_size, TOKENS), Constellation(MODULATION)
    shares = np.arange(1, codebook_size + 1) ** -exponent
    shares /= shares.sum()
    logs = np.log(shares).astype(np.float32)
    kinds = _kinds(named)
    for point, value in enumerate(esn0_db):
        variance = noise_variance(value)
        wrong, taken = {name: 0 for name in kinds}, {name: [] for name in kinds}
        for number in range(packets):
            rng = np.random.default_rng([seed, point, number])
            order = np.stack([rng.permutation(codebook_size) for _ in range(TOKENS)])
            tokens = order[np.arange(TOKENS), rng.choice(codebook_size, TOKENS, p=shares)][None]
            whole = np.empty((1, TOKENS, codebook_size), np.float32)
            np.put_along_axis(whole[0], order, np.broadcast_to(logs, order.shape), -1)
            symbols = constellation.map(codec.encode(tokens))
            llrs = constellation.llrs(awgn(symbols, value, rng), variance, codec.coded_length, "maxlog")
            steps, dense = codec.list_decoder.steps(llrs), Prediction.dense(whole)
            for name, made in kinds.items():
                prior = made(dense)
                started = time.process_time()
                found = codec.list_decoder.decode(steps, prior)
                taken[name].append(1000 * (time.process_time() - started))
                wrong[name] += int((found.tokens != tokens).any())
            progress(1)
        for name in kinds:
            yield VocabularyPoint(name, value, wrong[name] / packets, float(np.median(taken[name])), packets)


def loss_db(points: Sequence[VocabularyPoint]) -> dict[str, float]:
    """Compute the loss in Es/N0, in dB, of each kind of prior relative to the prior over all words.

    The loss is the logarithm of the ratio of packet errors, summed over all points, divided by minus the slope of the
    logarithmic error curve of all words. The result is empty if that curve has fewer than two points with errors.
    """
    errors: dict[str, dict[float, float]] = {}
    for point in points:
        errors.setdefault(point.prior, {})[point.esn0_db] = point.per * point.packets
    whole = errors.pop("all words", {})
    seen = {value: count for value, count in whole.items() if count}
    if len(seen) < 2:
        return {}
    # The logarithm of a count has a standard deviation of about 1 / sqrt(count).
    slope = np.polyfit(list(seen), np.log(list(seen.values())), 1, w=np.sqrt(list(seen.values())))[0]
    return {
        name: round(float(-np.log(sum(curve.values()) / sum(whole.values())) / slope), 3)
        for name, curve in errors.items()
        if any(curve.values())
    }


def _kinds(named: Sequence[int]) -> dict[str, Callable[[Prediction], Prediction]]:
    kinds: dict[str, Callable[[Prediction], Prediction]] = {"all words": lambda dense: dense}
    for count in named:
        kinds[f"{count} words and levels"] = lambda dense, count=count: dense.top(count)
        kinds[f"{count} words and rest"] = lambda dense, count=count: replace(dense.top(count), levels=None)
    return kinds
