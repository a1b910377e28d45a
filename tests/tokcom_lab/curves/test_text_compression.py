import bz2
import lzma

import pytest

from tokcom.errors import DatasetError
from tokcom.models.text import load_exact_language
from tokcom.source.messages import MessageCoder
from tokcom_lab.curves import text_compression
from tokcom_lab.curves.text_compression import MODEL, NgramCoder, largest_difference, message_sizes, speed, text_sizes

pytest.importorskip("constriction")
pytest.importorskip("tokenizers", reason="the packages of requirements/text.txt are not installed")


@pytest.fixture(scope="module")
def language(tiny_text_model):
    return load_exact_language(str(tiny_text_model))


@pytest.fixture(autouse=True)
def compressors(monkeypatch):
    """Those of the standard library alone."""
    found = {"bz2": lambda data: len(bz2.compress(data)), "xz": lambda data: len(lzma.compress(data))}
    monkeypatch.setattr(text_compression, "compressors", lambda: found)


def test_sizes_of_texts_and_of_all(language):
    texts = {"a": "the rain on the train " * 4, "b": "other"}
    rows = text_sizes(texts, *language)
    assert [row["source"] for row in rows].count("all") == 3
    by = {(row["source"], row["codec"]): row for row in rows}
    assert by["b", MODEL]["bits_per_byte"] <= 8
    assert by["all", "bz2"]["bytes"] == 88 + 5
    own = [len(bz2.compress(text.encode())) for text in texts.values()]
    assert by["all", "bz2"]["bits_per_byte"] == pytest.approx(8 * sum(own) / 93)


def test_messages_and_speed(language):
    told = {"few": ["on the train", "ñ", "here and there"]}
    seen = []
    rows = message_sizes(told, MessageCoder(*language, primer=""), None, 3, seen.append)
    by = {row["codec"]: row for row in rows}
    assert len(seen) == 3 and by["UTF-8"]["bytes"] == 12 + 2 + 14 and by[MODEL]["growth"] <= 1
    encoder, decoder = speed("the rain on the other train", *language, runs=1)
    assert encoder > 0 and decoder > 0
    assert largest_difference("the rain on the other train", *language) < 1e-4


def test_a_folder_that_is_no_checkout(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no src/compress\.py"):
        NgramCoder(tmp_path)


def test_the_coder_of_a_checkout(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "compress.py").write_text(
        "def train_model(texts):\n    return texts\ndef compress(text, model):\n    return bytes(len(model))\n",
        encoding="utf-8",
    )
    data = tmp_path / "data" / "datasets"
    data.mkdir(parents=True)
    rows = '{"text": "hi", "lang": "en"}\n{"text": "да", "lang": "ru"}\n{"text": "ja", "lang": "de"}\n'
    for split in ("train", "test"):
        (data / f"{split}.jsonl").write_text(rows, encoding="utf-8")
    coder = NgramCoder(tmp_path)
    assert coder.size("anything") == 2 and coder.test_messages(5, 0) == ["hi"]
