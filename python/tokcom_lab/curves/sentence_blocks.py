"""Whole sentences as blocks of a K=3 code, BPSK, AWGN: the setting of LLM-Viterbi (arXiv 2604.19035).

There a byte-level language model scores paths of a list Viterbi decoder over ASCII. Beside it stands the same code
over ASCII decoded by Viterbi alone, and our tokens in one packet per sentence.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import viterbi
from tokcom.errors import DatasetError
from tokcom.link.known_noise import PlainLink
from tokcom.link.packet_link import LinkConfig
from tokcom.link.recovery import FrameRecovery
from tokcom.modulation.constellation import Constellation
from tokcom.packets.layout import CONTIGUOUS
from tokcom.tokenizers.text import TextTokenizer

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
    sentences: Sequence[str], tokenizer: TextTokenizer, recovery: FrameRecovery, esn0_db: Sequence[float],
    seed: int = 0, progress: Callable[[int], None] = lambda done: None,
) -> list[BlockErrors]:  # fmt: skip
    """Send every sentence at every Es/N0.

    Args:
        sentences: of plain ASCII.
        tokenizer: of the language model.
        recovery: of mode "context".
        esn0_db: Es/N0 in dB.
        seed: of the noise.
        progress: called with the number of sentences done since the last call.
    """
    curve = []
    for value in esn0_db:
        wrong = np.zeros(3)
        for number, sentence in enumerate(sentences):
            rng = np.random.default_rng([seed, number, round(value * 1000) & 0xFFFFFFFF])
            frame = tokenizer.tokenize(sentence)
            config = LinkConfig(CODE, MODULATION, len(frame.tokens))
            link = PlainLink(config, tokenizer.codebook_size, layout=CONTIGUOUS)
            (arrival,) = link.receive(link.transmit(frame).in_noise(value, rng))
            recovered = recovery.recover(arrival.frame, arrival.received).frame
            wrong += (
                _ascii_is_wrong(sentence, value, rng),
                not np.array_equal(arrival.tokens[0], frame.tokens),
                not np.array_equal(recovered.tokens, frame.tokens),
            )
            progress(1)
        curve.append(BlockErrors(value, *(wrong / len(sentences)).tolist(), len(sentences)))
    return curve


def esn0_at_bler(curve: Sequence[BlockErrors], name: str, bler: float = BLER) -> float | None:
    """Es/N0 in dB at which a block error rate falls to a value, interpolated; None where it does not."""
    ordered = sorted(curve, key=lambda point: point.esn0_db)
    for before, after in pairwise(ordered):
        high, low = getattr(before, name), getattr(after, name)
        if high >= bler > low:
            return float(before.esn0_db + (high - bler) / (high - low) * (after.esn0_db - before.esn0_db))
    return None


def _ascii_is_wrong(sentence: str, esn0_db: float, rng: np.random.Generator) -> bool:
    """Whether Viterbi alone gets a bit of the sentence's characters wrong."""
    code, constellation = ConvolutionalCode.named(CODE), Constellation(MODULATION)
    bits = np.unpackbits(np.frombuffer(sentence.encode(), np.uint8))[None]
    coded = code.encode(bits)
    symbols = awgn(constellation.map(coded), esn0_db, rng)
    llrs = constellation.llrs(symbols, noise_variance(esn0_db), coded.shape[1], "exact")
    return not np.array_equal(viterbi(code, llrs, bits.shape[1]), bits)
