"""Energy per character: texts as ASCII, compressed by zstd or a language model, or as tokens that a model decodes.

All use the same code, K=7, and 16-QAM. A text that is compressed is one block without a check, which costs least. In
such a block one wrong bit spoils all that follows, so errors are counted per message: word for word, or wrong.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.context.causal import CausalPrior
from tokcom.context.condition import NOTHING
from tokcom.errors import TokcomError
from tokcom.modulation.constellation import Constellation
from tokcom.tokenizers.text import TextTokenizer
from tokcom_lab.cache import code_of
from tokcom_lab.curves.calibration import wilson
from tokcom_lab.curves.crossing import esn0_at
from tokcom_lab.curves.plain_block import is_decoded_wrong
from tokcom_lab.curves.text_curve import TextBench

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

MCS, CODE, MODULATION, ORDER = "16qam-1/2", "k7", "16qam", "ieee802.11"
RIVALS = {
    "ascii": "ASCII, Viterbi",
    "zstd": "zstd with a dictionary, Viterbi",
    "arithmetic": "arithmetic code of the language model, Viterbi",
}
OURS = {"frequencies": "tokens, words' frequencies", "context": "tokens, language model"}
LEVEL = 19
"""Level of zstd, its best without special memory."""
END_BITS = 2
"""Bits that end an arithmetic code."""
ERRORS = 0.1
"""Share of wrong messages at which energies are compared."""


def compressor(training: Sequence[str]) -> "ZstdCompressor":
    """A zstd that knows texts for training, without a header.

    Raises:
        TokcomError: the package zstandard is not installed.
    """
    try:
        import zstandard
    except ModuleNotFoundError:
        raise TokcomError("zstandard is not installed: pip install --no-deps -r requirements/text.txt") from None
    known = zstandard.ZstdCompressionDict("\n".join(training).encode(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    settings = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, dict_size=len(known), format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False,
        write_checksum=False, write_dict_id=False,
    )  # fmt: skip
    return zstandard.ZstdCompressor(dict_data=known, compression_params=settings)


def bits_of(text: str, tokenizer: TextTokenizer, prior: CausalPrior, zstd: "ZstdCompressor") -> dict[str, int]:
    """Bits that each rival takes for a text; those of the arithmetic code are what the model's probabilities allow."""
    nats = -float(prior.paths(NOTHING).follow(tokenizer.tokenize(text).tokens)[0])
    return {
        "ascii": 8 * len(text.encode()),
        "zstd": 8 * len(zstd.compress(text.encode())),
        "arithmetic": int(np.ceil(nats / np.log(2))) + END_BITS,
    }


def block_is_wrong(n_bits: int, esn0_db: float, rng: np.random.Generator) -> bool:
    """Whether a block of random bits is decoded wrong."""
    bits = rng.integers(0, 2, (1, n_bits), dtype=np.uint8)
    constellation = Constellation(MODULATION, ORDER)
    return is_decoded_wrong(bits, ConvolutionalCode.named(CODE), constellation, esn0_db, rng)


def symbols_of(n_bits: int) -> int:
    """Constellation symbols of a block."""
    order = Constellation(MODULATION, ORDER).bits_per_symbol
    return -(-ConvolutionalCode.named(CODE).coded_length(n_bits) // order)


def character_figures(
    bench: TextBench, texts: Sequence[str], training: Sequence[str], prior: CausalPrior, esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> dict:  # fmt: skip
    """Message errors over Es/N0, and what a character costs where one message in ten is wrong.

    Args:
        bench: of the MCS "16qam-1/2", with the receivers of OURS.
        texts: the messages.
        training: texts that zstd knows.
        prior: the language model.
        esn0_db: Es/N0 in dB.
        progress: called with the number of messages done since the last call.
    """
    zstd, characters = compressor(training), sum(map(len, texts))
    wrong = {name: np.zeros(len(esn0_db), np.int64) for name in (*RIVALS, *OURS)}
    bits, symbols = dict.fromkeys(wrong, 0), dict.fromkeys(wrong, 0)
    for number, text in enumerate(texts):
        lengths = bench.remembered(
            [code_of(__name__), text, training], lambda text=text: bits_of(text, bench.link.tokenizer, prior, zstd)
        )
        for name, length in lengths.items():
            bits[name] += length
            symbols[name] += symbols_of(length)
            for place, value in enumerate(esn0_db):
                rng = np.random.default_rng([bench.seed, number, round(value * 1000) & 0xFFFFFFFF, length])
                wrong[name][place] += block_is_wrong(length, value, rng)
        own = bench.link.tokenizer.tokenize(text)
        n_symbols = len(bench.link.link.transmit(own).symbols)
        for name in OURS:
            bits[name] += len(own.tokens) * (own.codebook_size - 1).bit_length()
            symbols[name] += n_symbols
    for message in bench.messages(texts, esn0_db, progress):
        if message.receiver in OURS:
            wrong[message.receiver][list(esn0_db).index(message.esn0_db)] += message.wrong > 0
    curve = [
        {
            "esn0_db": value,
            "scheme": name,
            "message_errors": int(wrong[name][place]) / len(texts),
            "ci": wilson(int(wrong[name][place]), len(texts)),
            "es_per_character_db": value + 10 * float(np.log10(symbols[name] / characters)),
            "messages": len(texts),
        }
        for name in wrong
        for place, value in enumerate(esn0_db)
    ]
    schemes = {}
    for name in wrong:
        reached = esn0_at(
            ((each["esn0_db"], each["message_errors"]) for each in curve if each["scheme"] == name), ERRORS
        )
        per_character = symbols[name] / characters
        schemes[name] = {
            "bits_per_character": bits[name] / characters,
            "symbols_per_character": per_character,
            "esn0_db_at_message_error_10": reached,
            "es_per_character_db": None if reached is None else reached + 10 * float(np.log10(per_character)),
        }
    return {"schemes": schemes, "curve": curve}
