"""`tokcom train --size`: both stages into a model that loads, with networks of random weights in the published ones'
place."""

import io
import json
from dataclasses import replace
from string import ascii_lowercase

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from tokcom.cli.main import main
from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.context.sentence_encoder import SentenceEncoder, Sentences, WordPieces
from tokcom.errors import ParameterError
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.tokenizers.pyramid_network import PyramidConfig, PyramidVQNetwork
from tokcom.tokenizers.vq_network import as_input
from tokcom_lab.training import runs
from tokcom_lab.training.dataset import load_dataset
from tokcom_lab.training.runs import PHOTOGRAPH_TRAINERS, TRAINERS, PhotographSettings, TrainingRequest

QUIET = Console(file=io.StringIO())
CPU = torch.device("cpu")


@pytest.fixture
def published(monkeypatch):
    torch.manual_seed(0)
    trunk = EfficientNetLite(0).eval().requires_grad_(False)
    pieces = WordPieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *ascii_lowercase, *(f"##{c}" for c in ascii_lowercase)])
    encoder = Sentences(SentenceEncoder(56).eval(), pieces)
    monkeypatch.setattr(runs, "load_efficientnet_lite", lambda version: (trunk, None))
    monkeypatch.setattr(runs, "load_sentences", lambda: encoder)
    return encoder


@pytest.fixture
def request_(tmp_path, monkeypatch):
    """Two steps on pictures of 32 pixels in 8 x 8 tokens of 32 words."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 2)):
        for name in ("owl", "dog-beagle"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / f"{i}.png")
    settings = PhotographSettings(PyramidConfig.of_grid(32, 8, 32), CPU)
    return TrainingRequest(
        (tmp_path / "data",), tmp_path / "models", "mine", tmp_path / "work", 2, 4, 0, False, "train it",
        photographs=settings,
    )  # fmt: skip


def test_both_stages_train_into_a_model_that_loads(request_, published):
    for part in ("tokenizer", "maskgit"):
        PHOTOGRAPH_TRAINERS[part](request_, QUIET)
    folder = request_.folder
    card = json.loads((folder / "card.json").read_text())
    assert card["tokenizer"]["family"] == "pyramid" and card["classes"] == ["dog-beagle", "owl"]
    assert {"psnr_db", "sharpness", "lite0_distance"} <= card["tokenizer"]["figures"].keys()
    assert {"bits_at_15", "bits_at_15_without_cmi"} <= card["context"]["figures"].keys()
    for part in ("tokenizer", "context"):
        training = card[part]["training"]
        assert training["command"] == "train it" and training["steps"] == 2 and training["data"] == "data"
        assert training["device"].endswith("processors")
    network = load_context(str(folder)).network
    told = published.embed(["a photo of a beagle, a dog", "a photo of an owl"])
    assert torch.allclose(network.conditions[:2], told, atol=1e-3) and not network.conditions[2].any()
    assert card["context"]["sentences"] == ["a photo of a beagle, a dog", "a photo of an owl"]


def test_a_decoder_of_lossy_pictures_learns_from_photographs(request_, published):
    """Also of a class that the model does not know."""
    for part in ("tokenizer", "maskgit"):
        PHOTOGRAPH_TRAINERS[part](request_, QUIET)
    (request_.data[0] / "train" / "owl").rename(request_.data[0] / "train" / "yak")
    TRAINERS["concealing"](replace(request_, photographs=None), QUIET)
    card = json.loads((request_.folder / "card.json").read_text())
    assert card["concealing"]["tokenizer"] == card["tokenizer"]["sha256"] and card["classes"] == ["dog-beagle", "owl"]
    assert {"psnr_db_12", "psnr_db_12_mean"} <= card["concealing"]["figures"].keys()
    found = load_tokenizer(str(request_.folder))
    assert found.concealing.config.width == found.network.config.decoder_widths[0]


def test_the_exported_average_gives_the_tokens_that_were_measured(request_, published):
    """The checkpoint's average in half precision, against the model as the zoo loads it."""
    PHOTOGRAPH_TRAINERS["tokenizer"](request_, QUIET)
    kept = load_file(request_.work / "mine" / "tokenizer.safetensors")
    network = PyramidVQNetwork(request_.photographs.config).eval()
    begin = "model.average."
    network.load_state_dict(
        {name.removeprefix(begin): each.half().float() for name, each in kept.items() if name.startswith(begin)}
    )
    pictures = load_dataset(request_.data, "test", size=32, crops=1).pictures[:, 0]
    with torch.no_grad():
        expected = network.encode(as_input(pictures))
    tokenizer = load_tokenizer(str(request_.folder))
    assert np.array_equal(tokenizer.encode(np.ascontiguousarray(pictures)), expected.numpy())
    frame = tokenizer.tokenize(pictures[0])
    assert frame.grid == (8, 8) and tokenizer.detokenize(frame).shape == (32, 32, 3)


