"""Messages to measure text with: prose of this project's own documentation, which no model has learnt, or of files."""

import ast
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokcom.errors import DatasetError, ParameterError
from tokcom.tokenizers.text import TextTokenizer

OWN_PROSE = (Path("docs"), Path("README.md"), Path("python"))
"""This project's own prose, from the root of a checkout."""
LEAST_CHARACTERS = 40
"""Shortest paragraph that counts as prose."""
LEAST_DOCSTRING = 150
"""Shortest docstring that does, in characters."""
TRAINING_SHARE = 0.2
"""Share of the paragraphs that calibration is fitted on; figures are measured on the others."""
NO_PROSE = tuple("|`#!<>-*[0123456789")
"""Beginnings of lines of tables, lists, headings, figures and code."""


def paragraphs(paths: Iterable[Path]) -> list[str]:
    """Paragraphs of prose of Markdown and text files, and docstrings of Python files, white space made plain, in order.

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
        if path.suffix == ".py":
            found += _docstrings(path, content)
            continue
        plain = re.sub(r"```.*?```", "", content, flags=re.S)
        for part in plain.split("\n\n"):
            joined = " ".join(part.split())
            if len(joined) >= LEAST_CHARACTERS and not joined.startswith(NO_PROSE):
                found.append(joined)
    return found


def _docstrings(path: Path, content: str) -> list[str]:
    """Docstrings of modules, classes and functions that are long enough."""
    try:
        nodes = ast.walk(ast.parse(content))
    except (SyntaxError, ValueError) as error:
        raise DatasetError(f"{path}: not a Python file ({error})") from None
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    joined = (" ".join((ast.get_docstring(each) or "").split()) for each in nodes if isinstance(each, documented))
    return [each for each in joined if len(each) >= LEAST_DOCSTRING]


def split(texts: Sequence[str], training: bool) -> list[str]:
    """The paragraphs for fits, or those for figures: by their content, so that they stay apart whatever joins them."""
    limit = int(TRAINING_SHARE * 2**32)
    return [each for each in texts if (zlib.crc32(each.encode()) < limit) == training]


def text_files(folders: Sequence[Path]) -> list[Path]:
    """Files of text in folders, sorted; a file stands for itself.

    Raises:
        DatasetError: there are none.
    """
    found = []
    for folder in folders:
        inside = [path for suffix in ("md", "txt", "py") for path in folder.rglob(f"*.{suffix}")]
        found += sorted(inside) if folder.is_dir() else [folder]
    if not found:
        raise DatasetError(f"no .txt, .md or .py files in {', '.join(map(str, folders))}")
    return found


@dataclass(frozen=True)
class MessageDraw:
    """Draw of messages that are cut from prose: `count` of `shortest` to `longest` tokens each, drawn from `seed`.

    Raises:
        ParameterError: `shortest` is above `longest`.
    """

    count: int
    shortest: int
    longest: int
    seed: int

    def __post_init__(self):
        if self.shortest > self.longest:
            raise ParameterError(f"shortest is {self.shortest}, longest {self.longest}; no message is of such a length")


def cut_messages(texts: Sequence[str], tokenizer: TextTokenizer, draw: MessageDraw) -> list[str]:
    """Cut messages: paragraphs in a random order, those joined that are too short, each cut at a length that is drawn.

    Args:
        texts: paragraphs.
        tokenizer: whose tokens are counted.
        draw: how many messages, and of which lengths.

    Raises:
        DatasetError: the texts do not suffice.
    """
    rng, messages, rest = np.random.default_rng(draw.seed), [], ""
    for place in rng.permutation(len(texts)):
        rest = f"{rest} {texts[place]}" if rest else texts[place]
        length = int(rng.integers(draw.shortest, draw.longest + 1))
        tokens = tokenizer.tokenize(rest).tokens
        if len(tokens) < length:
            continue
        cut = tokenizer.detokenize(tokens[:length])
        # A message may end inside a word, and never inside a character.
        if len(tokenizer.tokenize(cut.rstrip("\N{REPLACEMENT CHARACTER}")).tokens) >= draw.shortest:
            messages.append(cut.rstrip("\N{REPLACEMENT CHARACTER}"))
        rest = ""
        if len(messages) == draw.count:
            return messages
    raise DatasetError(
        f"{len(texts)} paragraphs give {len(messages)} messages of {draw.shortest} to {draw.longest} tokens, not "
        f"{draw.count}; name more text with --data, or fewer --messages"
    )
