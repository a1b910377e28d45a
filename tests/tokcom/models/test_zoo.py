import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tokcom.bounded_cache import BoundedCache
from tokcom.context.acceptance import Acceptance
from tokcom.context.condition import Condition
from tokcom.device import network_bytes
from tokcom.errors import ModelError, ParameterError, PictureError
from tokcom.frame import LOST
from tokcom.models import zoo
from tokcom.models.card import FORMAT, file_hash
from tokcom.models.families import family
from tokcom.models.folders import PUBLISHED, list_models
from tokcom.models.zoo import (
    codebook,
    load_acceptance,
    load_classifier,
    load_context,
    load_detokenizers,
    load_expectations,
    load_labels,
    load_recoveries,
    load_recovery,
    load_residual,
    load_tokenizer,
    model_card,
    model_names,
    word_frequencies,
)  # fmt: skip
from tokcom_lab.training.export import Run, export_acceptance, export_labels, export_part, export_residual


def edited(folder, **changes):
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edited_part(folder, part, **changes):
    card = json.loads((folder / "card.json").read_text())
    edited(folder, **{part: card[part] | changes})


@pytest.fixture
def nothing_loaded(monkeypatch):
    """A process that holds no network yet: of one that does, the file is not read again."""
    monkeypatch.setattr(zoo, "_kept", BoundedCache(zoo.KEPT_BYTES, network_bytes))
    monkeypatch.setattr(zoo, "_in_use", {})


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


def test_an_unknown_model_is_answered_with_those_installed(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    with pytest.raises(ModelError, match=r"no model 'huge'; installed: tiny"):
        model_card("huge")


def test_a_folder_without_a_card_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"card\.json: no such file"):
        model_card(str(tmp_path))


def test_a_truncated_file_is_named(nothing_loaded, tiny_model):
    path = tiny_model / "context.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"context\.safetensors: sha256 is .* truncated"):
        load_context(str(tiny_model))


def test_a_truncated_file_with_its_own_hash_is_named(tiny_model):
    path = tiny_model / "context.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    edited_part(tiny_model, "context", sha256=file_hash(path))
    with pytest.raises(ModelError, match=r"context\.safetensors: the weights do not fit"):
        load_context(str(tiny_model))


def test_another_models_weights_are_named(tiny_model):
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
def test_weights_that_are_not_finite_are_named(part, load, bad, tiny_model):
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