def test_tokens_that_maskgit_learns_on_are_the_views_own(request_, published):
    from tokcom_lab.training.tokens import enlarged_tokens

    PHOTOGRAPH_TRAINERS["tokenizer"](request_, QUIET)
    data, model = load_dataset(request_.data, "train", size=32, crops=1), str(request_.folder)
    made = enlarged_tokens(data, model, "train", views=4, device=CPU)
    tokenizer, pictures = load_tokenizer(model), np.array(data.pictures[:, 0])
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    assert made.shape == (10, 4, 64) and made.dtype == np.uint16
    assert np.array_equal(made[:, 0], tokenizer.encode(pictures).reshape(10, 64))
    assert np.array_equal(made[:, 1], tokenizer.encode(mirrored).reshape(10, 64))
    assert (made[:, 2] != made[:, 0]).any() and np.array_equal(
        made, enlarged_tokens(data, model, "train", views=4, device=CPU)
    )


def test_tokens_that_were_broken_off_go_on_where_they_were(request_, published, monkeypatch):
    from tokcom_lab.training import tokens as module

    PHOTOGRAPH_TRAINERS["tokenizer"](request_, QUIET)
    data, model = load_dataset(request_.data, "train", size=32, crops=1), str(request_.folder)
    monkeypatch.setattr(module, "BATCH", 3)
    whole = np.array(module.enlarged_tokens(data, model, "train", views=4, device=CPU, cache="whole"))
    seen = []

    def stopping(done):
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        module.enlarged_tokens(data, model, "train", views=4, device=CPU, cache="halves", advance=stopping)
    asked, usual = [], module.PictureFeed.at
    monkeypatch.setattr(module.PictureFeed, "at", lambda feed, numbers: asked.append(numbers) or usual(feed, numbers))
    again = module.enlarged_tokens(data, model, "train", views=4, device=CPU, cache="halves")
    assert np.array_equal(again, whole) and min(map(min, asked)) == 6


def test_a_warm_start_goes_on_from_the_model(request_, published):
    for part in ("tokenizer", "maskgit"):
        PHOTOGRAPH_TRAINERS[part](request_, QUIET)
    again = replace(request_, work=request_.work / "again", warm_start=True, steps=1, command="again")
    for part, name in (("maskgit", "context"), ("tokenizer", "tokenizer")):
        before = load_file(request_.folder / f"{name}.safetensors")
        PHOTOGRAPH_TRAINERS[part](again, QUIET)
        after = load_file(request_.folder / f"{name}.safetensors")
        changes = (after[key].float() - before[key].float() for key in before if key != "codebook")
        moved = max(float(change.abs().max()) for change in changes)
        assert moved < 2e-3, "one step at the start of the warm-up hardly moves the weights"
    card = json.loads((request_.folder / "card.json").read_text())
    assert card["context"]["training"]["continues"]["command"] == "train it"


