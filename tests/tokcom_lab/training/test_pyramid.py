"""Training of the tokenizer for photographs, in small: it learns, it goes on where it was, each term has its say."""

import io
import signal

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.errors import CheckpointError
from tokcom.tokenizers.pyramid_network import PyramidConfig
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import train
from tokcom_lab.training.losses import coarse_error, feature_distance, log_error, semantic_distance
from tokcom_lab.training.pyramid import COARSE_WEIGHT, CROP, PyramidTask

QUIET = Console(file=io.StringIO())
CONFIG = PyramidConfig(
    32, 8, 32, 4, encoder_widths=(8, 12), encoder_blocks=(1, 1), decoder_widths=(12, 8, 8), decoder_blocks=(1, 1, 1)
)


def patchwork(n, seed):
    """Pictures of 4 x 4 plain patches in 8 colours."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(0).integers(0, 256, (8, 3), dtype=np.uint8)
    patches = colours[rng.integers(0, 8, (n, 1, 4, 4))]
    return Dataset(patches.repeat(8, axis=2).repeat(8, axis=3), np.arange(n) % 3, ("a", "b", "c"), ())


def task(trunk, **settings):
    return PyramidTask(CONFIG, patchwork(24, 1), patchwork(8, 2), trunk, **{"batch": 4} | settings)


def test_a_few_steps_lower_the_error(trunk, tmp_path):
    learner = task(trunk, sharpness=0.0, perceptual=0.0, semantic=0.0, seed=2)
    learner.learning_rate = 3e-3  # at higher ones, what is gained depends on the processor's rounding
    before = learner.measured()
    train(learner, steps=250, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    after = learner.measured()
    assert after["psnr_db"] > before["psnr_db"] + 2
    assert after["lite0_distance"] < before["lite0_distance"] and after["codes_used"] > before["codes_used"]


def test_a_run_in_two_pieces_ends_where_one_run_does(trunk, tmp_path):
    """Weights, average, critic, codebook, optimizer and draws all continue, the critic's turn among them."""
    torch.set_num_threads(1)
    whole = task(trunk)
    train(whole, steps=8, checkpoint=tmp_path / "whole.safetensors", console=QUIET)
    first = task(trunk)
    usual, calls = first.loss, []

    def stopping(rng):
        calls.append(1)
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)
        return usual(rng)

    first.loss = stopping
    with pytest.raises(KeyboardInterrupt):
        train(first, steps=8, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    second = task(trunk)
    train(second, steps=8, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    states = whole.model.state_dict(), second.model.state_dict()
    assert int(states[0]["steps"]) == 8 and float(states[0]["adversarial"]) != pytest.approx(0.2, abs=1e-6)
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_processors_without_bfloat16_train_too(trunk, tmp_path, monkeypatch):
    monkeypatch.setattr("tokcom.device.precision", lambda device: torch.float32)
    assert train(task(trunk), steps=4, checkpoint=tmp_path / "run.safetensors", console=QUIET).step == 4


def test_a_run_of_other_weights_is_not_continued(trunk, tmp_path):
    path = tmp_path / "run.safetensors"
    train(task(trunk), steps=1, checkpoint=path, console=QUIET)
    with pytest.raises(CheckpointError, match="differs in perceptual"):
        train(task(trunk, perceptual=1.0), steps=2, checkpoint=path, console=QUIET)


def test_the_gradient_at_the_picture_is_that_of_all_terms(trunk):
    """Against the whole loss differentiated at once, with the same random window."""
    learner = task(trunk, perceptual=3.0, semantic=2.0)
    learner.share = 0.45  # features count in full, and the critic has no turn yet
    pictures = learner.feed.at(np.arange(4))
    decoded = (pictures + 0.2 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))).contiguous()
    _, gradient, critic, _ = learner._at_the_picture(decoded.clone(), pictures, np.random.default_rng(5))
    rng, side = np.random.default_rng(5), round(CROP * 32)
    top, left = (int(each) for each in rng.integers(0, 32 - side + 1, 2))
    leaf = decoded.clone().requires_grad_()
    cut = [each[:, :, top : top + side, left : left + side] for each in (pictures, leaf)]
    (sent, sent_pooled), (shown, shown_pooled) = (learner._features(each) for each in cut)
    loss = log_error(leaf, pictures) + COARSE_WEIGHT * coarse_error(leaf, pictures)
    loss = loss + 3.0 * feature_distance(sent, shown) + 2.0 * semantic_distance(sent_pooled, shown_pooled)
    loss.backward()
    assert torch.allclose(gradient, leaf.grad, rtol=1e-3, atol=1e-6)
    assert float(critic) == 0
    learner.share = 0.0
    _, early, _, _ = learner._at_the_picture(decoded.clone(), pictures, np.random.default_rng(5))
    leaf.grad = None
    shown = learner._features(leaf[:, :, top : top + side, left : left + side])[0]
    loss = log_error(leaf, pictures) + COARSE_WEIGHT * coarse_error(leaf, pictures)
    (loss + feature_distance(sent, shown)).backward()
    assert torch.allclose(early, leaf.grad, rtol=1e-3, atol=1e-6), "at first a third of the features, nothing pooled"


