import json
import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tokcom.context.condition import Condition
from tokcom.errors import ModelError, PictureError
from tokcom.frame import LOST
from tokcom.models.by_codebook import load_detokenizers
from tokcom.models.card import FORMAT, file_hash
from tokcom.models.codebooks import codebook
from tokcom.models.folders import list_models
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom_lab.training.export import Run, export_part


def test_a_model_loads_by_folder_and_by_name(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    assert list_models()["tiny"] == tiny_model
    tokenizer, context, classifier = load_tokenizer("tiny"), load_context("tiny"), load_classifier(str(tiny_model))
    assert tokenizer.codebook == context.codebook == codebook("tiny").name and classifier.classes == (
        "cat",
        "dog",
        "owl",
    )
    assert tokenizer.codebook.startswith("tiny@")
    assert tokenizer.grid == context.grid and tokenizer.codebook_size == context.codebook_size


def test_a_model_trained_in_a_folder_is_found_from_there(tiny_model, tmp_path, monkeypatch):
    """As `tokcom train --model mine` leaves it, in models/; the shipped one keeps its name."""
    shipped = list_models()["caltech64"]
    for name in ("mine", "caltech64"):
        shutil.copytree(tiny_model, tmp_path / "models" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKCOM_MODELS", raising=False)
    assert list_models()["mine"] == tmp_path / "models" / "mine" and list_models()["caltech64"] == shipped
    assert load_tokenizer("mine").codebook_size == 32


def test_weights_survive_half_precision(tiny_model):
    stored = load_file(tiny_model / "tokenizer.safetensors")
    network = load_tokenizer(str(tiny_model)).network
    assert all(tensor.dtype == torch.float16 for tensor in stored.values())
    assert all(torch.equal(network.state_dict()[name], tensor.float()) for name, tensor in stored.items())


def test_log_probabilities_are_a_distribution_over_the_codebook(tiny_model):
    context = load_context(str(tiny_model))
    tokens = np.arange(16)[None]
    tokens[0, [2, 7, 8]] = LOST
    for label in (None, 1):
        found = context.log_probabilities(tokens, tokens == LOST, [Condition(label)])
        assert found.shape == (3, 32) and np.allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)
    classifier = load_classifier(str(tiny_model))
    pictures = np.zeros((2, 16, 16, 3), np.uint8)
    assert np.allclose(np.exp(classifier.log_probabilities(pictures)).sum(axis=1), 1, atol=1e-5)
    with pytest.raises(PictureError, match="16"):
        classifier.log_probabilities(np.zeros((1, 8, 8, 3), np.uint8))


def test_a_truncated_file_is_named(nothing_loaded, tiny_model):
    path = tiny_model / "context.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"context\.safetensors: sha256 is .* truncated"):
        load_context(str(tiny_model))


def test_a_truncated_file_with_its_own_hash_is_named(tiny_model, edited_part):
    path = tiny_model / "context.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    edited_part(tiny_model, "context", sha256=file_hash(path))
    with pytest.raises(ModelError, match=r"context\.safetensors: the weights do not fit"):
        load_context(str(tiny_model))


def test_another_models_weights_are_named(tiny_model, edited_part):
    path = tiny_model / "tokenizer.safetensors"
    save_file({"something": torch.zeros(3)}, path)
    edited_part(tiny_model, "tokenizer", sha256=file_hash(path))
    with pytest.raises(ModelError, match="do not fit the card"):
        load_tokenizer(str(tiny_model))


def test_a_missing_file_is_named(nothing_loaded, tiny_model):
    (tiny_model / "classifier.safetensors").unlink()
    with pytest.raises(ModelError, match=r"classifier\.safetensors: no such file"):
        load_classifier(str(tiny_model))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("part", "load"), [("tokenizer", load_tokenizer), ("context", load_context), ("classifier", load_classifier)]
)
def test_weights_that_are_not_finite_are_named(part, load, bad, tiny_model, edited_part):
    path = tiny_model / f"{part}.safetensors"
    weights = load_file(path)
    name = max(weights)
    weights[name].view(-1)[-1] = bad
    save_file(weights, path)
    edited_part(tiny_model, part, sha256=file_hash(path))
    with pytest.raises(ModelError, match=rf"{part}\.safetensors: the weights are not finite: {name}; its training has"):
        load(str(tiny_model))