def test_maskgit_of_another_grid_than_the_tokenizer_is_refused(request_, published):
    PHOTOGRAPH_TRAINERS["tokenizer"](request_, QUIET)
    settings = replace(request_.photographs, config=PyramidConfig.of_grid(32, 4, 32))
    with pytest.raises(ParameterError, match="has patch size 4, not 8; give the --grid"):
        PHOTOGRAPH_TRAINERS["maskgit"](replace(request_, photographs=settings), QUIET)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["classifier", "--size", "64", "--steps", "1"], "--size goes with tokenizer and maskgit"),
        (["tokenizer", "--perceptual", "3"], "--perceptual goes with --size"),
        (["tokenizer", "--compile"], "--compile goes with --size"),
        (["tokenizer", "--size", "256"], "give one of --steps and --minutes"),
        (["tokenizer", "--size", "256", "--steps", "1", "--minutes", "1"], "give one of --steps and --minutes"),
        (["tokenizer", "--size", "250", "--steps", "1"], "have patches of 15.625 pixels"),
        (["tokenizer", "--size", "256", "--steps", "1", "--sharpness", "-1"], "it must be 0 or more"),
        (["tokenizer", "--size", "256", "--steps", "1", "--device", "gpu"], "it must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, words):
    result = CliRunner().invoke(main, ["train", *options, "--model", "mine", "--data", "nowhere"])
    assert result.exit_code and words in result.output.replace("\n", " ")


def test_the_command_line_reaches_the_trainer_and_the_card(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setitem(PHOTOGRAPH_TRAINERS, "tokenizer", lambda request, console: asked.append(request))
    options = (
        "--data /x/a.tar --data /x/b.zip --model mine --size 128 --grid 8 --words 512 --device cpu --minutes 2.5 "
        "--sharpness 0 --perceptual 9.5"
    )
    assert CliRunner().invoke(main, ["train", "tokenizer", *options.split()]).exit_code == 0
    (request,) = asked
    assert request.photographs == PhotographSettings(PyramidConfig.of_grid(128, 8, 512), CPU, 9.5, sharpness=0.0)
    assert (request.steps, request.minutes, request.batch) == (None, 2.5, 8)
    assert request.command == (
        "./run train tokenizer --data a.tar --data b.zip --model mine --minutes 2.5 --batch 8 --seed 0 --size 128 "
        "--grid 8 --words 512 --device cpu --perceptual 9.5 --sharpness 0"
    )


def test_a_decoder_trained_alone_keeps_words_classes_and_what_belongs_to_them(request_, published):
    for part in ("tokenizer", "maskgit"):
        PHOTOGRAPH_TRAINERS[part](request_, QUIET)
    folder, weights = request_.folder, request_.folder / "tokenizer.safetensors"
    before, card = load_file(weights), json.loads((folder / "card.json").read_text())
    card["labels"] = {"tokenizer": card["tokenizer"]["sha256"]}
    card["tokenizer"]["search"] = {"by": "latents", "rate": 0.01, "visits": 1}
    card["classes"] = [*card["classes"], "a class without pictures here"]
    (folder / "card.json").write_text(json.dumps(card))
    PHOTOGRAPH_TRAINERS["decoder"](replace(request_, warm_start=True, command="sharper"), QUIET)
    after, found = load_file(weights), json.loads((folder / "card.json").read_text())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert found["classes"] == card["classes"] and found["context"]["sha256"] == card["context"]["sha256"]
    assert found["tokenizer"]["training"]["continues"]["sha256"] == card["tokenizer"]["sha256"]
    assert found["tokenizer"]["search"] == card["tokenizer"]["search"]
    for part in ("context", "labels"):
        assert found[part]["tokenizer"] == found["tokenizer"]["sha256"] != card["tokenizer"]["sha256"]


def test_a_decoder_is_not_trained_from_nothing_nor_in_another_shape(request_, published):
    for part in ("tokenizer", "maskgit"):
        PHOTOGRAPH_TRAINERS[part](request_, QUIET)
    with pytest.raises(ParameterError, match="add --warm-start"):
        PHOTOGRAPH_TRAINERS["decoder"](request_, QUIET)
    other = replace(request_.photographs, config=PyramidConfig.of_grid(32, 8, 64))
    with pytest.raises(ParameterError, match="codebook size 32, not 64; give the --words"):
        PHOTOGRAPH_TRAINERS["decoder"](replace(request_, warm_start=True, photographs=other), QUIET)