def test_the_critic_is_heard_in_the_second_half_and_steered_to_sharpness(trunk):
    learner = task(trunk)
    pictures = learner.feed.at(np.arange(4))
    grey = torch.full_like(pictures, 0.1) + 0.01 * torch.randn(pictures.shape)
    learner.share = 0.6
    weights = []
    for seed in range(30):
        learner.loss(np.random.default_rng(seed))
        _, _, critic, _ = learner._at_the_picture(grey.clone(), pictures, np.random.default_rng(seed))
        learner.moved()
        weights.append(float(learner.model.adversarial))
    assert weights == sorted(weights) and weights[-1] > weights[0], "what is blurred gives it more weight"
    critic.backward()
    assert all(p.grad is not None for p in learner.model.critic.parameters())
    assert all(p.grad is None for p in learner.model.network.parameters())
    silent = task(trunk, sharpness=0.0)
    silent.share = 0.6
    assert float(silent._at_the_picture(grey.clone(), pictures, np.random.default_rng(0))[2]) == 0


def test_the_whole_loss_s_gradient_reaches_encoder_decoder_predictor_and_critic(trunk):
    learner = task(trunk)
    learner.share = 0.8
    loss, figures = learner.loss(np.random.default_rng(0))
    loss.backward()
    parts = (learner.trained.encoder, learner.trained.decoder, learner.model.predictor, learner.model.critic)
    for part in parts:
        assert sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None) > 0
    assert all(p.grad is None for p in learner.exported.parameters())
    assert {"psnr_db", "bits", "codes_used", "features", "sharpness", "critic", "critic_weight"} == figures.keys()


def test_wrong_tokens_are_masked_ones_and_plausible(trunk):
    learner, n = task(trunk), 4000
    torch.manual_seed(0)
    codebook = learner.trained.codebook
    tokens = torch.zeros(n, 4, 4, dtype=torch.long)
    masked = torch.rand(n, 4, 4) < 0.5
    logits = torch.full((int(masked.sum()), 32), -50.0)
    logits[:, 7] = 0.0
    logits[:, 9] = np.log(3.0)
    shown = learner._some_wrong(codebook[tokens], masked, logits, codebook)
    changed = (shown != codebook[0]).any(-1)
    assert not bool((changed & ~masked).any())
    # Of a quarter of the pictures each masked token at odds u, uniform up to 0.4: with half of 16 masked, some of
    # 1 - (1 - u/2)^16 of them.
    u = np.linspace(0, 0.4, 1001)
    assert float(changed.any((1, 2)).float().mean()) == pytest.approx(np.mean(1 - (1 - u / 2) ** 16) / 4, abs=0.03)
    sevens, nines = ((shown == codebook[word]).all(-1).sum() for word in (7, 9))
    assert int(sevens + nines) == int(changed.sum()) and float(nines / sevens) == pytest.approx(3, rel=0.15)


