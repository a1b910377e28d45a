"""Text comes out as it went in, whatever the vocabulary."""

import io
import json
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ModelError, TextError
from tokcom.frame import LOST
from tokcom.tokenizers.text import MAX_CHARACTERS, TextTokenizer, bounded_lines, marked_parts

tokenizers = pytest.importorskip("tokenizers", reason="the packages of requirements/text.txt are not installed")
LACKING = "\x04\x14ñ\xff"


def by_bytes():
    """Byte-level BPE of a few merges, in which some bytes are missing and two words are control words."""
    alphabet = sorted(set(tokenizers.pre_tokenizers.ByteLevel.alphabet()) - {"Ą", "Ĕ", "ñ", "ÿ"})
    merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["Ġ", "w"], ["o", "r"], ["Ġw", "or"]]
    words = ["<|end|>", "<|none|>", *alphabet, *("".join(merge) for merge in merges)]
    return {
        "version": "1.0", "normalizer": None, "post_processor": None,
        "added_tokens": [added(0, "<|end|>"), added(1, "<|none|>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {word: place for place, word in enumerate(words)}, "merges": merges},
    }  # fmt: skip


def added(number, content):
    return {
        "id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }  # fmt: skip


def word_pieces():
    """WordPiece as BERT has it: without case, and white space is not kept."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", *letters, *(f"##{letter}" for letter in letters), "hello", "world", ",", "."]
    return {
        "version": "1.0", "added_tokens": [added(0, "[PAD]"), added(1, "[UNK]"), added(2, "[CLS]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {word: place for place, word in enumerate(words)}},
    }  # fmt: skip


def made(content, **settings):
    return TextTokenizer(json.dumps(content).encode(), "words", **settings)


BOTH = {"bytes": made(by_bytes()), "pieces": made(word_pieces())}
every = pytest.mark.parametrize("kind", BOTH)


@every
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.text("helo wr<|end>ñ\x04é1", min_size=1))
def test_every_text_comes_out_as_it_went_in(kind, text):
    tokenizer = BOTH[kind]
    frame = tokenizer.tokenize(text, 7)
    assert tokenizer.detokenize(frame.tokens) == text
    assert (frame.modality, frame.frame_id, frame.grid) == ("text", 7, (len(frame.tokens),))
    words = tokenizer.words(frame.tokens, np.ones(len(frame.tokens)))
    assert "".join(word.text for word in words) == text


@every
def test_control_words_in_a_text_are_text(kind):
    tokenizer = BOTH[kind]
    for text in ("<|end|>", "[CLS] hello"):
        tokens = tokenizer.tokenize(text).tokens
        escape = tokenizer.control[-1]
        assert not set(tokens.tolist()) & set(tokenizer.control) - {escape}
        assert tokenizer.detokenize(tokens) == text


def test_what_the_vocabulary_has_takes_its_words():
    assert len(BOTH["bytes"].tokenize("hello").tokens) == 1
    assert len(BOTH["bytes"].tokenize("hello worm").tokens) == 3
    assert len(BOTH["pieces"].tokenize("hello world").tokens) == 2
    # Of an escaped byte only its own three tokens are more.
    assert len(BOTH["bytes"].tokenize("hello\x04hello").tokens) == 5


def test_words_are_as_sure_as_their_least_sure_token():
    tokenizer = BOTH["bytes"]
    tokens = tokenizer.tokenize("hello worm\x04 a").tokens
    confidence = np.linspace(1, 0.5, len(tokens))
    found = tokenizer.words(tokens, confidence)
    assert [word.text for word in found] == ["hello", " ", "worm\x04", " ", "a"]
    assert found[0].confidence == 1 and found[-1].confidence == confidence[-1]
    assert found[2].confidence == confidence[-3]


@every
@given(tokens=st.lists(st.integers(-1, 300), min_size=1, max_size=20))
def test_whatever_is_received_is_shown(kind, tokens):
    tokenizer = BOTH[kind]
    tokens = np.minimum(tokens, tokenizer.codebook_size - 1)
    text = tokenizer.detokenize(tokens)
    shown = "".join(word.text for word in tokenizer.words(tokens, np.zeros(len(tokens))))
    # Where a character is cut, several words may each show that it is broken.
    assert [key for key, _ in groupby(text)] == [
        key for key, _ in groupby(shown)
    ] or "\N{REPLACEMENT CHARACTER}" in text


def test_what_is_lost_shows():
    tokens = BOTH["bytes"].tokenize("hello worm").tokens.copy()
    tokens[0] = LOST
    assert BOTH["bytes"].detokenize(tokens) == "\N{REPLACEMENT CHARACTER} worm"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a" * (MAX_CHARACTERS + 1), "at most 65536 go into one frame"),
        ("ab\ud800", "character 2 of the text is half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused(text, said):
    with pytest.raises(TextError, match=said):
        BOTH["bytes"].tokenize(text)


def test_without_control_words_some_texts_cannot_be_spelled():
    poor = made(by_bytes() | {"added_tokens": []})
    assert poor.detokenize(poor.tokenize("hello").tokens) == "hello"
    with pytest.raises(TextError, match="cannot be spelled"):
        poor.tokenize("a\x04")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"added_tokens": [], "model": {"type": "BPE"}}', b"\xff"])
def test_broken_vocabularies_are_refused(content):
    with pytest.raises(ModelError, match="vocabulary of words cannot be read"):
        TextTokenizer(content, "words")


def test_a_vocabulary_of_more_words_than_the_codebook_is_refused():
    with pytest.raises(ModelError, match="has 100 words, and its vocabulary 261"):
        made(by_bytes(), codebook_size=100)


@given(st.text(alphabet="ab ñ€😀\n\t", max_size=60), st.integers(4, 20))
def test_lines_are_bounded_and_nothing_is_lost(text, most):
    parts = list(bounded_lines(io.BytesIO(text.encode()), most))
    assert b"".join(parts).decode() == text and all(0 < len(part) <= most for part in parts)
    assert all(part.decode().count("\n") <= 1 for part in parts)  # no part begins or ends inside a character
    short = [line for line in text.splitlines(keepends=True) if len(line.encode()) < most]
    assert len(short) < len(text.splitlines()) or [part.decode() for part in parts] == short


@pytest.mark.parametrize(
    ("unsure", "said"),
    [
        ([1], "a first byte and a length"),
        ([3, 3], "outside a text of 5"),
        ([-1, 1], "outside"),
        ([1, 2, 2, 1], "overlap"),
    ],
)
def test_marks_that_do_not_fit_a_text_are_refused(unsure, said):
    assert marked_parts(b"ab cd", np.array([0, 2, 3, 2])) == [("ab", False), (" ", True), ("cd", False)]
    with pytest.raises(TextError, match=said):
        marked_parts(b"ab cd", np.array(unsure))


def test_an_endless_line_is_read_in_parts():
    class Endless(io.RawIOBase):
        def readline(self, size):
            return b"a" * size

    lines = bounded_lines(Endless(), 1000)
    assert [len(next(lines)) for _ in range(5)] == [1000] * 5
    with pytest.raises(TextError, match="most is 3"):
        next(bounded_lines(io.BytesIO(), 3))
