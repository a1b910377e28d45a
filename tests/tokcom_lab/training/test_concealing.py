"""Training of the decoder of lossy pictures: its losses, and what it learns."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
from tokcom_lab.training.concealing import ConcealingTask, lost_places
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import train

QUIET = Console(file=io.StringIO())


def test_losses_are_whole_datagrams():
    """8 packets of 4 tokens each are lost together, at least those of one datagram."""
    rng = np.random.default_rng(0)
    lost = np.array([lost_places((16, 16), rng) for _ in range(400)])
    datagrams = lost.sum(axis=1) / 32
    assert set(datagrams) <= set(range(1, 9)) and len(set(datagrams)) > 5
    # Neighbours are in different datagrams as often as the layout spreads them: the losses have no pattern.
    together = (lost[:, 1:] & lost[:, :-1]).mean() / lost.mean()
    alone = np.mean(datagrams * (32 * datagrams - 1)) / np.mean(datagrams) / 255
    assert together == pytest.approx(alone, rel=0.03)


@pytest.mark.parametrize("datagrams", [0, 1, 3])
def test_losses_may_be_counted(datagrams):
    lost = lost_places((16, 16), np.random.default_rng(1), datagrams)
    assert lost.sum() == 32 * datagrams


def a_task(seed=0, searched=True):
    torch.manual_seed(seed)
    tokenizer = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1)).eval().requires_grad_(False)
    context = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2)).eval().requires_grad_(False)
    rng = np.random.default_rng(seed)
    data = Dataset(
        rng.integers(180, 256, (6, 2, 16, 16, 3), dtype=np.uint8), np.arange(6) % 3, ("cat", "dog", "owl"), ()
    )  # fmt: skip
    few = Dataset(data.pictures[:3, :1], data.labels[:3], data.classes, ())
    found = rng.integers(0, 32, (3 if searched else 0, 16))
    return ConcealingTask(tokenizer, context, data, (few, found), data, batch=4, seed=seed)


def test_it_learns_and_leaves_the_model_alone(tmp_path):
    task = a_task()
    before = {name: value.clone() for name, value in task.tokenizer.state_dict().items()}
    first = task.measured()
    assert first["psnr_db_50"] == pytest.approx(first["psnr_db_50_mean"], abs=0.01)
    task.set_rates = lambda step: None  # the usual ones rise over 200 steps
    train(task, steps=60, checkpoint=tmp_path / "concealing.safetensors", console=QUIET)
    last = task.measured()
    assert last["psnr_db_50"] > first["psnr_db_50"] + 0.3
    assert last["psnr_db_50_mean"] == first["psnr_db_50_mean"]
    assert all(torch.equal(value, task.tokenizer.state_dict()[name]) for name, value in before.items())


def test_a_run_that_was_stopped_goes_on_alike(tmp_path):
    whole, first, second = a_task(), a_task(), a_task()
    for task in (whole, first, second):
        task.set_rates = lambda step: None  # the usual ones depend on the number of steps
    train(whole, steps=4, checkpoint=tmp_path / "whole.safetensors", console=QUIET)
    train(first, steps=2, checkpoint=tmp_path / "parts.safetensors", console=QUIET)
    train(second, steps=4, checkpoint=tmp_path / "parts.safetensors", console=QUIET)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(value, second.model.state_dict()[name], msg=name)


def test_it_goes_without_searched_tokens():
    pictures, tokens, labels = a_task(searched=False)._drawn(np.random.default_rng(0))
    assert pictures.shape == (4, 3, 16, 16) and tokens.shape == (4, 16) and labels.shape == (4,)
