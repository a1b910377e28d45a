import io
import json
import re
import shutil
import signal
import tarfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from tokcom.context.condition import Condition
from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.errors import CheckpointError, DatasetError, ModelError, ParameterError
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
from tokcom_lab.training import runs
from tokcom_lab.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tokcom_lab.training.dataset import Dataset, load_dataset
from tokcom_lab.training.decoder import RATE, VISITS, DecoderTask
from tokcom_lab.training.loop import train
from tokcom_lab.training.maskgit import MaskGitTask
from tokcom_lab.training.runs import CROPS, TRAINERS, TrainingRequest
from tokcom_lab.training.tokenizer import TokenizerTask
from tokcom_lab.training.tokens import kept_tokens, tokenized
from tokcom_lab.training.views import Views

QUIET = Console(file=io.StringIO())


@pytest.fixture
def data(tmp_path):
    """A folder of 12 training and 4 test pictures of 2 classes, one of them broken."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for name in ("owl", "cat"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 256, (20, 30 + i, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / f"{i}.png")
    (tmp_path / "data" / "train" / "cat" / "broken.jpg").write_bytes(b"oops")
    return tmp_path / "data"


@pytest.fixture
def runs_in_small(tmp_path, monkeypatch):
    """What the trainers build is small, and the working folder an empty one."""
    monkeypatch.chdir(tmp_path)
    small = {"width": 16, "encoder_blocks": 1, "decoder_blocks": 1, "detail_width": 8, "detail_blocks": 1}
    monkeypatch.setattr(runs, "VQConfig", partial(VQConfig, **small))
    monkeypatch.setattr(runs, "MaskGitConfig", partial(MaskGitConfig, width=24, depth=1))


def pictures(data, tmp_path, split="train", crops=2):
    return load_dataset(data, split, size=16, crops=crops, cache=tmp_path / "cache")


def tokenizer_task(data, tmp_path):
    config = VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1)
    return TokenizerTask(config, pictures(data, tmp_path), pictures(data, tmp_path, "test", 1), batch=4)


def maskgit_task(tokens=None):
    tokens = np.random.default_rng(1).integers(0, 32, (12, 2, 16)) if tokens is None else tokens
    labels = np.arange(12) % 3
    return MaskGitTask(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2), tokens, labels, tokens, labels, batch=4)


def test_folder_and_archive_give_the_same_pictures(data, tmp_path):
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(data, "some/where")
    folder, archive = (pictures(path, tmp_path) for path in (data, tmp_path / "data.tar"))
    assert folder.classes == archive.classes == ("cat", "owl")
    assert folder.pictures.shape == (12, 2, 16, 16, 3) and len(folder.broken) == 1
    assert np.array_equal(folder.pictures[:, 0], archive.pictures[:, 0])
    assert np.array_equal(folder.labels, archive.labels) and np.bincount(folder.labels).tolist() == [6, 6]


def test_hidden_files_and_folders_are_no_pictures_and_no_classes(data, tmp_path):
    plain = pictures(data, tmp_path)
    for place in ("train/.ipynb_checkpoints", "train/@eaDir", "test/.cache", "__MACOSX/train/dog"):
        (data / place).mkdir(parents=True)
        shutil.copy(data / "train" / "cat" / "0.png", data / place / "a.png")
    shutil.copy(data / "train" / "cat" / "broken.jpg", data / "train" / "cat" / "._0.jpg")
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(data, "some/where")
    for found in (pictures(data, tmp_path), pictures(tmp_path / "data.tar", tmp_path)):
        assert found.classes == ("cat", "owl") and len(found.broken) == 1
        assert found.pictures.shape == plain.pictures.shape
    assert len(list((tmp_path / "cache").iterdir())) == 2, "what is hidden does not bring a preparation of its own"


def test_a_preparation_that_was_broken_off_is_made_anew(data, tmp_path):
    cache = tmp_path / "cache"
    whole = np.array(load_dataset(data, "test", size=16, crops=1, cache=cache).pictures)
    (folder,) = cache.iterdir()
    (folder / "index.json").unlink()
    (folder / "pictures.npy").write_bytes(b"half")
    again = load_dataset(data, "test", size=16, crops=1, cache=cache)
    assert np.array_equal(again.pictures, whole) and list(cache.iterdir()) == [folder]


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such"):
        load_dataset(tmp_path / "nowhere", "train", size=16, crops=1, cache=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures under train"):
        load_dataset(tmp_path / "empty", "train", size=16, crops=1, cache=tmp_path)
    (tmp_path / "file.tar").write_text("no archive")
    with pytest.raises(DatasetError, match="neither a folder nor a whole tar or zip archive"):
        load_dataset(tmp_path / "file.tar", "train", size=16, crops=1, cache=tmp_path)


def patchwork(n, seed):
    """Pictures of 4 x 4 plain patches in 8 colours, as a data set of one crop."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(0).integers(0, 256, (8, 3), dtype=np.uint8)
    patches = colours[rng.integers(0, 8, (n, 1, 4, 4))]
    return Dataset(patches.repeat(4, axis=2).repeat(4, axis=3), np.zeros(n, np.int64), ("cloth",), ())


