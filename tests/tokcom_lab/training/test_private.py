"""Private training: gradients of single pictures against autograd's, one at a time; clipping and the privacy spent
against their formulas."""

import io
import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch.nn import functional as F

pytest.importorskip("opacus", reason="the packages of requirements/private.txt are not installed")

from tokcom.context.maskgit_network import MaskGitConfig
from tokcom.errors import ParameterError
from tokcom.models.zoo import load_context
from tokcom_lab.training import private, runs
from tokcom_lab.training.loop import train
from tokcom_lab.training.private import Privacy, PrivateMaskGitTask
from tokcom_lab.training.runs import TRAINERS, TrainingRequest

QUIET = Console(file=io.StringIO())
CONFIG = MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2)


def task(count=12, batch=6, steps=20, privacy=None, seed=0):
    tokens = np.random.default_rng(1).integers(0, 32, (count, 2, 16))
    labels = np.arange(count) % 3
    made = PrivateMaskGitTask(
        CONFIG, tokens, labels, tokens, labels, batch=batch, privacy=privacy or Privacy(), steps=steps, seed=seed
    )  # fmt: skip
    made._secret = np.random.default_rng(7)
    return made


def alone(made, tokens, label, masked):
    """Gradient of the loss of one picture, by autograd."""
    hidden = tokens.masked_fill(masked, CONFIG.codebook_size)
    loss = F.cross_entropy(made.model(hidden[None], label[None], masked[None]), tokens[masked])
    return torch.autograd.grad(loss, list(made.model.parameters()))


@pytest.fixture
def in_parts(monkeypatch):
    """Let the gradients of three pictures fit in memory."""
    monkeypatch.setattr(private, "AT_ONCE", 3)


def test_a_step_without_noise_is_the_sum_of_clipped_gradients(in_parts):
    made = task(privacy=Privacy(clip=0.3), batch=11)
    drawn = made._drawn()
    made._drawn = lambda: drawn
    made.optimizer.noise_multiplier = 0.0
    expected = [torch.zeros_like(each) for each in made.model.parameters()]
    norms = []
    for picture in zip(*drawn, strict=True):
        gradient = alone(made, *picture)
        norms.append(float(torch.sqrt(sum(each.square().sum() for each in gradient))))
        for total, each in zip(expected, gradient, strict=True):
            total += each * min(1.0, 0.3 / max(norms[-1], 1e-9)) / 11
    loss, figures = made.loss(None)
    made.optimizer.zero_grad()
    loss.backward()
    norm = made.clip()
    made.optimizer.pre_step()
    for parameter, each in zip(made.model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, each, atol=1e-6)
    assert max(norms) > 0.3
    last = len(norms) - (len(norms) - 1) // 3 * 3
    assert float(norm) == pytest.approx(np.mean(norms[-last:]), rel=1e-4)
    assert figures["bits"] == pytest.approx(float(loss.detach()) / math.log(2))


def test_noise_is_that_of_the_demands_and_of_no_seed(in_parts):
    first, second = task(seed=5, steps=3), task(seed=5, steps=3)
    for made in (first, second):
        nobody = tuple(each[:0] for each in made._drawn())
        made._drawn = lambda nobody=nobody: nobody
        made.loss(None)
        made.optimizer.zero_grad()
        made.clip()
        made.optimizer.pre_step()
    noise = [torch.cat([each.grad.flatten() for each in made.model.parameters()]) for made in (first, second)]
    assert float(noise[0].std()) == pytest.approx(first.noise * first.privacy.clip / first.batch, rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack(noise))[0, 1])) < 0.1


def test_every_picture_takes_part_with_the_same_probability():
    made = task(count=400, batch=40)
    counts = [len(made._drawn()[0]) for _ in range(100)]
    assert np.mean(counts) == pytest.approx(40, abs=4 * 6 / math.sqrt(100))
    assert np.var(counts) == pytest.approx(40 * 0.9, rel=0.5)


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_the_privacy_spent_is_what_was_demanded(epsilon):
    made = task(count=300, batch=300, steps=50, privacy=Privacy(epsilon, 1e-4))
    spent = made.spent(50)
    assert 0.95 * epsilon < spent["epsilon"] <= epsilon
    # All pictures take part in every step: the Gaussian mechanism, whose closed bound is a little looser.
    rho = 50 / (2 * made.noise**2)
    assert spent["epsilon"] <= rho + 2 * math.sqrt(rho * math.log(1e4))
    assert made.spent(10)["epsilon"] < spent["epsilon"]
    assert task(count=300, batch=30, steps=50, privacy=Privacy(epsilon, 1e-4)).noise < made.noise


def test_a_run_learns_and_can_be_continued(tmp_path):
    rows = np.full((64, 1, 16), 5)  # every picture has the same word everywhere
    labels = np.arange(64) % 3

    def made():
        one = PrivateMaskGitTask(
            CONFIG, rows, labels, rows, labels, batch=32, privacy=Privacy(1e4, 1e-3), steps=20
        )  # fmt: skip
        one.learning_rate = 2e-2
        return one

    first = made()
    before, checkpoint = first.measured()["bits_at_15"], tmp_path / "run.safetensors"
    train(first, steps=10, checkpoint=checkpoint, console=QUIET)
    second = made()
    train(second, steps=20, checkpoint=checkpoint, console=QUIET)
    assert second.measured()["bits_at_15"] < before - 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"batch": 13}, "batch is 13"), ({"privacy": Privacy(delta=0.2)}, "delta is 0.2; with 12 pictures"),
     ({"privacy": Privacy(epsilon=1e-9)}, "no noise meets it")],
)  # fmt: skip
def test_demands_that_cannot_be_met_are_refused(changes, said):
    with pytest.raises(ParameterError, match=said):
        task(**changes)


@pytest.mark.parametrize("changes", [{"epsilon": 0}, {"epsilon": math.inf}, {"delta": 1.0}, {"clip": math.nan}])
def test_demands_out_of_range_are_refused(changes):
    with pytest.raises(ParameterError, match=f"{next(iter(changes))} is"):
        Privacy(**changes)


def test_the_card_tells_the_privacy_spent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "MaskGitConfig", partial(MaskGitConfig, width=24, depth=1))
    monkeypatch.setattr(runs, "VQConfig", partial(runs.VQConfig, width=16, encoder_blocks=1, decoder_blocks=1))
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("owl", "cat"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(folder / f"{number}.png")
    request = TrainingRequest(
        tmp_path / "data", tmp_path / "models", "mine", tmp_path / "work", 2, 4, 0, False, "train it"
    )  # fmt: skip
    TRAINERS["tokenizer"](request, QUIET)
    TRAINERS["maskgit"](replace(request, privacy=Privacy(8.0, 1e-3)), QUIET)
    card = json.loads((tmp_path / "models" / "mine" / "card.json").read_text())
    spent = card["context"]["privacy"]
    assert (spent["steps"], spent["delta"], spent["clip"], spent["share_per_step"]) == (2, 1e-3, 1.0, 0.5)
    assert 0 < spent["epsilon"] <= 8
    load_context(str(tmp_path / "models" / "mine"))