def test_weights_that_half_precision_cannot_hold_are_not_written(tiny_model):
    before = (tiny_model / "context.safetensors").read_bytes(), (tiny_model / "card.json").read_bytes()
    network = deepcopy(load_context(str(tiny_model)).network)
    next(iter(network.parameters())).fill_(1e6)
    with pytest.raises(ModelError, match="the context's weights are not finite in half precision"):
        export_part(tiny_model, "context", "maskgit", network, {}, Run("none", "none", 0, 0, 0.0), ("cat",))
    assert ((tiny_model / "context.safetensors").read_bytes(), (tiny_model / "card.json").read_bytes()) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_card_with_numbers_that_are_none_is_named(number, tiny_model):
    path = tiny_model / "card.json"
    path.write_text(path.read_text().replace('"seed": 0', f'"seed": {number}', 1))
    with pytest.raises(ModelError, match=rf"card\.json: the card cannot be read: {number} is not a JSON number"):
        load_context(str(tiny_model))


def test_a_pickle_is_not_loaded(tiny_model, edited_part):
    path = tiny_model / "context.safetensors"
    torch.save({"weights": torch.zeros(3)}, path)
    edited_part(tiny_model, "context", sha256=file_hash(path))
    with pytest.raises(ModelError, match="do not fit"):
        load_context(str(tiny_model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, rf"format {FORMAT + 1}, this version reads up to {FORMAT}; update"),
        ({"format": "one"}, "no format number"),
        ({"context": {"family": "maskgit"}}, "context lacks config, weights, sha256"),
    ],
)
def test_cards_from_elsewhere(tiny_model, change, message, edited):
    edited(tiny_model, **change)
    with pytest.raises(ModelError, match=message):
        load_context(str(tiny_model))


def test_a_family_of_the_future_is_named(tiny_model, edited_part):
    edited_part(tiny_model, "context", family="mamba")
    with pytest.raises(ModelError, match=r"family 'mamba'.*maskgit"):
        load_context(str(tiny_model))


def test_settings_of_the_future_are_named(tiny_model, edited_part):
    card = json.loads((tiny_model / "card.json").read_text())
    edited_part(tiny_model, "context", config=card["context"]["config"] | {"experts": 8})
    with pytest.raises(ModelError, match="experts"):
        load_context(str(tiny_model))


@pytest.mark.parametrize("config", [[], {"patch_size": 0}, {"width": -1}, "none"])
def test_nonsense_settings_are_named(config, tiny_model, edited_part):
    for part, load in (("tokenizer", load_tokenizer), ("context", load_context)):
        edited_part(tiny_model, part, config=config)
        with pytest.raises(ModelError):
            load(str(tiny_model))


def test_modes_keep_and_list_load_no_network(tiny_model, monkeypatch):
    monkeypatch.setattr("tokcom.models.zoo.network_of", lambda *_: pytest.fail("a network was loaded"))
    for mode in ("keep", "list"):
        assert load_recovery(str(tiny_model), mode).n_bytes == 0


def test_a_network_is_held_once_however_it_is_named_and_used(tiny_model):
    other = tiny_model.parent / "other"
    shutil.copytree(tiny_model, other)
    networks = [
        load_context(str(tiny_model)).network, load_context(str(other)).network,
        load_recovery(str(tiny_model), "mask").prior.network, load_tokenizer(str(tiny_model)).network,
    ]  # fmt: skip
    assert networks[0] is networks[1] is networks[2] is not networks[3]
    assert load_detokenizers(str(other)).find(codebook(str(other)).name).network is networks[3]


def test_a_part_that_is_not_there_is_named(tiny_model):
    card = json.loads((tiny_model / "card.json").read_text())
    del card["classifier"]
    (tiny_model / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="tiny has no classifier; it has tokenizer, context"):
        load_classifier(str(tiny_model))


def test_a_broken_card_is_named(tiny_model):
    (tiny_model / "card.json").write_text('{"format": 1,')
    with pytest.raises(ModelError, match=r"card\.json: the card cannot be read"):
        load_context(str(tiny_model))


def test_a_context_of_another_tokenizer_is_refused(tiny_model, retrained):
    retrained(tiny_model, "tokenizer")
    load_tokenizer(str(tiny_model))
    for load in (load_context, load_recovery):
        with pytest.raises(
            ModelError, match=r"context was trained for another tokenizer; run `\./run train maskgit --model tiny"
        ):
            load(str(tiny_model))
    retrained(tiny_model, "context")
    load_context(str(tiny_model))