def decoder_task(train_data, test_data, tokens=None):
    """Warm-started from random weights, under a prior that expects the words of low numbers."""
    config = VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1)

    def prior(tokens, masked):
        return -0.1 * torch.arange(32.0).expand(int(masked.sum()), -1)

    task = DecoderTask(config, train_data, test_data, prior, batch=4, tokens=tokens)
    torch.manual_seed(5)
    task.warm_start(VQNetwork(config).state_dict())
    return task


@pytest.mark.parametrize("kind", ["tokenizer", "maskgit", "decoder"])
def test_a_run_in_two_pieces_ends_where_one_run_does(kind, data, tmp_path, monkeypatch):
    """Weights, optimizer, schedule and draws all continue: the weights agree bit for bit."""
    torch.set_num_threads(1)
    make = {
        "tokenizer": lambda: tokenizer_task(data, tmp_path), "maskgit": maskgit_task,
        "decoder": lambda: decoder_task(pictures(data, tmp_path), pictures(data, tmp_path, "test", 1)),
    }[kind]  # fmt: skip
    whole = make()
    train(whole, steps=6, checkpoint=tmp_path / "whole.safetensors", console=QUIET)
    first = make()
    monkeypatch.setattr(first, "loss", stopping_after(3, first.loss))
    with pytest.raises(KeyboardInterrupt):
        train(first, steps=6, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    second = make()
    train(second, steps=6, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", ["tokenizer", "maskgit", "decoder"])
def test_processors_without_bfloat16_train_too(kind, data, tmp_path, monkeypatch):
    """There nothing is copied on its way into a product, so nothing may move before its gradients have come."""
    monkeypatch.setattr("tokcom.device.precision", lambda device: torch.float32)
    task = {
        "tokenizer": lambda: tokenizer_task(data, tmp_path), "maskgit": maskgit_task,
        "decoder": lambda: decoder_task(pictures(data, tmp_path), pictures(data, tmp_path, "test", 1)),
    }[kind]()  # fmt: skip
    progress = train(task, steps=6, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    assert progress.step == 6


def stopping_after(count, loss):
    calls = []

    def stopped(rng):
        calls.append(1)
        if len(calls) == count:
            signal.raise_signal(signal.SIGINT)
        return loss(rng)

    return stopped


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    train(maskgit_task(), steps=1, checkpoint=path, console=QUIET)
    other = maskgit_task()
    other.batch = 8
    with pytest.raises(CheckpointError, match="differs in batch"):
        train(other, steps=2, checkpoint=path, console=QUIET)


def test_a_broken_checkpoint_is_named(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"run\.safetensors: the checkpoint cannot be read"):
        train(maskgit_task(), steps=1, checkpoint=path, console=QUIET)


def test_maskgit_learns_what_there_is_to_learn(tmp_path):
    """Every token equals its row: after training, masked ones are told from the known ones of their row."""
    rows = np.random.default_rng(2).integers(0, 32, (12, 2, 4))
    task = maskgit_task(np.repeat(rows, 4, axis=2))
    task.learning_rate = 5e-3
    before = task.measured()["bits_at_15"]
    train(task, steps=600, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    assert before > 4.5 and task.measured()["bits_at_15"] < 2


@pytest.mark.parametrize("classes", [3, 7])
def test_a_small_network_begins_with_the_principal_components_of_a_larger_one(classes):
    """Its words are as near each other as 16 dimensions allow; labels are taken over where there are as many."""
    task = maskgit_task()
    torch.manual_seed(7)
    larger = MaskGitNetwork(replace(task.config, width=24, heads=2, num_classes=classes))
    labels = task.model.class_embedding.weight.detach().clone()
    task.begin_like(larger)
    words, like = (each.token_embedding.weight.detach().double() for each in (task.model, larger))
    energy, axes = torch.linalg.eigh(like @ like.T)
    kept = axes[:, -task.config.width :]
    assert torch.allclose(words @ words.T, kept @ torch.diag(energy[-task.config.width :]) @ kept.T, atol=1e-5)
    assert torch.equal(task.model.class_embedding.weight, labels) == (classes != task.config.num_classes)


def test_all_three_parts_train_into_a_model_that_loads(data, tmp_path, runs_in_small):
    for part in ("tokenizer", "maskgit", "classifier"):
        request = TrainingRequest(data, tmp_path / "models", "mine", tmp_path / "work", 2, 4, 0, False, "train it")
        TRAINERS[part](request, QUIET)
    folder = tmp_path / "models" / "mine"
    card = json.loads((folder / "card.json").read_text())
    assert card["classes"] == ["cat", "owl"] and card["context"]["training"]["command"] == "train it"
    assert {"psnr_db", "codes_used"} <= card["tokenizer"]["figures"].keys()
    frame = load_tokenizer(str(folder)).tokenize(np.zeros((5, 5, 3), np.uint8))
    load_context(str(folder)).require_fit(frame, Condition.of(frame))
    assert load_classifier(str(folder)).classes == ("cat", "owl")


def test_a_decoder_of_lossy_pictures_becomes_a_part_of_the_model(data, tmp_path, runs_in_small):
    request = TrainingRequest(
        data, tmp_path / "models", "mine", tmp_path / "work", 2, 4, 0, False, "train it", visits=0
    )
    folder = tmp_path / "models" / "mine"
    with pytest.raises(ModelError, match="no such file"):
        TRAINERS["concealing"](request, QUIET)
    for part in ("tokenizer", "maskgit", "concealing"):
        TRAINERS[part](request, QUIET)
    card = json.loads((folder / "card.json").read_text())
    assert card["concealing"]["tokenizer"] == card["tokenizer"]["sha256"]
    assert {"psnr_db_25", "psnr_db_25_mean"} <= card["concealing"]["figures"].keys()
    assert load_tokenizer(str(folder)).concealing.config.width == 16


def test_a_decoder_of_thinned_pictures_begins_with_that_of_lossy_ones(data, tmp_path, runs_in_small, monkeypatch):
    trunk = EfficientNetLite(2).eval().requires_grad_(False)
    monkeypatch.setattr(runs, "load_efficientnet_lite", lambda version: (trunk, None))
    request = TrainingRequest(
        data, tmp_path / "models", "mine", tmp_path / "work", 1, 2, 0, False, "train it", visits=0
    )
    for part in ("tokenizer", "maskgit", "concealing", "thinned"):
        TRAINERS[part](request, QUIET)
    folder = tmp_path / "models" / "mine"
    card = json.loads((folder / "card.json").read_text())
    assert card["thinned"]["tokenizer"] == card["tokenizer"]["sha256"] and card["thinned"]["family"] == "concealing"
    assert {"psnr_db_35", "lite2_cosine_50_mean"} <= card["thinned"]["figures"].keys()
    found = load_tokenizer(str(folder))
    torch.testing.assert_close(found.thinned.stem.bias, found.concealing.stem.bias, atol=5e-3, rtol=0)


def test_the_decoder_and_the_search_improve_in_turns(tmp_path):
    task = decoder_task(patchwork(12, 1), patchwork(6, 2))
    task.learning_rate = 5e-3
    before = task.measured()
    train(task, steps=300, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    after = task.measured()
    assert after["psnr_db"] > before["psnr_db"] + 1 and after["psnr_db"] > after["psnr_db_encoder_alone"]
    visited = task.model.visited
    assert 0.15 * 300 * 4 < int(visited.sum()) < 0.35 * 300 * 4, "a quarter of the steps, four views each"
    assert visited.max() - visited.min() <= 1, "all views are visited alike"


def test_tokens_that_were_searched_for_are_what_maskgit_learns_on(data, tmp_path, runs_in_small):
    """The decoder's training leaves them; of the test pictures and of another model's they are searched for."""
    request = TrainingRequest(data, tmp_path / "models", "mine", tmp_path / "work", 2, 4, 0, False, "train it")
    for part in ("tokenizer", "maskgit"):
        TRAINERS[part](request, QUIET)
    with pytest.raises(ParameterError, match="--warm-start"):
        TRAINERS["decoder"](request, QUIET)
    again = replace(request, work=tmp_path / "again", warm_start=True, steps=6)
    TRAINERS["decoder"](again, QUIET)
    model = str(tmp_path / "models" / "mine")
    card = json.loads((tmp_path / "models" / "mine" / "card.json").read_text())
    assert card["tokenizer"]["search"] == {"rate": RATE, "visits": VISITS}
    chosen = load_file(tmp_path / "again" / "mine" / "decoder.safetensors")["model.chosen"].numpy()
    whole = load_dataset(data, "train", size=64, crops=CROPS)
    kept = tokenized(whole, model, "train")
    assert np.array_equal(kept[:, 0], chosen[: len(kept)].reshape(len(kept), -1))
    assert np.array_equal(kept[:, 1], chosen[len(kept) :].reshape(len(kept), -1))
    numbered = kept_tokens(whole, model, "train")
    assert np.array_equal(numbered, chosen.reshape(len(chosen), -1))
    assert kept_tokens(whole, model, "train", cache=tmp_path / "elsewhere") is None
    anew = tokenized(whole, model, "train", cache=tmp_path / "elsewhere")
    expected = load_tokenizer(model).encode(Views.of(whole).pictures(np.arange(2 * len(kept))))
    assert anew.shape == kept.shape and np.array_equal(kept_tokens(whole, model, "train"), numbered)
    assert (anew.transpose(1, 0, 2).ravel() == expected.ravel()).mean() > 0.97, "but for rounding"
    TRAINERS["maskgit"](again, QUIET)


def test_the_decoder_goes_on_from_tokens_that_were_found_before():
    data = patchwork(5, 1)
    found = np.random.default_rng(3).integers(0, 32, (2 * 5, 16))
    task = decoder_task(data, data, found)
    assert np.array_equal(task.model.chosen.flatten(1).numpy(), found)


@pytest.mark.parametrize("part", ["tokenizer", "maskgit"])
def test_a_trained_model_can_be_trained_on(part, data, tmp_path, runs_in_small):
    """Without its checkpoint: the second run begins with the first one's weights and says so in the card."""
    request = TrainingRequest(data, tmp_path / "models", "mine", tmp_path / "work", 1, 4, 0, False, "first")
    for name in ("tokenizer", part):
        TRAINERS[name](request, QUIET)
    path = tmp_path / "models" / "mine" / ("tokenizer" if part == "tokenizer" else "context")
    before = load_file(path.with_suffix(".safetensors"))
    again = replace(request, work=tmp_path / "elsewhere", warm_start=True, command="second")
    TRAINERS[part](again, QUIET)
    after = load_file(path.with_suffix(".safetensors"))
    moved = max(
        float((after[name].float() - before[name].float()).abs().max()) for name in before if name != "codebook"
    )
    assert moved < 1e-4, "one step at the start of the warm-up hardly moves the weights"
    training = json.loads((tmp_path / "models" / "mine" / "card.json").read_text())[path.name]["training"]
    assert training["command"] == "second" and training["continues"]["command"] == "first"


def test_progress_is_read_in_80_columns(tmp_path):
    """Each line is whole: the bar with the time left, then the figures; no dictionary is printed."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    train(maskgit_task(), steps=3, checkpoint=tmp_path / "maskgit.safetensors", console=console)
    lines = [re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "", line).strip() for line in console.file.getvalue().splitlines()]
    bars = [line for line in lines if "training maskgit" in line]
    assert bars and all(re.search(r"/3 \d:\d\d:\d\d left [-\d:]+$", line) and len(line) <= 80 for line in bars)
    assert any(re.match(r"\w+ \d+\.\d{3}", line) for line in lines) and not any("{" in line for line in lines)


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_training_that_diverges_stops_and_keeps_the_last_good_step(bad, tmp_path):
    task = maskgit_task()
    checkpoint, usual = tmp_path / "maskgit.safetensors", task.loss

    def loss(rng):
        value, figures = usual(rng)
        if task.steps_taken == 3:
            value = value * float("nan") if bad == "loss" else value + torch.sqrt(0 * value)
        task.steps_taken += 1
        return value, figures

    task.loss, task.steps_taken = loss, 0
    with pytest.raises(CheckpointError, match=r"at step 3: the training diverges\. .*maskgit\.safetensors holds"):
        train(task, steps=9, checkpoint=checkpoint, console=QUIET)
    kept = load_file(checkpoint)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    fresh = maskgit_task()
    train(fresh, steps=3, checkpoint=tmp_path / "short.safetensors", console=QUIET)
    resumed = load_checkpoint(checkpoint, fresh.model, fresh.optimizer, fresh.settings())
    assert resumed.step == 3


def test_a_tokenizer_that_diverges_leaves_a_codebook_that_is_finite(data, tmp_path):
    """Codes, too, move by no step that is not finite: the checkpoint can be continued."""
    task, checkpoint = tokenizer_task(data, tmp_path), tmp_path / "tokenizer.safetensors"
    train(task, steps=2, checkpoint=checkpoint, console=QUIET)
    with torch.no_grad():
        task.model.encoder.head.bias.fill_(float("nan"))
    before = task.model.codebook.clone()
    task.loss(task.rng(2))
    assert torch.equal(task.model.codebook, before)


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path):
    task, path = maskgit_task(), tmp_path / "maskgit.safetensors"
    train(task, steps=1, checkpoint=path, console=QUIET)
    with torch.no_grad():
        next(iter(task.model.parameters())).fill_(float("inf"))
    save_checkpoint(path, task.model, task.optimizer, Progress(1), task.settings())
    with pytest.raises(CheckpointError, match=r"the checkpoint is not finite \(model\."):
        train(maskgit_task(), steps=2, checkpoint=path, console=QUIET)


def test_weights_of_another_shape_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="do not fit"):
        maskgit_task().warm_start({"head.weight": torch.zeros(3, 3)})
    with pytest.raises(CheckpointError, match="do not fit"):
        maskgit_task().warm_start({})
