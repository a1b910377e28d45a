"""A map from sentences to what a MaskGIT is told: where it starts, what it learns, and its part of a model."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from tokcom.context.condition import Condition
from tokcom.context.description import WIDTH, of_point
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST
from tokcom.models import zoo
from tokcom.models.card import CONDITIONS, CONTEXT
from tokcom.models.installed import model_card
from tokcom.models.networks import load_network
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.training.conditions import ClassSentences, ConditionsTask
from tokcom_lab.training.export import Run, export_part
from tokcom_lab.training.loop import train

QUIET = Console(file=io.StringIO())
RUN = Run("none", "none", 0, 0, 0.0)


def unit(*shape, seed=0):
    points = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return points / points.norm(dim=-1, keepdim=True)


def a_task(context, seed=0):
    """Pictures whose tokens are ten times their class; each class has three sentences near one point, and one more."""
    labels = np.arange(12) % 3
    tokens = np.repeat(10 * labels, 16).reshape(12, 1, 16)
    centres = unit(3, WIDTH)
    near = centres[:, None] + 0.2 * unit(3, 3, WIDTH, seed=1)
    sentences = ClassSentences(near, centres + 0.2 * unit(3, WIDTH, seed=2))
    return ConditionsTask(context, tokens, labels, tokens, labels, sentences, batch=4, seed=seed)


@pytest.fixture
def context():
    torch.manual_seed(0)
    network = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2)).eval().requires_grad_(False)
    torch.nn.init.normal_(network.class_embedding.weight)
    return network


def test_it_starts_near_the_vectors_of_classes(context):
    """Ridge regression on few sentences in many dimensions nearly passes through the classes' own vectors."""
    task = a_task(context)
    told = task.model(task.sentences.seen.flatten(0, 1)).detach()
    vectors = context.class_embedding.weight[:3].repeat_interleave(3, 0)
    assert (told - vectors).square().mean() < 0.3 * vectors.var()
    # A sentence that was not trained on is nearest to its own class.
    apart = torch.cdist(task.model(task.sentences.unseen).detach(), context.class_embedding.weight[:3])
    assert apart.argmin(1).tolist() == [0, 1, 2]


def test_it_learns_what_tokens_tell_and_leaves_the_network_alone(context, tmp_path):
    before = {name: value.clone() for name, value in context.state_dict().items()}
    task = a_task(context)
    first = task.measured()
    train(task, steps=40, checkpoint=tmp_path / "conditions.safetensors", console=QUIET)
    last = task.measured()
    assert last["bits_at_90_sentence"] < first["bits_at_90_sentence"] - 0.05
    assert last["bits_at_90_nothing"] == first["bits_at_90_nothing"]
    assert all(torch.equal(value, context.state_dict()[name]) for name, value in before.items())


def test_sentences_about_other_classes_are_refused(context):
    task = a_task(context)
    few = ClassSentences(task.sentences.seen[:2], task.sentences.unseen[:2])
    with pytest.raises(ParameterError, match="sentences about 2 classes, for a model of 3"):
        ConditionsTask(context, task.train_tokens, task.train_labels, task.test_tokens, task.test_labels, few)


@pytest.fixture
def described_model(tiny_model):
    """The tiny model, told by sentences."""
    network = load_network(str(tiny_model), CONTEXT)
    task = a_task(network)
    bound = {CONTEXT: model_card(str(tiny_model)).part(CONTEXT)["sha256"]}
    export_part(tiny_model, CONDITIONS, "sentence-map", task.model, {}, RUN, ("cat", "dog", "owl"), more=bound)
    return tiny_model


def test_a_model_with_a_map_takes_descriptions_of_frames(described_model):
    prior, tokenizer = load_context(str(described_model), "cpu"), load_tokenizer(str(described_model), 0, "cpu")
    assert {"label", "embedding"} <= prior.takes
    frame = tokenizer.tokenize(np.zeros((16, 16, 3), np.uint8))
    described = replace(frame, description=of_point(unit(WIDTH).numpy()))
    lost = np.full((1, 16), LOST)
    told, untold = (prior.log_probabilities(lost, lost == LOST, [prior.told_with(each)]) for each in (described, frame))
    assert not np.array_equal(told, untold)
    assert prior.told_with(described) == Condition.of(described)


def test_words_are_taken_where_their_encoder_is_installed(described_model, monkeypatch):
    for here in (True, False):
        monkeypatch.setattr(zoo, "has_sentences", lambda here=here: here)
        assert ("text" in load_context(str(described_model), "cpu").takes) == here


def test_a_map_of_another_context_is_refused(described_model):
    path = described_model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card[CONDITIONS][CONTEXT] = "0" * 64
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"map of sentences was trained for another context; run `./run train cond.*"):
        load_context(str(described_model), "cpu")
    # Training another one works all the same, and a new context drops it.
    assert load_network(str(described_model), CONTEXT).config.num_classes == 3
    export_part(
        described_model, CONTEXT, "maskgit", load_network(str(described_model), CONTEXT), {}, RUN, ("cat", "dog", "owl")
    )
    assert CONDITIONS not in model_card(str(described_model)).content
