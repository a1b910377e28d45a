"""Figures of a model for photographs, against what they must be for networks whose answers are known."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from tokcom.context.efficientnet_lite import EfficientNetLite
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.errors import ModelError, ParameterError
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.pyramid_network import PyramidConfig, PyramidVQNetwork
from tokcom_lab import photograph_judge
from tokcom_lab.curves.photograph_quality import photograph_quality, picture_energy
from tokcom_lab.training.dataset import load_dataset
from tokcom_lab.training.export import Run, export_part


@pytest.fixture
def judge(monkeypatch):
    torch.manual_seed(0)
    trunk = EfficientNetLite(0).eval().requires_grad_(False)
    monkeypatch.setattr(photograph_judge, "load_efficientnet_lite", lambda version: (trunk, torch.nn.Linear(1280, 10)))
    return trunk


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Random weights but for the context, which finds all of its 32 words as likely."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    folder, run = tmp_path / "models" / "mine", Run("", "", 0, 0, 0.0)
    tokenizer = PyramidVQNetwork(PyramidConfig(32, 8, 32, 4, (8, 12), (1, 1), (12, 8, 8), (1, 1, 1)))
    context = MaskGitNetwork(MaskGitConfig(32, 4, 4, 2, 16, 1, 2, 3, 2))
    torch.nn.init.zeros_(context.head.weight)
    torch.nn.init.zeros_(context.head.bias)
    classes = ("owl", "cat")
    export_part(folder, "tokenizer", "pyramid", tokenizer, {}, run, classes)
    export_part(folder, "context", "maskgit", context, {}, run, classes)
    return str(folder)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("owl", 3), ("cat", 2), ("yak", 2)):
        (tmp_path / "data" / "test" / name).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(picture).save(tmp_path / "data" / "test" / name / f"{i}.png")
    return [tmp_path / "data"]


def test_a_context_that_knows_nothing_takes_all_bits(model, data, judge):
    done = []
    figures = photograph_quality(data, model, 100, progress=done.append)
    assert figures.images == 7 and figures.known == 5 and sum(done) == 14
    assert figures.bits_untold == pytest.approx(5) == figures.bits_told
    assert figures.tokenize_ms > 0 and figures.detokenize_ms > 0


def test_what_is_shown_is_compared_with_what_was_sent(model, data, judge):
    """PSNR and sharpness by hand, from the tokenizer's own pictures."""
    figures = photograph_quality(data, model, 100)
    sent = np.array(load_dataset(data, "test", size=32, crops=1).pictures[:, 0])
    tokenizer = load_tokenizer(model)
    shown = tokenizer.decode(tokenizer.encode(sent))
    errors = ((sent.astype(float) - shown.astype(float)) ** 2).mean((1, 2, 3))
    assert figures.psnr_db == pytest.approx(np.mean(10 * np.log10(255**2 / errors)), rel=1e-6)
    down, across = (
        [(np.diff(each.astype(float), axis=axis) ** 2).sum() for each in (shown, sent)] for axis in (1, 2)
    )  # fmt: skip
    assert figures.sharpness == pytest.approx((down[0] + across[0]) / (down[1] + across[1]), rel=1e-6)


def test_a_judge_agrees_with_itself_about_the_same_pictures(model, data, judge, monkeypatch):
    monkeypatch.setattr(photograph_judge, "as_input", lambda pictures: torch.zeros(len(pictures), 3, 32, 32))
    figures = photograph_quality(data, model, 100)
    assert figures.lite2_agreement == 1 and figures.lite2_cosine == pytest.approx(1, abs=1e-5)


def test_fewer_photographs_are_the_same_for_the_same_seed(model, data, judge):
    first, again = (photograph_quality(data, model, 3, seed=1) for _ in range(2))
    assert first.images == 3 and first.psnr_db == again.psnr_db and first.exact_untold == again.exact_untold
    with pytest.raises(ParameterError, match="n is 0; it must be at least 1"):
        photograph_quality(data, model, 0)


def test_without_its_judge_nothing_is_measured(model, data, monkeypatch):
    def missing(version):
        raise ModelError("not installed")

    monkeypatch.setattr(photograph_judge, "load_efficientnet_lite", missing)
    with pytest.raises(ModelError, match="not installed"):
        photograph_quality(data, model, 3)


def test_the_energy_of_a_chequerboard_is_that_of_all_its_edges():
    board = ((np.arange(4)[:, None] + np.arange(4)) % 2 * 255).astype(np.uint8)
    pictures = board[None, :, :, None].repeat(3, axis=3)
    assert picture_energy(pictures) == pytest.approx(3 * 2 * 12 * 255**2)
    assert math.isclose(picture_energy(np.zeros_like(pictures)), 0)
