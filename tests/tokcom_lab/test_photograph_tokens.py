import json

import numpy as np
import pytest

from tokcom.errors import PictureError
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.photograph_tokens import photograph_tokens

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def model(tiny_model):
    path = tiny_model / "card.json"
    card = json.loads(path.read_text())
    card["tokenizer"]["search"] = {"rate": 0.1, "visits": 3}
    path.write_text(json.dumps(card))
    return tiny_model


@pytest.fixture
def encoded(monkeypatch):
    """How many pictures were encoded since."""
    counts, encode = [], VQTokenizer.encode

    def counting(self, pictures):
        counts.append(len(pictures))
        return encode(self, pictures)

    monkeypatch.setattr(VQTokenizer, "encode", counting)
    return counts


def test_they_are_the_tokenizers_and_searched_for_once(model, tmp_path, encoded):
    done = []
    found = photograph_tokens(PICTURES[:2], str(model), cache=tmp_path, progress=done.append)
    assert sum(encoded) == 2 == sum(done)
    expected = [load_tokenizer(str(model)).encode(picture[None])[0] for picture in PICTURES]
    encoded.clear()
    again = photograph_tokens(PICTURES, str(model), cache=tmp_path)
    assert sum(encoded) == 1, "two of three are known"
    assert np.array_equal(found, expected[:2]) and np.array_equal(again, expected)


def test_tokens_of_another_search_are_not_taken_for_these(model, tmp_path, encoded):
    photograph_tokens(PICTURES, str(model), cache=tmp_path)
    text = (model / "card.json").read_text()
    (model / "card.json").write_text(text.replace('"rate": 0.1', '"rate": 0.2'))
    photograph_tokens(PICTURES, str(model), cache=tmp_path)
    assert sum(encoded) == 6


def test_a_broken_cache_and_none_cost_time_alone(model, tmp_path, encoded):
    expected = photograph_tokens(PICTURES, str(model), cache=tmp_path)
    path = tmp_path / "results.sqlite"
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(photograph_tokens(PICTURES, str(model), cache=tmp_path), expected)
    (tmp_path / "file").touch()
    assert np.array_equal(photograph_tokens(PICTURES, str(model), cache=tmp_path / "file" / "in"), expected)
    assert sum(encoded) == 9


def test_pictures_of_another_size_are_named(model, tmp_path):
    with pytest.raises(PictureError, match="16, 16, 3"):
        photograph_tokens(PICTURES[:, :8], str(model), cache=tmp_path)
