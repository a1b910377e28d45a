"""Sizes of texts and short messages coded with a language model, beside general compressors."""

import bz2
import importlib
import json
import lzma
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from tokcom.context.causal import CausalPrior
from tokcom.context.condition import NOTHING
from tokcom.errors import DatasetError, TokcomError
from tokcom.source.decisions import Decisions
from tokcom.source.messages import MessageCoder
from tokcom.source.text_file import code_text
from tokcom.tokenizers.text import TextTokenizer

MODEL = "language model"
Sizes = Callable[[bytes], int]


def compressors() -> dict[str, Sizes]:
    """General compressors at their strongest setting: the size of data in bytes, by name."""
    import brotli
    import zstandard

    strongest = lzma.PRESET_EXTREME | 9
    return {
        "zstd -22": lambda data: len(zstandard.ZstdCompressor(level=22).compress(data)),
        "xz -9e": lambda data: len(lzma.compress(data, preset=strongest)),
        "bz2 -9": lambda data: len(bz2.compress(data, 9)),
        "brotli -q 11": lambda data: len(brotli.compress(data, quality=11)),
        "zlib -9": lambda data: len(zlib.compress(data, 9)),
    }


def text_sizes(
    texts: Mapping[str, str], prior: CausalPrior, tokenizer: TextTokenizer,
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Measure the bits per byte of texts, each compressed by itself; files' headers are not counted.

    Args:
        texts: texts by their names.
        prior: a language model in full precision.
        tokenizer: the tokenizer of its codebook.
        progress: called with the number of texts done since the last call.

    Returns:
        source, codec, bytes, bits_per_byte of every text and codec, then of all texts ("all").
    """
    others, sizes = compressors(), {}
    for name, text in texts.items():
        coded = code_text(name, text, prior, tokenizer)
        sizes[name, MODEL] = sum(map(len, coded.blocks))
        sizes |= {(name, codec): size(text.encode()) for codec, size in others.items()}
        progress(1)
    lengths = {name: len(text.encode()) for name, text in texts.items()}
    rows = [_row(name, codec, lengths[name], size) for (name, codec), size in sizes.items()]
    for codec in (MODEL, *others):
        total = sum(size for (_, own), size in sizes.items() if own == codec)
        rows.append(_row("all", codec, sum(lengths.values()), total))
    return rows


def _row(source: str, codec: str, length: int, size: int) -> dict:
    return {"source": source, "codec": codec, "bytes": length, "bits_per_byte": 8 * size / length}


def speed(text: str, prior: CausalPrior, tokenizer: TextTokenizer, runs: int = 3) -> tuple[float, float]:
    """Encode a text `runs` times, of which the fastest counts, and decode it once.

    Returns:
        The encoder's and the decoder's processor seconds per token.

    Raises:
        TokcomError: it does not come back as it was.
    """
    seconds = []
    for _ in range(runs):
        started = time.process_time()
        coded = code_text("", text, prior, tokenizer)
        seconds.append(time.process_time() - started)
    started = time.process_time()
    decoded = coded.decode(prior, tokenizer)
    decoder = time.process_time() - started
    if decoded.content != text.encode():
        raise TokcomError("a text does not come back as it was")
    return min(seconds) / coded.tokens, decoder / coded.tokens


def largest_difference(text: str, prior: CausalPrior, tokenizer: TextTokenizer, tokens: int = 128) -> float:
    """Largest difference between the encoder's and the decoder's log-odds of a text's decisions.

    Args:
        text: the text.
        prior: a language model in full precision.
        tokenizer: the tokenizer of its codebook.
        tokens: number of tokens, from the text's beginning.
    """
    known, largest, start = tokenizer.tokenize(text).tokens[:tokens], 0.0, 0
    one_by_one = prior.paths(NOTHING)
    for together in prior.paths(NOTHING).along(known):
        for row in together:
            token = known[start : start + 1]
            found = [Decisions(logs).of_tokens(token)[0] for logs in (row[None], one_by_one.log_probabilities)]
            largest = max(largest, float(np.abs(found[0] - found[1]).max()))
            one_by_one.follow(token, weigh=False)
            start += 1
    return largest


def message_sizes(
    messages: Mapping[str, Sequence[str]], coder: MessageCoder, rival: "NgramCoder | None" = None, decoded: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Measure the bytes of messages, each compressed by itself.

    Args:
        messages: lists of messages by their names.
        coder: the coder.
        rival: another coder of messages; None for none.
        decoded: number of messages of each list that are decoded, too, and compared.
        progress: called with the number of messages done since the last call.

    Returns:
        source, codec, messages, bytes, and the largest growth over UTF-8 in bytes.

    Raises:
        TokcomError: a message does not come back as it was.
    """
    rows = []
    for source, texts in messages.items():
        plain = [text.encode() for text in texts]
        found = {"UTF-8": list(map(len, plain)), MODEL: []}
        for number, text in enumerate(texts):
            data = coder.encode(text)
            if number < decoded and coder.decode(data) != text:
                raise TokcomError(f"message {text!r} does not come back as it was")
            found[MODEL].append(len(data))
            progress(1)
        found |= {codec: [size(data) for data in plain] for codec, size in compressors().items()}
        if rival is not None:
            found["n-grams"] = [rival.size(text) for text in texts]
        for codec, sizes in found.items():
            most = max(np.array(sizes) - found["UTF-8"])
            rows.append(
                {"source": source, "codec": codec, "messages": len(texts), "bytes": sum(sizes), "growth": int(most)}
            )
    return rows


class NgramCoder:
    """The n-gram coder of a checkout of mesh-compressor (Dima Panov), trained on its own messages.

    Args:
        folder: folder of the checkout.

    Raises:
        DatasetError: it is no such checkout.
    """

    EXAMPLES = (
        "Battery at 40%, switching to power save",
        "Check channel 5",
        "GPS: 57.153, 68.241 heading north",
    )
    """English messages whose sizes its README states."""

    def __init__(self, folder: Path):
        self._code = _module(folder)
        self._folder = folder
        texts = [row["text"] for row in self._rows("train") if row["lang"] in ("en", "ru")]
        self._model = self._code.train_model(texts)

    def size(self, text: str) -> int:
        """Bytes of a message."""
        return len(self._code.compress(text, self._model))

    def test_messages(self, count: int, seed: int) -> list[str]:
        """Draw English messages of its test split."""
        texts = [row["text"] for row in self._rows("test") if row["lang"] == "en"]
        return [texts[place] for place in np.random.default_rng(seed).permutation(len(texts))[:count]]

    def _rows(self, split: str) -> list[dict]:
        path = self._folder / "data" / "datasets" / f"{split}.jsonl"
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except OSError as error:
            raise DatasetError(f"{path}: {error.strerror}") from None


def _module(folder: Path) -> ModuleType:
    if not (folder / "src" / "compress.py").exists():
        raise DatasetError(f"{folder} holds no src/compress.py; name a checkout of mesh-compressor")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("src.compress")
    finally:
        sys.path.remove(str(folder))
