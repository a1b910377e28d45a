"""Text as words of a language model's vocabulary, and back without loss.

The words are those that the model was trained on, so its own files say how text is cut (Hugging Face `tokenizers`: BPE,
WordPiece, unigram). What a vocabulary cannot spell goes byte by byte behind a control word, so that every text comes
out as it went in; text that looks like a control word is spelled like any other.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO

import numpy as np

from tokcom.errors import ModelError, TextError
from tokcom.frame import LOST, TokenFrame

MODALITY = "text"
MAX_CHARACTERS = 1 << 16
"""Greatest length of one text; a longer one is sent in pieces."""
SURE = 0.999
"""Probability from which a word is sure."""
DIGITS = "0123456789abcdef"
UNKNOWN = "\N{REPLACEMENT CHARACTER}".encode()
"""Stands in a text for a token that is lost, or that is no text."""


@dataclass(frozen=True)
class Word:
    """A word of a received text, or the white space between two.

    Attributes:
        text: its characters.
        confidence: the least of its tokens' probabilities.
        tokens: which tokens it has a share in.
    """

    text: str
    confidence: float
    tokens: slice

    @property
    def sure(self) -> bool:
        """Whether it may be shown without a mark."""
        return self.confidence >= SURE


def pieces(text: str, characters: int = MAX_CHARACTERS) -> Iterator[str]:
    """Cut a text into pieces of limited length, after white space if the second half of a piece has any. Joined, the
    pieces are the text.

    Raises:
        TextError: the number of characters is below 1.
    """
    if characters < 1:
        raise TextError(f"characters is {characters}; it must be at least 1")
    while len(text) > characters:
        space = max((text.rfind(each, characters // 2, characters) for each in " \n\t"), default=-1)
        cut = space + 1 if space >= 0 else characters
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def marked_parts(text: bytes, unsure: np.ndarray) -> list[tuple[str, bool]]:
    """Split a received text into parts that are certain and words that are not.

    Args:
        text: the text in UTF-8.
        unsure: int (2n,), first byte and length of each word that is not certain, in order.

    Returns:
        Each part that is not empty, and whether it is certain.

    Raises:
        TextError: the words are no such pairs, not in order, or lie outside the text.
    """
    if unsure.size % 2:
        raise TextError("unsure words are a first byte and a length each")
    words = unsure.reshape(-1, 2).astype(np.int64)
    if (words < 0).any() or (words.sum(axis=1) > len(text)).any():
        raise TextError(f"unsure words lie outside a text of {len(text)} bytes")
    if (words[1:, 0] < words[:-1].sum(axis=1)).any():
        raise TextError("unsure words overlap; each must begin behind the one before it")
    parts, done = [], 0
    for first, length in words.tolist():
        parts += [(text[done:first], True), (text[first : first + length], False)]
        done = first + length
    return [(part.decode("utf-8", "replace"), sure) for part, sure in [*parts, (text[done:], True)] if part]


def bounded_lines(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Read lines of UTF-8, of which none is kept in memory beyond a length: longer ones come in parts, cut behind white
    space if the second half of a part has any, else between two characters. Joined, the parts are the file.

    Args:
        file: the file; it may be endless.
        most: bytes of a part, at least 4.

    Raises:
        TextError: `most` is below 4.
        OSError: the file cannot be read.
    """
    if most < 4:
        raise TextError(f"most is {most}; a character takes up to 4 bytes")
    rest = b""
    while added := file.readline(most - len(rest)):
        rest += added
        if rest.endswith(b"\n"):
            yield rest
            rest = b""
        elif len(rest) == most:
            cut = 1 + max(rest.rfind(each, most // 2) for each in (b" ", b"\t"))
            cut = cut or _whole_characters(rest)
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _whole_characters(part: bytes) -> int:
    """Bytes of a part of UTF-8 without the character that it breaks off in."""
    for missing in (1, 2, 3):
        lead = part[-missing]
        if lead & 0xC0 != 0x80:  # the first byte of a character; the others are 10xxxxxx
            length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
            return len(part) - missing if length > missing else len(part)
    return len(part)


class TextTokenizer:
    """Turns text into tokens of a vocabulary and back.

    Args:
        description: content of a `tokenizer.json`.
        codebook: name of the codebook that the vocabulary is.
        codebook_size: words of the codebook, at least those of the vocabulary; None: as many.

    Raises:
        ModelError: it is no such description, or has more words than the codebook.
    """

    def __init__(self, description: bytes, codebook: str, codebook_size: int | None = None):
        from tokenizers import Tokenizer

        try:
            content = json.loads(description)
            added = content["added_tokens"]
            self.control = tuple(sorted(int(each["id"]) for each in added if each.get("special")))
            # Control words in a text are nothing but text.
            content["added_tokens"] = [each for each in added if not each.get("special")]
            content |= {"post_processor": None, "truncation": None, "padding": None}
            self._tokenizer = Tokenizer.from_str(json.dumps(content))
        except Exception as error:  # what tokenizers raises is a bare Exception
            raise ModelError(f"the vocabulary of {codebook} cannot be read: {error}") from None
        words = self._tokenizer.get_vocab(with_added_tokens=True)
        size = max([*words.values(), *self.control]) + 1
        if codebook_size is not None and size > codebook_size:
            raise ModelError(f"{codebook} has {codebook_size} words, and its vocabulary {size}")
        self.codebook, self.codebook_size = codebook, codebook_size or size
        self._escape = self.control[-1] if self.control else None
        self._digits = [self._tokenizer.token_to_id(digit) for digit in DIGITS]
        self._bytes = _byte_words(words) if _is_by_bytes(content) else None

    def tokenize(self, text: str, frame_id: int = 0) -> TokenFrame:
        """The frame of a text.

        Raises:
            TextError: it is empty, too long, holds half a surrogate pair, or cannot be spelled.
        """
        if not text:
            raise TextError("the text is empty; there is nothing to send")
        if len(text) > MAX_CHARACTERS:
            raise TextError(
                f"the text has {len(text)} characters; at most {MAX_CHARACTERS} go into one frame: split it"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextError(f"character {error.start} of the text is half a surrogate pair; it is no Unicode") from None
        tokens = np.array(self._spelled(text), np.int32)
        return TokenFrame(tokens, self.codebook, self.codebook_size, (len(tokens),), MODALITY, frame_id=frame_id)

    def detokenize(self, tokens: np.ndarray) -> str:
        """The text of tokens, int (n,); what is lost or no text shows as U+FFFD."""
        return b"".join(part for part, _ in self._parts(np.asarray(tokens).tolist())).decode("utf-8", "replace")

    def words(self, tokens: np.ndarray, confidence: np.ndarray) -> list[Word]:
        """The words of tokens, int (n,), and how sure each is by the tokens' probabilities, float (n,); white space
        between words comes in between."""
        whole, places = bytearray(), []
        for part, own in self._parts(np.asarray(tokens).tolist()):
            whole += part
            places += [own] * len(part)
        found = []
        for match in re.finditer(rb"\s+|\S+", bytes(whole)):
            held = slice(places[match.start()].start, places[match.end() - 1].stop)
            found.append(Word(match[0].decode("utf-8", "replace"), float(np.min(confidence[held])), held))
        return found

    def _spelled(self, text: str) -> list[int]:
        tokens = self._encoded(text)
        if tokens is not None:
            return tokens
        plain = {each: self._encoded(each) is not None for each in set(text)}
        spelled = []
        for is_plain, characters in groupby(text, plain.__getitem__):
            run = "".join(characters)
            tokens = self._encoded(run) if is_plain else None
            spelled += self._escaped(run) if tokens is None else tokens
        if self.detokenize(np.array(spelled)) != text:
            spelled = self._escaped(text)
        return spelled

    def _encoded(self, text: str) -> list[int] | None:
        """Tokens of a text by the vocabulary alone; None where they do not give it back."""
        tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        exact = (
            tokens and not set(tokens) & set(self.control) and self._plain(tokens).decode("utf-8", "replace") == text
        )
        return tokens if exact else None

    def _escaped(self, text: str) -> list[int]:
        if self._escape is None or None in self._digits:
            raise TextError(f"{text[:20]!r} cannot be spelled with the words of {self.codebook}; leave it out")
        return [
            token
            for each in text.encode()
            for token in (self._escape, self._digits[each >> 4], self._digits[each & 15])
        ]

    def _plain(self, tokens: list[int]) -> bytes:
        """The bytes of tokens without control words."""
        if self._bytes is not None:
            return b"".join(self._bytes.get(token, UNKNOWN) for token in tokens)
        return self._tokenizer.decode(tokens, skip_special_tokens=False).encode()

    def _parts(self, tokens: list[int]) -> list[tuple[bytes, slice]]:
        """Contribution of each token, or each escaped byte, to the text, with the tokens that it comes from."""
        parts, run, place = [], 0, 0
        while place < len(tokens):
            escaped = tokens[place + 1 : place + 3] if tokens[place] == self._escape else []
            if len(escaped) == 2 and all(token in self._digits for token in escaped):
                high, low = map(self._digits.index, escaped)
                parts.append((bytes([16 * high + low]), slice(place, place + 3)))
                place = run = place + 3
                continue
            if tokens[place] == LOST or tokens[place] in self.control or tokens[place] >= self.codebook_size:
                parts.append((UNKNOWN, slice(place, place + 1)))
                place = run = place + 1
                continue
            if self._bytes is not None:
                added = self._bytes.get(tokens[place], UNKNOWN)
            else:
                # Of others than byte vocabularies a word's spelling depends on those before it.
                added = self._plain(tokens[run : place + 1])[len(self._plain(tokens[run:place])) :]
            parts.append((added, slice(place, place + 1)))
            place += 1
        return parts


def _is_by_bytes(content: dict) -> bool:
    """Whether every word of a vocabulary is a run of bytes, written with GPT-2's alphabet."""
    decoder = content.get("decoder") or {}
    return decoder.get("type") == "ByteLevel"


def _byte_words(words: dict[str, int]) -> dict[int, bytes]:
    """The bytes of each word by its number. GPT-2's alphabet writes printable bytes as themselves, and the others, in
    order, as the characters from 256."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
    return {
        number: bytes(alphabet[each] for each in word)
        for word, number in words.items()
        if all(each in alphabet for each in word)
    }
