"""Sentences as vectors: word pieces by hand, padding, and the published network's own answers where it is installed."""

import numpy as np
import pytest
import torch

from tokcom.context.sentence_encoder import POSITIONS, SentenceEncoder, Sentences, WordPieces
from tokcom.errors import ModelError, ParameterError
from tokcom.models.published import load_sentences

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "beagle", "beag", "##le", "##s", ",", "cafe", "!", "dog"]


def pieces(text):
    return [VOCABULARY[number] for number in WordPieces(VOCABULARY)(text)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("A beagle, a dog!", ["a", "beagle", ",", "a", "dog", "!"]),
        ("beagles", ["beagle", "##s"]),  # the longest piece first, not beag ##le ##s
        ("Café\tdog", ["cafe", "dog"]),
        ("zebra dog", ["[UNK]", "dog"]),
        ("dogz", ["[UNK]"]),  # nothing of a word that is not made up of pieces
        ("", []),
    ],
)
def test_words_are_cut_into_the_longest_pieces(text, cut):
    assert pieces(text) == ["[CLS]", *cut, "[SEP]"]


def test_a_long_text_is_cut_and_a_long_word_is_unknown():
    assert len(pieces("dog " * 1000)) == POSITIONS
    assert pieces("a" * 101) == ["[CLS]", "[UNK]", "[SEP]"]


def test_a_vocabulary_without_its_marks_is_refused():
    with pytest.raises(ParameterError, match=r"of 2 pieces has no '\[CLS\]'"):
        WordPieces(["a", "b"])


def test_a_sentence_means_the_same_beside_a_longer_one():
    torch.manual_seed(0)
    sentences = Sentences(SentenceEncoder(len(VOCABULARY)).eval(), WordPieces(VOCABULARY))
    alone = sentences.embed(["a dog"])
    beside = sentences.embed(["a dog", "a beagle, a dog, a beagle!"])
    assert torch.allclose(alone[0], beside[0], atol=1e-5)
    assert torch.allclose(beside.norm(dim=1), torch.ones(2), atol=1e-5)
    assert not torch.allclose(beside[0], beside[1], atol=1e-3)
    with pytest.raises(ParameterError, match="no sentences"):
        sentences.embed([])


def test_it_answers_as_the_published_network_does():
    """First numbers of an embedding by the transformers library from the same weights, in float16."""
    try:
        sentences = load_sentences()
    except ModelError as error:
        pytest.skip(str(error))
    got = sentences.embed(["field from above, an aerial view"])[0, :6].numpy()
    assert np.allclose(got, [0.015205, 0.1034, -0.0403, -0.11774, 0.03256, -0.014046], atol=2e-4)
    beagle, dog, lorry = sentences.embed(["a photo of a beagle", "a dog", "a fire engine"])
    assert float(beagle @ dog) > float(beagle @ lorry) + 0.1
