"""File format of texts coded with a language model.

All numbers are unsigned and little-endian; a string is one byte of length followed by that many bytes of UTF-8.

    magic 89 54 4B 54, version (1 byte)
    codebook (string), number of texts (2 bytes)
    for each text: name (string), tokens (4 bytes; 0: not coded), bytes (4 bytes)
    for each block: its length (4 bytes)
    CRC-32 of everything above (4 bytes)
    blocks

A coded text has one block per BLOCK_TOKENS tokens: a hash of CHECK_BITS bits and the coder's bits. The model reads on
from block to block, so that what follows a damaged one is lost; every BLOCKS_PER_WINDOW blocks it begins again with the
last KEPT_TOKENS tokens, so that neither time nor memory grow with the text. A text that is not shorter when coded is
one block of UTF-8.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING
from tokcom.errors import ModelError, SourceError
from tokcom.source.byte_reader import ByteReader, string_bytes, with_crc
from tokcom.source.causal_code import check_bits, decided, decode_causal, encode_decided
from tokcom.tokenizers.text import TextTokenizer, pieces

MAGIC = b"\x89TKT"
VERSION = 2
BLOCK_TOKENS, BLOCKS_PER_WINDOW, KEPT_TOKENS = 512, 3, 256
CHECK_BITS = 16
MAX_BYTES = 1 << 24
"""Largest number of bytes of one text."""
MAX_TEXTS = (1 << 16) - 1


@dataclass(frozen=True)
class CodedText:
    """A text, not yet decoded.

    Attributes:
        name: the user's name of it.
        tokens: number of tokens; 0 if it is not coded.
        n_bytes: its length in UTF-8.
        blocks: coded tokens, or one block of UTF-8.
    """

    name: str
    tokens: int
    n_bytes: int
    blocks: tuple[bytes, ...]

    def decode(
        self, prior: CausalPrior | None, tokenizer: TextTokenizer | None,
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> "DecodedText":  # fmt: skip
        """Decode the blocks, up to the first that is damaged.

        Args:
            prior: the language model, as at the encoder; None if the text is not coded.
            tokenizer: the tokenizer of its codebook.
            progress: called with the number of tokens decoded since the last call.
        """
        if not self.tokens:
            return DecodedText(self.blocks[0], None)
        tokens, error, paths = np.zeros(0, np.int32), None, None
        for number, block in enumerate(self.blocks):
            count = min(BLOCK_TOKENS, self.tokens - number * BLOCK_TOKENS)
            if number % BLOCKS_PER_WINDOW == 0:
                paths = _window(prior, tokens)
            try:
                found = _decoded(block, count, paths, prior)
            except SourceError as wrong:
                error = SourceError(f"block {number + 1} of {len(self.blocks)}: {wrong}")
                break
            tokens = np.concatenate([tokens, found])
            progress(count)
        content = tokenizer.detokenize(tokens).encode()
        if error is None and len(content) != self.n_bytes:
            error = SourceError(f"it decodes to {len(content)} bytes; its header announces {self.n_bytes}")
        return DecodedText(content, error)


@dataclass(frozen=True)
class DecodedText:
    """A text in UTF-8, and why the rest of it is missing, if it is."""

    content: bytes
    error: SourceError | None


def _decoded(block: bytes, count: int, paths: Paths, prior: CausalPrior) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(block, np.uint8))
    found = np.fromiter(decode_causal(bits[CHECK_BITS:], paths, prior.codebook_size, count), np.int32)
    if not np.array_equal(check_bits(prior.codebook, found, CHECK_BITS), bits[:CHECK_BITS]):
        raise SourceError("its check fails: it is corrupt, or was coded with another model")
    return found


def code_text(
    name: str,
    text: str,
    prior: CausalPrior,
    tokenizer: TextTokenizer,
    progress: Callable[[float], None] = lambda s: None,
) -> CodedText:
    """Code a text.

    Args:
        name: the user's name of it.
        text: the text, not empty.
        prior: a language model in full precision.
        tokenizer: the tokenizer of its codebook.
        progress: called with the share that was done since the last call.

    Raises:
        ModelError: tokenizer and prior are of different codebooks.
        SourceError: the text is empty or longer than MAX_BYTES; constriction is not installed.
        TextError: the text is no Unicode.
    """
    if tokenizer.codebook != prior.codebook:
        raise ModelError(f"the tokenizer is of {tokenizer.codebook}, the model of {prior.codebook}")
    tokens = np.concatenate([tokenizer.tokenize(part).tokens for part in pieces(text)] or [np.zeros(0, np.int32)])
    plain = text.encode()
    if not 0 < len(plain) <= MAX_BYTES:
        raise SourceError(f"the text has {len(plain)} bytes; it must have 1 to {MAX_BYTES}")
    blocks = []
    for number, block in enumerate(_coded(tokens, prior)):
        blocks.append(block)
        progress(min(BLOCK_TOKENS, len(tokens) - number * BLOCK_TOKENS) / len(tokens))
    if sum(map(len, blocks)) >= len(plain):
        return CodedText(name, 0, len(plain), (plain,))
    return CodedText(name, len(tokens), len(plain), tuple(blocks))


def texts_to_bytes(codebook: str, texts: Sequence[CodedText]) -> bytes:
    """Serialize texts that are coded with one model.

    Raises:
        SourceError: there are none, or more than MAX_TEXTS.
    """
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise SourceError(f"{len(texts)} texts; a file holds 1 to {MAX_TEXTS}")
    parts = [MAGIC, struct.pack("<B", VERSION), string_bytes(codebook), struct.pack("<H", len(texts))]
    for text in texts:
        parts += string_bytes(text.name), struct.pack("<II", text.tokens, text.n_bytes)
    parts += [struct.pack("<I", len(block)) for text in texts for block in text.blocks]
    return b"".join([with_crc(b"".join(parts)), *(block for text in texts for block in text.blocks)])


def texts_from_bytes(data: bytes) -> tuple[str, list[CodedText]]:
    """Parse a file of texts.

    Nothing larger than the file itself is allocated; announced sizes are checked against the data present.

    Returns:
        The codebook, and the texts.

    Raises:
        SourceError: the data are not such a file, have another version, or are corrupt.
    """
    reader = ByteReader(data)
    reader.require_format(MAGIC, VERSION, "coded texts")
    codebook = reader.string("the codebook")
    (count,) = reader.numbers("<H", "the number of texts")
    outlines = []
    for number in range(count):
        name = reader.string(f"the name of text {number + 1}")
        outlines.append((name, *reader.numbers("<II", f"the length of text {number + 1}")))
    numbers = [max(-(-tokens // BLOCK_TOKENS), 1) for _, tokens, _ in outlines]
    reader.require(4 * sum(numbers), f"the lengths of {sum(numbers)} blocks")
    lengths = iter(reader.numbers(f"<{sum(numbers)}I", "the lengths of blocks"))
    reader.require_crc()
    texts = []
    for (name, tokens, n_bytes), blocks in zip(outlines, numbers, strict=True):
        # A token stands for at least a byte's share: three tokens spell one that the vocabulary lacks.
        if not 0 < n_bytes <= MAX_BYTES or tokens > 3 * n_bytes:
            raise SourceError(f"it announces a text of {tokens} tokens and {n_bytes} bytes; at most {MAX_BYTES} bytes")
        own = tuple(reader.take(length, f"a block of {name!r}") for length in islice(lengths, blocks))
        if not tokens and len(own[0]) != n_bytes:
            raise SourceError(f"it announces a text of {n_bytes} bytes and holds {len(own[0])}")
        texts.append(CodedText(name, tokens, n_bytes, own))
    if reader.position != len(data):
        raise SourceError(f"{len(data) - reader.position} bytes follow its last block; something was appended")
    return codebook, texts


def _coded(tokens: np.ndarray, prior: CausalPrior) -> Iterator[bytes]:
    """Code the blocks of a text. All tokens of a window are known, so its passes need not end where its blocks do."""
    for start in range(0, len(tokens), BLOCKS_PER_WINDOW * BLOCK_TOKENS):
        own = tokens[start : start + BLOCKS_PER_WINDOW * BLOCK_TOKENS]
        rows = decided(own, _window(prior, tokens[:start]))
        for first in range(0, len(own), BLOCK_TOKENS):
            block = own[first : first + BLOCK_TOKENS]
            coded = encode_decided(list(islice(rows, len(block))))
            yield np.packbits(np.concatenate([check_bits(prior.codebook, block, CHECK_BITS), coded])).tobytes()


def _window(prior: CausalPrior, before: np.ndarray) -> Paths:
    """Return the path for the blocks of a window, given all tokens before it."""
    paths = prior.paths(NOTHING)
    if len(before):
        paths.follow(before[-KEPT_TOKENS:], weigh=False)
    return paths
