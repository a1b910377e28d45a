from itertools import pairwise

import numpy as np
import pytest

from tokcom.context import description
from tokcom.context.description import STAGES, WIDTH, WORDS
from tokcom.errors import DatasetError, ParameterError
from tokcom_lab.training.description import dictionary_sentences, embedded_once, fitted_tables, likeness, save_tables

NOUNS = """  1 This is a licence.
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived; "it was full of entities"
00001930 03 n 01 hot_dog 0 001 ~ 00001740 n 0000 | a sausage in a bun
"""


def test_sentences_about_nouns(tmp_path):
    path = tmp_path / "data.noun"
    path.write_text(NOUNS, encoding="utf-8")
    found = dictionary_sentences(path, 2, seed=1)
    assert {"that which is perceived", "a sausage in a bun"} <= set(found) and len(found) == 4
    assert sum("hot dog" in each for each in found) == 1
    assert found == dictionary_sentences(path, 2, seed=1)
    for count, text in ((3, NOUNS), (1, "a line\n")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DatasetError, match=r"3 are needed|not WordNet's"):
            dictionary_sentences(path, count)


def test_texts_are_embedded_once_in_their_order(tmp_path):
    import torch

    class Encoder:
        calls = 0

        def embed(self, texts):
            self.calls += 1
            return torch.tensor([[float(len(text))] * WIDTH for text in texts])

    encoder, texts = Encoder(), ["abc", "a", "ab"] * 50
    for _ in range(2):
        found = embedded_once(texts, encoder, cache=tmp_path)
        assert found[:, 0].tolist() == [3.0, 1.0, 2.0] * 50
    assert encoder.calls == 3


def test_tables_that_are_fitted_are_read_and_come_closer_stage_by_stage(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    # Points around few centres, which the first stage finds.
    centres = rng.normal(size=(20, WIDTH))
    points = centres[rng.integers(0, 20, 600)] + 0.3 * rng.normal(size=(600, WIDTH))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    words, scales = fitted_tables(points)
    assert words.shape == (STAGES, WORDS, WIDTH) and words.dtype == np.int8
    cosines = likeness(points, words, scales)
    assert cosines[0] > 0.9 and all(b >= a for a, b in pairwise(cosines))
    save_tables(words, scales, tmp_path / "tables.safetensors")
    monkeypatch.setattr(description, "TABLES", tmp_path / "tables.safetensors")
    description.tables.cache_clear()
    try:
        assert np.array_equal(description.tables(), words.astype(np.float32) * scales[:, None, None])
    finally:
        description.tables.cache_clear()
    with pytest.raises(ParameterError, match="511 sentences are too few"):
        fitted_tables(points[:511])
