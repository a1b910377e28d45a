import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokcom.errors import ModelError, SourceError
from tokcom.models.text import load_exact_language
from tokcom.source import text_file
from tokcom.source.messages import MessageCoder, line_ends
from tokcom.source.text_file import CodedText, code_text, texts_from_bytes, texts_to_bytes

pytest.importorskip("constriction")
pytest.importorskip("tokenizers", reason="the packages of requirements/text.txt are not installed")


@pytest.fixture(scope="module")
def language(tiny_text_model):
    return load_exact_language(str(tiny_text_model))


@pytest.fixture(scope="module")
def coder(language):
    return MessageCoder(*language, primer="hello\n")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() or "\n" in text))
def test_messages_come_back_and_hardly_grow(coder, text):
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        return
    coded = coder.encode(text)
    assert coder.decode(coded) == text
    assert len(coded) <= len(plain) + 1


@settings(max_examples=8)
@given(data=st.binary(min_size=1, max_size=40))
def test_any_bytes_are_a_text_or_an_error(coder, data):
    try:
        assert isinstance(coder.decode(data), str)
    except SourceError:
        pass


def test_another_primer_is_told(coder, language):
    """By its hash of 8 bits, so of 40 messages, most of them coded, at most a few pass; its own decoder reads all."""
    other, passed, coded = MessageCoder(*language, primer=""), 0, 0
    for number in range(40):
        data = coder.encode("e" * (number + 8))
        if data[0] < 128:
            continue
        coded += 1
        assert coder.decode(data) == "e" * (number + 8)
        try:
            passed += other.decode(data) != "e" * (number + 8)
        except SourceError:
            pass
    assert coded >= 30 and passed <= 3


def test_what_cannot_be_coded(coder, language):
    for text, says in (("", "has 0 bytes"), ("x" * 5000, "has 5000 bytes")):
        with pytest.raises(SourceError, match=says):
            coder.encode(text)
    with pytest.raises(SourceError, match="has 0 bytes"):
        coder.decode(b"")
    other = type("Prior", (), {"codebook": "other"})()
    with pytest.raises(ModelError, match="the model of other"):
        MessageCoder(other, language[1])


def test_line_ends_are_words_that_begin_with_one_and_control_words(language):
    tokenizer = language[1]
    found = set(line_ends(tokenizer).tolist())
    assert set(tokenizer.control) <= found
    for word in range(tokenizer.codebook_size):
        starts = tokenizer.detokenize(np.array([word])).startswith("\n")
        assert (word in found) == (starts or word in tokenizer.control)


def test_texts_of_several_blocks(language, monkeypatch):
    monkeypatch.setattr("tokcom.source.text_file.BLOCK_TOKENS", 20)
    monkeypatch.setattr("tokcom.source.text_file.KEPT_TOKENS", 6)
    text = "hello world " * 12 + "señor\n"
    coded = _coded(text, language)
    assert coded.tokens > 40 and len(coded.blocks) == -(-coded.tokens // 20)
    data = texts_to_bytes(language[0].codebook, [coded, CodedText("raw", 0, 2, (b"ok",))])
    codebook, (first, second) = texts_from_bytes(data)
    assert codebook == language[0].codebook and second.decode(None, None).content == b"ok"
    assert first.decode(*language).content == text.encode() and first.decode(*language).error is None

    damaged = CodedText("x", coded.tokens, coded.n_bytes, (coded.blocks[0], b"\xff\xff\xff", *coded.blocks[2:]))
    found = damaged.decode(*language)
    assert str(found.error).startswith(f"block 2 of {len(coded.blocks)}: ")
    assert found.content and text.encode().startswith(found.content)


def test_what_does_not_shrink_is_kept_as_it_is(language):
    text = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FFF, 50)))
    coded = code_text("random", text, *language)
    assert coded.tokens == 0 and coded.blocks == (text.encode(),)
    assert len(texts_to_bytes("a", [coded])) - len(texts_to_bytes("a", [CodedText("random", 0, 0, (b"",))])) == 150


@settings(max_examples=60)
@given(cut=st.integers(0, 200), flip=st.integers(0, 500))
def test_damaged_files_are_refused(language, cut, flip):
    data = bytearray(texts_to_bytes("book", [CodedText("a", 0, 9, (b"some text",)), CodedText("b", 0, 1, (b"x",))]))
    header = len(data) - 10
    data[flip % header] ^= 1 << flip % 8
    with pytest.raises(SourceError):
        texts_from_bytes(bytes(data[: len(data) - cut % header]))


def test_appended_bytes_are_told():
    with pytest.raises(SourceError, match="1 bytes follow"):
        texts_from_bytes(texts_to_bytes("book", [CodedText("a", 0, 2, (b"ok",))]) + b"x")


def _coded(text, language):
    """Coded, even if a model of random weights makes it no shorter."""
    prior, tokenizer = language
    tokens = tokenizer.tokenize(text).tokens
    return CodedText("x", len(tokens), len(text.encode()), tuple(text_file._coded(tokens, prior)))
