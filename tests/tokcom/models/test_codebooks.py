import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tokcom.errors import ModelError
from tokcom.models.codebooks import codebook, load_labels, word_frequencies
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_tokenizer
from tokcom_lab.training.export import Run, export_labels, export_part


def test_a_codebook_is_its_content(tiny_model, edited, retrained):
    """The same files under another name are the same codebook; other weights or labels under its name are not."""
    own = codebook(str(tiny_model))
    other = tiny_model.parent / "other"
    shutil.copytree(tiny_model, other)
    edited(other, name="other")
    assert codebook(str(other)).id == own.id and codebook(str(other)).name != own.name
    labelled(tiny_model)
    with_labels = codebook(str(tiny_model))
    assert with_labels.name != own.name
    retrained(tiny_model, "tokenizer")
    assert codebook(str(tiny_model)).name not in (own.name, with_labels.name)


def labelled(folder, **more):
    labels = {"coded": np.random.default_rng(0).permutation(32)} | more
    export_labels(folder, labels, {}, {"coded": 0.5}, "none")
    return labels


def test_semantic_labels_come_with_the_codebook_and_the_recovery(tiny_model):
    assert codebook(str(tiny_model)).labels == {}
    wanted = labelled(tiny_model, **{"64qam": np.arange(32)})
    found = load_labels(str(tiny_model))
    assert {use: each.of_tokens.tolist() for use, each in found.items()} == {
        use: each.tolist() for use, each in wanted.items()
    }
    assert codebook(str(tiny_model)).labels == {"semantic": found["coded"]}
    assert load_file(tiny_model / "labels.safetensors")["coded"].dtype == torch.int16
    card = json.loads((tiny_model / "card.json").read_text())
    assert card["labels"]["tokenizer"] == card["tokenizer"]["sha256"]
    load_tokenizer(str(tiny_model)), load_recovery(str(tiny_model), "list")
    labelled(tiny_model, contextual=np.arange(32)[::-1])
    assert list(codebook(str(tiny_model)).labels) == ["semantic", "contextual"]
    assert codebook(str(tiny_model)).labels["contextual"].of_tokens.tolist() == list(range(31, -1, -1))


def test_labels_that_do_not_belong_to_the_model_are_named(tiny_model, edited_part):
    with pytest.raises(ModelError, match=r"no semantic labels; run `\./run models map tiny`"):
        load_labels(str(tiny_model))
    labelled(tiny_model)
    edited_part(tiny_model, "tokenizer", sha256="0" * 64)
    with pytest.raises(ModelError, match=r"for another tokenizer; run `\./run models map tiny`"):
        codebook(str(tiny_model))


@pytest.mark.parametrize("bad", [np.zeros(32), np.arange(31)], ids=["no permutation", "of another size"])
def test_broken_labels_are_named(tiny_model, bad):
    export_labels(tiny_model, {"coded": bad}, {}, {}, "none")
    with pytest.raises(ModelError, match="labels"):
        load_labels(str(tiny_model))


def test_how_often_words_are_sent_comes_with_the_labels(tiny_model):
    assert word_frequencies(str(tiny_model)) is None
    labelled(tiny_model)
    assert word_frequencies(str(tiny_model)) is None
    shares = np.arange(1, 33) / np.arange(1, 33).sum()
    export_labels(tiny_model, {"coded": np.arange(32)}, {}, {}, "none", shares)
    assert word_frequencies(str(tiny_model)) == pytest.approx(shares) and set(load_labels(str(tiny_model))) == {"coded"}
    for bad in (shares[:-1], shares - shares[0], np.full(32, np.inf)):
        export_labels(tiny_model, {"coded": np.arange(32)}, {}, {}, "none", bad)
        with pytest.raises(ModelError, match="frequencies of words are not 32 positive numbers"):
            word_frequencies(str(tiny_model))


def test_a_new_tokenizer_takes_the_labels_away(tiny_model):
    labelled(tiny_model)
    network = load_tokenizer(str(tiny_model)).network
    export_part(tiny_model, "tokenizer", "vq", network, {}, Run("none", "none", 0, 0, 0.0), ("cat", "dog", "owl"))
    assert codebook(str(tiny_model)).labels == {}
