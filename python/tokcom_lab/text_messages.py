"""Messages to measure text with: prose of this project's own documentation, which no model has learnt, or of files."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tokcom.errors import DatasetError
from tokcom.tokenizers.text import TextTokenizer

LEAST_CHARACTERS = 40
"""Shortest paragraph that counts as prose."""
NO_PROSE = tuple("|`#!<>-*[0123456789")
"""Beginnings of lines of tables, lists, headings, figures and code."""


def paragraphs(paths: Iterable[Path]) -> list[str]:
    """Paragraphs of prose of Markdown and text files, white space made plain, in order.

    Raises:
        DatasetError: a file cannot be read, or is not UTF-8.
    """
    found = []
    for path in paths:
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: byte {error.start} is not UTF-8; convert the file") from None
        except OSError as error:
            raise DatasetError(f"{path}: {error.strerror}") from None
        plain = re.sub(r"```.*?```", "", content, flags=re.S)
        for part in plain.split("\n\n"):
            joined = " ".join(part.split())
            if len(joined) >= LEAST_CHARACTERS and not joined.startswith(NO_PROSE):
                found.append(joined)
    return found


def text_files(folders: Sequence[Path]) -> list[Path]:
    """Files of text in folders, sorted; a file stands for itself.

    Raises:
        DatasetError: there are none.
    """
    found = []
    for folder in folders:
        inside = [path for suffix in ("md", "txt") for path in folder.rglob(f"*.{suffix}")]
        found += sorted(inside) if folder.is_dir() else [folder]
    if not found:
        raise DatasetError(f"no .txt or .md files in {', '.join(map(str, folders))}")
    return found


def cut_messages(
    texts: Sequence[str], tokenizer: TextTokenizer, count: int, least: int, most: int, seed: int
) -> list[str]:
    """Messages of `least` to `most` tokens: paragraphs in a random order, those joined that are too short, each cut at
    a length that is drawn.

    Args:
        texts: paragraphs.
        tokenizer: whose tokens are counted.
        count: messages.
        least, most: tokens in each.
        seed: of the draws.

    Raises:
        DatasetError: the texts do not suffice.
    """
    rng, messages, rest = np.random.default_rng(seed), [], ""
    for place in rng.permutation(len(texts)):
        rest = f"{rest} {texts[place]}" if rest else texts[place]
        length = int(rng.integers(least, most + 1))
        tokens = tokenizer.tokenize(rest).tokens
        if len(tokens) < length:
            continue
        cut = tokenizer.detokenize(tokens[:length])
        # A message may end inside a word, and never inside a character.
        if len(tokenizer.tokenize(cut.rstrip("\N{REPLACEMENT CHARACTER}")).tokens) >= least:
            messages.append(cut.rstrip("\N{REPLACEMENT CHARACTER}"))
        rest = ""
        if len(messages) == count:
            return messages
    raise DatasetError(
        f"{len(texts)} paragraphs give {len(messages)} messages of {least} to {most} tokens, not {count}; name more "
        "text with --data, or fewer --messages"
    )
