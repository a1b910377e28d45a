"""Training of MaskGIT with sentences and beliefs, in small."""

import io
import signal

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.context.maskgit_network import MaskGitConfig
from tokcom.errors import ParameterError
from tokcom_lab.training.loop import train
from tokcom_lab.training.sentence_maskgit import SentenceMaskGitTask, signs

QUIET = Console(file=io.StringIO())
CONFIG = MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2, condition_dim=6)


def sentences():
    made = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(made, dim=-1)


def task(tokens=None, labels=None, **settings):
    tokens = np.random.default_rng(1).integers(0, 32, (12, 2, 16)) if tokens is None else tokens
    labels = np.arange(12) % 3 if labels is None else labels
    return SentenceMaskGitTask(CONFIG, tokens, labels, tokens, labels, sentences(), **{"batch": 4} | settings)


def test_it_learns_what_the_others_tell(tmp_path):
    """Every token equals its row, among noise and beliefs."""
    rows = np.random.default_rng(2).integers(0, 32, (12, 2, 4))
    learner = task(np.repeat(rows, 4, axis=2), batch=8)
    learner.learning_rate = 6e-3
    before = learner.measured()["bits_at_15"]
    train(learner, steps=700, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    assert before > 4.5 and learner.measured()["bits_at_15"] < 2.5


def test_it_learns_what_a_sentence_tells(tmp_path):
    """All tokens of a picture follow from its class, which is told in either phrasing; untold they take bits."""
    labels = np.arange(48) % 3
    tokens = np.broadcast_to((labels * 7)[:, None, None], (48, 2, 16)).copy()
    learner = task(tokens, labels, batch=16)
    learner.learning_rate = 6e-3
    train(learner, steps=250, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    nothing_known = np.ones((3, 16), bool)
    with torch.no_grad():
        network = learner.exported
        hidden, places = torch.full((3, 16), 32), torch.from_numpy(nothing_known)
        for phrasing in range(2):
            told = network.condition(sentences()[:, phrasing])
            logits = network.predict(network.token_embedding(hidden), told, places).reshape(3, 16, 32)
            for label in range(3):
                assert float(logits[label].softmax(-1)[:, 7 * label].min()) > 0.99
        untold = network(hidden, torch.full((3,), 3), places).softmax(-1)
    assert float(untold.max()) < 0.95


def test_a_run_in_two_pieces_ends_where_one_run_does(tmp_path):
    torch.set_num_threads(1)
    whole, first, second = task(), task(), task()
    train(whole, steps=6, checkpoint=tmp_path / "whole.safetensors", console=QUIET)
    usual, calls = first.loss, []

    def stopping(rng):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return usual(rng)

    first.loss = stopping
    with pytest.raises(KeyboardInterrupt):
        train(first, steps=6, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    train(second, steps=6, checkpoint=tmp_path / "halves.safetensors", console=QUIET)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_the_model_keeps_the_first_phrasing_and_zeros_for_nothing():
    table = task().exported.conditions
    assert torch.equal(table[:3], sentences()[:, 0]) and not table[3].any()


def test_something_is_told_of_85_in_100_pictures_in_all_phrasings():
    learner = task(batch=2000)
    torch.manual_seed(0)
    labels = np.arange(2000) % 3
    told = learner._told(labels, np.random.default_rng(0))
    silent = ~told.any(1)
    assert 0.12 < float(silent.float().mean()) < 0.18
    distances = (told[:, None] - sentences()[labels]).norm(dim=-1)
    nearest, distance = distances.argmin(1)[~silent], distances.min(1).values[~silent]
    assert 0.4 < float(nearest.float().mean()) < 0.6
    assert 0.4 < float((distance == 0).float().mean()) < 0.6 and float(distance.max()) < 0.15


def test_a_hundredth_of_the_known_tokens_is_wrong():
    learner = task()
    torch.manual_seed(0)
    tokens = torch.zeros(4000, 16, dtype=torch.long)
    wrong = learner._noisy(tokens) != tokens
    assert float(wrong.float().mean()) == pytest.approx(0.5 * 0.02 * 31 / 32, rel=0.15)


def test_beliefs_are_the_posterior_of_the_words_and_calibrated():
    """Whoever believes p is right in p of all cases: over many tokens, in each tenth of p."""
    learner = task()
    torch.manual_seed(0)
    tokens = torch.randint(0, 32, (400, 16))
    beliefs = learner._beliefs(tokens)
    assert torch.allclose(beliefs.sum(-1), torch.ones(400, 16), atol=1e-5)
    stated = beliefs.flatten()
    true = torch.nn.functional.one_hot(tokens, 32).flatten().float()
    for low in np.arange(0.1, 0.95, 0.1):
        inside = (stated >= low) & (stated < low + 0.1)
        assert int(inside.sum()) > 100
        spread = 4 * (0.25 / float(inside.sum())) ** 0.5
        assert float(true[inside].mean()) == pytest.approx(float(stated[inside].mean()), abs=spread)


def test_signs_are_those_of_bits():
    assert signs(torch.tensor([0, 5]), 3).tolist() == [[-1, -1, -1], [1, -1, 1]]


def test_dropout_ends_with_training():
    learner = task()
    block = learner.trained.blocks[0]
    torch.nn.init.normal_(block.projection.weight)
    x = torch.randn(1, 16, 16)
    with torch.no_grad():
        learner.model.train()
        assert not torch.equal(block(x), block(x))
        learner.model.eval()
        assert torch.equal(block(x), block(x))
        learner.model.train()
        average = learner.exported.blocks[0]
        assert torch.equal(average(x), average(x)), "the average has none"


def test_a_warm_start_keeps_the_sentences_of_now():
    source, learner = task(seed=3), task()
    weights = source.exported.state_dict() | {"conditions": torch.zeros(9, 6)}
    learner.warm_start(weights)
    assert torch.equal(learner.exported.head.weight, source.exported.head.weight)
    assert torch.equal(learner.exported.conditions[:3], sentences()[:, 0])


@pytest.mark.parametrize("shape", [(3, 6), (4, 2, 6), (3, 2, 5)])
def test_sentences_of_another_shape_are_refused(shape):
    tokens, labels = np.zeros((12, 2, 16), int), np.zeros(12, int)
    with pytest.raises(ParameterError, match="for 3 classes; it must be classes by phrasings of 6 numbers"):
        SentenceMaskGitTask(CONFIG, tokens, labels, tokens, labels, torch.zeros(shape))


def test_a_step_stays_on_its_device(monkeypatch):
    """On the "meta" device, as no GPU is in CI; it has no values, so what asks for one gets 0."""
    from torch.fx.experimental import _config

    from tokcom_lab.training import optimizers, sentence_maskgit

    for kind in (int, float):
        monkeypatch.setattr(sentence_maskgit, kind.__name__, lambda value, kind=kind: kind(0), raising=False)
    monkeypatch.setattr(sentence_maskgit, "autocast", lambda device: torch.autocast("cpu", enabled=False))
    monkeypatch.setattr(optimizers, "precision", lambda device: torch.float32)
    learner = task(device=torch.device("meta"))
    learner.share = 0.5
    learner.set_rates(5)
    with _config.patch(meta_nonzero_assume_all_nonzero=True):
        loss, _ = learner.loss(np.random.default_rng(0))
        loss.backward()
    assert loss.is_meta and learner.clip().is_meta
    learner.optimizer.step()
    learner.moved()
