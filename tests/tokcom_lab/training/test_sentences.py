import json
from string import ascii_lowercase

import pytest
import torch

from tokcom.context.sentence_encoder import SentenceEncoder, Sentences, WordPieces
from tokcom.errors import DatasetError
from tokcom_lab.training.sentences import class_phrasings, embedded, phrasings, read_phrasings


def test_a_folder_s_name_becomes_sentences():
    said = phrasings("dog-beagle")
    assert said[0] == "a photo of a beagle, a dog" and said[2] == "beagle" and "dog beagle" in said
    assert phrasings("airplane")[0] == "a photo of an airplane"
    assert phrasings("Fire_Truck")[1] == "Fire Truck"
    assert phrasings("tench")[0] == "a photo of a tench, a fish"
    assert phrasings("aerial-river-lake")[1] == "river or lake from above"
    assert phrasings("dog")[1] == "dog", "a kind without a rest is a name"
    assert len({len(phrasings(name)) for name in ("dog-beagle", "x", "scene-ade20k")}) == 1


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    letters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    return Sentences(SentenceEncoder(len(letters)).eval(), WordPieces(letters))


def test_every_class_has_all_phrasings_embedded(encoder):
    made = embedded(class_phrasings(["owl", "cat"]), encoder)
    assert made.shape == (2, len(phrasings("owl")), 384)
    for row, text in zip(made[1], phrasings("cat"), strict=True):
        assert torch.allclose(row, encoder.embed([text])[0], atol=1e-5)


def test_the_user_s_own_sentences_go_first_and_repeat_where_they_are_few():
    texts = class_phrasings(["owl", "cat"], {"owl": ["a bird of the night", "wise"], "cat": ["it sleeps"]})
    assert texts == [["a bird of the night", "wise"], ["it sleeps", "it sleeps"]]
    assert class_phrasings(["owl", "yak"], {"owl": ["a bird"]})[1] == list(phrasings("yak"))


def test_a_list_of_sentences_is_read_and_checked(tmp_path):
    path = tmp_path / "said.json"
    path.write_text(json.dumps({"owl": ["a bird"]}), encoding="utf-8")
    assert read_phrasings(path) == {"owl": ["a bird"]}
    for wrong in ('{"owl": "a bird"}', '{"owl": []}', '["owl"]', '{"owl": [3]}'):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(DatasetError, match="at least one per class"):
            read_phrasings(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_phrasings(path)
