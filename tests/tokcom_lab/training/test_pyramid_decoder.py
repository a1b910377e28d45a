"""Further training of a photograph decoder, in small: only the decoder moves, and it becomes what is asked of it."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.tokenizers.pyramid_network import PyramidConfig
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import train
from tokcom_lab.training.pyramid import WRONG_PICTURES, PyramidTask
from tokcom_lab.training.pyramid_decoder import PyramidDecoderTask

QUIET = Console(file=io.StringIO())
CONFIG = PyramidConfig(
    32, 8, 32, 4, encoder_widths=(8, 12), encoder_blocks=(1, 1), decoder_widths=(12, 8, 8), decoder_blocks=(1, 1, 1)
)


@pytest.fixture(scope="module")
def context():
    torch.manual_seed(2)
    return MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, width=8, depth=1, heads=1)).eval()


def patchwork(n, seed):
    """Pictures of 4 x 4 plain patches in 8 colours."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(0).integers(0, 256, (8, 3), dtype=np.uint8)
    patches = colours[rng.integers(0, 8, (n, 1, 4, 4))]
    return Dataset(patches.repeat(8, axis=2).repeat(8, axis=3), np.arange(n) % 3, ("a", "b", "c"), ())


def task(trunk, context, **settings):
    """The task, at the weights of a tokenizer that nobody has trained."""
    data = patchwork(24, 1), patchwork(8, 2), trunk
    made = PyramidDecoderTask(CONFIG, *data, context, **{"batch": 4} | settings)
    made.warm_start(PyramidTask(CONFIG, *data, batch=4, seed=9).trained.state_dict())
    return made


def test_only_the_decoder_moves_and_tokens_stay(trunk, context, tmp_path):
    learner = task(trunk, context)
    pictures = learner.feed.at(np.arange(8))
    with torch.no_grad():
        tokens = learner.trained.encode(pictures)
    before = {name: value.clone() for name, value in learner.trained.state_dict().items()}
    train(learner, steps=6, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    for network in (learner.trained, learner.exported):
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        assert moved and all(name.startswith("decoder.") for name in moved)
        with torch.no_grad():
            assert torch.equal(network.encode(pictures), tokens)
    assert all(p.grad is None for p in context.parameters())


def test_a_few_steps_lower_the_error(trunk, context, tmp_path):
    learner = task(trunk, context, sharpness=0.0, perceptual=0.0, semantic=0.0)
    learner.learning_rate = 8e-3
    before = learner.measured()
    train(learner, steps=100, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    after = learner.measured()
    assert after["psnr_db"] > before["psnr_db"] + 1 and after["codes_used"] == before["codes_used"]


def test_features_count_in_full_from_the_start(trunk, context):
    """The gradient at the first step against that in the middle of a run, as no ramp lies between them."""
    learner = task(trunk, context, sharpness=0.0)
    pictures = learner.feed.at(np.arange(4))
    grey = torch.full_like(pictures, 0.1)
    gradients = []
    for share in (0.0, 0.6):
        learner.share = share
        gradients.append(learner._at_the_picture(grey.clone(), pictures, np.random.default_rng(5))[1])
    assert torch.equal(*gradients)


def test_guesses_are_where_the_context_model_was_asked(trunk, context):
    learner, n = task(trunk, context), 4000
    torch.manual_seed(0)
    tokens = torch.randint(0, 32, (n, 4, 4))
    with torch.no_grad():
        shown = learner._some_guessed(tokens)
    changed = (shown != tokens).flatten(1)
    # Of a quarter of the pictures, masked up to u of 5 to 50%, a share v of 0 to 40% of what is masked is guessed, and
    # one guess in 32 of a model that knows nothing is right: .275 * .2 of the tokens on average.
    assert float(changed.any(1).float().mean()) < WRONG_PICTURES
    assert float(changed.float().mean()) == pytest.approx(WRONG_PICTURES * 0.275 * 0.2, rel=0.2)


def test_a_run_in_two_pieces_ends_where_one_run_does(trunk, context, tmp_path):
    torch.set_num_threads(1)
    whole, parts = task(trunk, context), tmp_path / "parts.safetensors"
    train(whole, steps=4, checkpoint=tmp_path / "whole.safetensors", console=QUIET)
    # The schedule follows the share of the run, so that both pieces must know its length.
    first = task(trunk, context)
    usual = first.loss

    def stopping(rng):
        if int(first.model.steps) == 2:
            raise RuntimeError("power cut")
        return usual(rng)

    first.loss = stopping
    with pytest.raises(RuntimeError):
        train(first, steps=4, checkpoint=parts, save_every=0.0, console=QUIET)
    second = task(trunk, context)
    train(second, steps=4, checkpoint=parts, console=QUIET)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_the_critic_learns_before_it_counts(trunk, context):
    learner = task(trunk, context)
    pictures = learner.feed.at(np.arange(4))
    grey = torch.full_like(pictures, 0.1) + 0.01 * torch.randn(pictures.shape)
    learner.share = 0.0
    _, gradient, critic, _ = learner._at_the_picture(grey.clone(), pictures, np.random.default_rng(0))
    silent = task(trunk, context, sharpness=0.0)
    assert float(critic.detach()) > 0
    assert torch.equal(gradient, silent._at_the_picture(grey.clone(), pictures, np.random.default_rng(0))[1])
    learner.moved()
    assert float(learner.model.adversarial) == pytest.approx(0.2), "no weight grows while nothing counts"
    learner.share = 0.5
    for seed in range(60):
        learner._at_the_picture(grey.clone(), pictures, np.random.default_rng(seed))
        learner.moved()
    assert float(learner.model.adversarial) == pytest.approx(0.4), "its weight is bounded"
