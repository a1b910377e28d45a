"""Training of the decoder of thinned pictures: which tokens are left out, and what it learns."""

import contextlib
import io

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from tokcom.context.maskgit import MaskGit
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.frame import TokenFrame
from tokcom.source.ranking import ranked_places
from tokcom.source.relevance import distortion
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
from tokcom_lab.training import thinned
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import train
from tokcom_lab.training.thinned import SENT, ThinnedTask

QUIET = Console(file=io.StringIO())


class Trunk(nn.Module):
    """Edges and colours, in place of EfficientNet-Lite2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.head = nn.Conv2d(3, 8, 5, 4), nn.Conv2d(8, 12, 1)
        self.requires_grad_(False)

    def stages(self, pictures, taps):
        return [self.first(pictures)]


def a_task(seed=0):
    torch.manual_seed(seed)
    tokenizer = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1)).eval().requires_grad_(False)
    context = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2)).eval().requires_grad_(False)
    rng = np.random.default_rng(seed)
    data = Dataset(
        rng.integers(180, 256, (6, 1, 16, 16, 3), dtype=np.uint8), np.arange(6) % 3, ("cat", "dog", "owl"), ()
    )  # fmt: skip
    none = Dataset(data.pictures[:0], data.labels[:0], data.classes, ())
    return ThinnedTask(tokenizer, context, Trunk(), data, (none, np.zeros((0, 16), int)), data, batch=4, seed=seed)


@torch.no_grad()
def test_with_a_round_per_token_it_ranks_as_the_sender_does(monkeypatch):
    monkeypatch.setattr(thinned, "autocast", contextlib.nullcontext)
    monkeypatch.setattr(thinned, "ROUNDS", 11)
    task = a_task()
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, 32, (3, 16)))
    found = task.ranks(tokens, 12)
    prior, tokenizer = MaskGit(task.context, "c"), VQTokenizer(task.tokenizer, "c")
    for each, own in zip(tokens.numpy(), found.numpy(), strict=True):
        frame = TokenFrame(each, "c", 32, (4, 4))
        wanted = ranked_places(frame, prior, distortion(frame, tokenizer), 12)
        np.testing.assert_array_equal(np.argsort(own, kind="stable")[:12], wanted)


@torch.no_grad()
def test_as_many_tokens_are_lost_as_are_drawn():
    task, rng = a_task(), np.random.default_rng(0)
    tokens = torch.from_numpy(rng.integers(0, 32, (64, 16)))
    sent = (~task._lost(tokens, rng)).sum(1)
    assert sent.min() == round(16 * SENT[0]) and sent.max() == round(16 * SENT[1])


def test_it_learns_what_the_features_see(tmp_path):
    task = a_task()
    task.learning_rate = 1e-2
    before = {name: value.clone() for name, value in task.tokenizer.state_dict().items()}
    first = task.measured()
    assert first["lite2_cosine_50"] == pytest.approx(first["lite2_cosine_50_mean"], abs=0.01)
    train(task, steps=60, checkpoint=tmp_path / "thinned.safetensors", console=QUIET)
    last = task.measured()
    assert last["psnr_db_35"] > first["psnr_db_35"] + 0.3 and last["lite2_cosine_35"] > first["lite2_cosine_35"]
    assert last["lite2_cosine_35_mean"] == first["lite2_cosine_35_mean"]
    assert all(torch.equal(value, task.tokenizer.state_dict()[name]) for name, value in before.items())