def test_words_that_nothing_chooses_move_to_latents(trunk):
    learner = task(trunk)
    latents = torch.nn.functional.normalize(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    learner._begin_codes(-latents[:1].expand(32, 4).clone())
    learner.model.code_use[5] = 0.0
    learner._move_codes(latents, torch.zeros(64, dtype=torch.long), np.random.default_rng(0))
    nearest = (learner.trained.codebook[5] @ latents.T).max()
    assert float(nearest) > 0.97 and torch.allclose(learner.trained.codebook.norm(dim=1), torch.ones(32), atol=1e-5)
    before = learner.trained.codebook[5].clone()
    learner.share = 0.9
    learner.model.code_age.fill_(0)
    learner.model.code_use[5] = 0.0
    learner._move_codes(latents, torch.zeros(64, dtype=torch.long), np.random.default_rng(1))
    assert torch.allclose(learner.trained.codebook[5], before, atol=1e-5), "late words keep what they mean"


def test_a_warm_start_begins_with_the_weights_and_the_average(trunk):
    source, learner = task(trunk, seed=3), task(trunk)
    learner.warm_start(source.trained.state_dict())
    for own, given in ((learner.trained, source.trained), (learner.exported, source.trained)):
        for name, value in own.state_dict().items():
            assert torch.equal(value, given.state_dict()[name])
    codes = torch.nn.functional.normalize(learner.model.code_sum, dim=1)
    assert torch.allclose(codes, source.trained.codebook, atol=1e-6)
    learner.loss(np.random.default_rng(0))
    learner.moved()
    nearness = (learner.trained.codebook * source.trained.codebook).sum(1)
    assert float(nearness.min()) > 0.99, "words that mean something already move slowly"


def test_sharpness_is_measured_over_all_test_pictures(trunk):
    learner = task(trunk)
    figures = learner.measured()
    pictures = learner.test.at(np.arange(8))
    with torch.no_grad():
        decoded = learner.exported.decode(learner.exported.encode(pictures)).clamp(-1, 1)

    def energy(x):
        return sum(float((np.diff(x.numpy(), axis=axis) ** 2).sum()) for axis in (2, 3))

    assert figures["sharpness"] == pytest.approx(energy(decoded) / energy(pictures), rel=1e-4)


def test_a_step_and_a_measurement_stay_on_their_device(trunk, monkeypatch):
    """There is no GPU in CI. On the "meta" device, too, a tensor left on the processor would stop the arithmetic; it
    has no values, so what asks for one gets 0, and every place counts as masked."""
    from torch.fx.experimental import _config

    from tokcom_lab.training import optimizers, picture_feed, pyramid, tokenizer

    def without_value(kind):
        return lambda value: kind(0 if isinstance(value, torch.Tensor) and value.is_meta else value)

    for module in (pyramid, picture_feed, tokenizer):
        for kind in (int, float, bool):
            monkeypatch.setattr(module, kind.__name__, without_value(kind), raising=False)
    monkeypatch.setattr(torch, "bincount", lambda x, minlength: torch.zeros(minlength, device=x.device))
    monkeypatch.setattr(pyramid, "autocast", lambda device: torch.autocast("cpu", enabled=False))
    monkeypatch.setattr(optimizers, "precision", lambda device: torch.float32)
    learner = task(trunk, device=torch.device("meta"))
    with _config.patch(meta_nonzero_assume_all_nonzero=True):
        for learner.share in (0.2, 0.8):
            learner.set_rates(5)
            loss, _ = learner.loss(np.random.default_rng(0))
            loss.backward()
            assert loss.is_meta and learner.clip().is_meta
            learner.optimizer.step()
            learner.moved()
    pictures = learner.test.at(np.arange(4))
    decoded = learner.exported.decode(learner.exported.encode(pictures))
    assert tokenizer.psnr_of(decoded, pictures).is_meta and learner._features(decoded)[1].is_meta
