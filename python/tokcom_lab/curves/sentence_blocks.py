"""Whole sentences as blocks of a K=3 code, BPSK, AWGN: the setting of LLM-Viterbi (arXiv 2604.19035).

There a byte-level language model scores paths of a list Viterbi decoder over ASCII. Beside it stands the same code
over ASCII decoded by Viterbi alone, and our tokens in one packet per sentence.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.errors import DatasetError
from tokcom.link.known_noise import PlainLink
from tokcom.link.packet_link import LinkConfig
from tokcom.modulation.constellation import Constellation
from tokcom.packets.layout import CONTIGUOUS
from tokcom_lab.cache import code_of
from tokcom_lab.curves.calibration import wilson
from tokcom_lab.curves.crossing import esn0_at
from tokcom_lab.curves.plain_block import is_decoded_wrong
from tokcom_lab.curves.text_curve import TextBench

CODE, MODULATION = "k3", "bpsk"
SHORTEST, LONGEST = 40, 100
"""Characters of a sentence."""
BLER = 0.1
"""Block error rate whose Es/N0 is reported."""


@dataclass(frozen=True)
class BlockErrors:
    """Shares of sentences that are not word for word what was sent.

    Attributes:
        esn0_db: Es/N0 in dB, of a coded bit.
        ascii_viterbi: 8 bits per character, Viterbi.
        tokens_viterbi: 16 bits per token and an 11-bit CRC, Viterbi.
        context: the same, decoded with the language model.
        sentences: how many.
    """

    esn0_db: float
    ascii_viterbi: float
    tokens_viterbi: float
    context: float
    sentences: int


RECEIVERS = "ascii_viterbi", "tokens_viterbi", "context"


def sentences_of(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Sentences of plain ASCII, drawn from paragraphs.

    Raises:
        DatasetError: there are too few.
    """
    found = []
    for text in texts:
        found += [
            each for each in re.split(r"(?<=[.!?]) ", text) if SHORTEST <= len(each) <= LONGEST and each.isascii()
        ]
    found = list(dict.fromkeys(found))
    if len(found) < count:
        raise DatasetError(f"{len(found)} sentences of {SHORTEST} to {LONGEST} characters are here, not {count}")
    return [found[place] for place in np.random.default_rng(seed).permutation(len(found))[:count]]


def block_errors(
    bench: TextBench, sentences: Sequence[str], esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> list[BlockErrors]:  # fmt: skip
    """Send every sentence at every Es/N0.

    Args:
        bench: with the receiver "context"; an interrupted run resumes from its cache.
        sentences: of plain ASCII; the number of a sentence seeds its noise.
        esn0_db: Es/N0 in dB.
        progress: called with the number of sentences done since the last call.
    """
    wrong = np.zeros((len(esn0_db), len(RECEIVERS)))
    for number, sentence in enumerate(sentences):
        for place, value in enumerate(esn0_db):
            wrong[place] += bench.remembered(
                [CODE, MODULATION, code_of(__name__, is_decoded_wrong.__module__), sentence, number, value],
                partial(_wrong, bench, sentence, value, number),
            )
            progress(1)
    shares = (wrong / len(sentences)).tolist()
    return [BlockErrors(value, *own, len(sentences)) for value, own in zip(esn0_db, shares, strict=True)]


def block_figures(curve: Sequence[BlockErrors]) -> dict:
    """The curve with 95 % intervals (Wilson), and where each receiver reaches BLER."""
    points = []
    for each in curve:
        intervals = {name: wilson(round(getattr(each, name) * each.sentences), each.sentences) for name in RECEIVERS}
        points.append(asdict(each) | {"ci": intervals})
    return {"curve": points, "esn0_db_at_bler_10": {name: esn0_at_bler(curve, name) for name in RECEIVERS}}


def _wrong(bench: TextBench, sentence: str, esn0_db: float, number: int) -> list[bool]:
    """Whether each receiver gets a sentence wrong."""
    rng = np.random.default_rng([bench.seed, number, round(esn0_db * 1000) & 0xFFFFFFFF])
    tokenizer = bench.link.tokenizer
    frame = tokenizer.tokenize(sentence)
    link = PlainLink(LinkConfig(CODE, MODULATION, len(frame.tokens)), tokenizer.codebook_size, layout=CONTIGUOUS)
    (arrival,) = link.receive(link.transmit(frame).in_noise(esn0_db, rng))
    recovered = bench.link.recoveries["context"].recover(arrival.frame, arrival.received).frame
    return [
        _ascii_is_wrong(sentence, esn0_db, rng),
        not np.array_equal(arrival.tokens[0], frame.tokens),
        not np.array_equal(recovered.tokens, frame.tokens),
    ]


def esn0_at_bler(curve: Sequence[BlockErrors], name: str, bler: float = BLER) -> float | None:
    """Es/N0 in dB at which a block error rate falls to a value, interpolated; None where it does not."""
    return esn0_at(((point.esn0_db, getattr(point, name)) for point in curve), bler)


def _ascii_is_wrong(sentence: str, esn0_db: float, rng: np.random.Generator) -> bool:
    """Whether Viterbi alone gets a bit of the sentence's characters wrong."""
    bits = np.unpackbits(np.frombuffer(sentence.encode(), np.uint8))[None]
    return is_decoded_wrong(bits, ConvolutionalCode.named(CODE), Constellation(MODULATION), esn0_db, rng)