def test_hidden_folders_are_no_models(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    shutil.copytree(tiny_model, tiny_model.parent / ".trash")
    assert "tiny" in list_models() and ".trash" not in list_models()


def test_a_pickle_is_not_loaded(tiny_model):
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
def test_cards_from_elsewhere(tiny_model, change, message):
    edited(tiny_model, **change)
    with pytest.raises(ModelError, match=message):
        load_context(str(tiny_model))


def test_a_family_of_the_future_is_named(tiny_model):
    edited_part(tiny_model, "context", family="mamba")
    with pytest.raises(ModelError, match=r"family 'mamba'.*maskgit"):
        load_context(str(tiny_model))


def test_settings_of_the_future_are_named(tiny_model):
    card = json.loads((tiny_model / "card.json").read_text())
    edited_part(tiny_model, "context", config=card["context"]["config"] | {"experts": 8})
    with pytest.raises(ModelError, match="experts"):
        load_context(str(tiny_model))


@pytest.mark.parametrize("config", [[], {"patch_size": 0}, {"width": -1}, "none"])
def test_nonsense_settings_are_named(config, tiny_model):
    for part, load in (("tokenizer", load_tokenizer), ("context", load_context)):
        edited_part(tiny_model, part, config=config)
        with pytest.raises(ModelError):
            load(str(tiny_model))


def test_the_shipped_models_say_where_they_come_from():
    shipped = [name for name, folder in list_models().items() if folder.parent != Path.cwd() / PUBLISHED]
    assert "caltech64" in shipped
    for name in shipped:
        content = model_card(name).content
        assert content["licence"] and content["data"]["licence"] and content["description"]
        assert all({"seed", "hours", "command"} <= content[part]["training"].keys() for part in model_card(name).parts)


def test_modes_keep_and_list_load_no_network(tiny_model, monkeypatch):
    monkeypatch.setattr("tokcom.models.zoo._network", lambda *_: pytest.fail("a network was loaded"))
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


def test_models_are_named_in_a_list_or_between_commas(tiny_model):
    assert model_names("caltech64, photo256,,caltech64") == ["caltech64", "photo256"]
    assert model_names([tiny_model, "mine"]) == [str(tiny_model), "mine"] and model_names("") == []
    both = load_recoveries(f"caltech64,{tiny_model}", "list", "cpu")
    assert [each.name for each in both.members.codebooks.values()] == [
        codebook("caltech64").name, codebook(str(tiny_model)).name,
    ]  # fmt: skip
    assert both.members.loaded == ()
    for load in (load_recoveries, load_detokenizers, load_expectations):
        with pytest.raises(ParameterError, match="models is ' , '; it must name at least one"):
            load(" , ")
    with pytest.raises(ParameterError, match="mode is 'guess'"):
        load_recoveries("caltech64,photo256", "guess")
    with pytest.raises(ParameterError, match="device is 'gpu'"):
        load_recoveries("caltech64", device="gpu")


def test_what_receivers_leave_wrong_comes_with_their_prior():
    prior, residual = load_expectations("caltech64").find(codebook("caltech64").name)
    assert prior.codebook == codebook("caltech64").name and residual == load_residual("caltech64")


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


def test_a_contexts_calibration_comes_from_its_card(tiny_model):
    assert load_acceptance(str(tiny_model)) == Acceptance()
    export_acceptance(tiny_model, Acceptance((0.0, 4.0), (-1.0, 3.0)), "./run calibrate")
    assert load_acceptance(str(tiny_model)) == Acceptance((0.0, 4.0), (-1.0, 3.0))
    assert load_recovery(str(tiny_model), "context").mode == "context"
    card = json.loads((tiny_model / "card.json").read_text())
    for broken in ({"log_odds": [1, 0], "calibrated": [0, 1]}, {"log_odds": 3}, {"log_odds": [0.0]}):
        card["context"]["acceptance"] = broken | {"context": card["context"]["sha256"]}
        (tiny_model / "card.json").write_text(json.dumps(card))
        with pytest.raises(ModelError, match="acceptance"):
            load_acceptance(str(tiny_model))


def retrained(folder, part):
    """Other weights of a part, as a training writes them."""
    card = json.loads((folder / "card.json").read_text())[part]
    config_class, network_class = family(card["family"]).config_class(), family(card["family"]).network_class()
    config = config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in card["config"].items()})
    torch.manual_seed(1)
    run = Run("none", "none", 0, 0, 0.0)
    export_part(folder, part, card["family"], network_class(config), {}, run, ("cat", "dog", "owl"))


def test_a_codebook_is_its_content(tiny_model):
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


def test_a_context_of_another_tokenizer_is_refused(tiny_model):
    retrained(tiny_model, "tokenizer")
    load_tokenizer(str(tiny_model))
    for load in (load_context, load_recovery):
        with pytest.raises(
            ModelError, match=r"context was trained for another tokenizer; run `\./run train maskgit --model tiny"
        ):
            load(str(tiny_model))
    retrained(tiny_model, "context")
    load_context(str(tiny_model))


def test_a_calibration_of_another_context_is_refused(tiny_model):
    export_acceptance(tiny_model, Acceptance((0.0, 4.0), (-1.0, 3.0)), "./run calibrate")
    residual = replace(load_residual("caltech64"), following=None)
    export_residual(tiny_model, residual)
    assert load_residual(str(tiny_model)) == residual
    for part, load, command in (("acceptance", load_acceptance, "calibrate"), ("residual", load_residual, "residual")):
        entry = json.loads((tiny_model / "card.json").read_text())["context"][part]
        edited_part(tiny_model, "context", **{part: entry | {"context": "0" * 64}})
        with pytest.raises(ModelError, match=rf"for another context; run `\./run {command} --model tiny"):
            load(str(tiny_model))


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


def test_labels_that_do_not_belong_to_the_model_are_named(tiny_model):
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


def test_expectations_of_videos_belong_to_their_prior(tiny_video_model):
    residual = replace(load_residual("caltech64"), following=None)
    export_residual(tiny_video_model, residual)
    assert load_residual(str(tiny_video_model)).following is None
    other = replace(residual, frame_db=0.5)
    export_residual(tiny_video_model, other, "following")
    assert load_residual(str(tiny_video_model)) == replace(residual, following=other)
    entry = json.loads((tiny_video_model / "card.json").read_text())["following"]["residual"]
    edited_part(tiny_video_model, "following", residual=entry | {"following": "0" * 64})
    with pytest.raises(ModelError, match=r"for another following; run `\./run residual --videos --model tiny"):
        load_residual(str(tiny_video_model))
