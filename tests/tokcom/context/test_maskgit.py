import numpy as np
import pytest
import torch

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.maskgit import MaskGit
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.context.sentence_map import SentenceMap, SentenceMapConfig
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

WORDS, PLACES, WIDTH = 32, 16, 6


def a_network(condition_dim=0):
    torch.manual_seed(0)
    network = MaskGitNetwork(MaskGitConfig(WORDS, 4, 4, 3, 16, 1, 2, 3, 2, condition_dim)).eval().requires_grad_(False)
    if condition_dim:
        network.conditions[:3] = torch.randn(3, condition_dim)
    return network


@pytest.fixture
def frames():
    """Tokens (3, PLACES) with losses, and a condition for each."""
    rng = np.random.default_rng(1)
    tokens = np.where(rng.random((3, PLACES)) < 0.5, LOST, rng.integers(0, WORDS, (3, PLACES)))
    return tokens, [Condition(1), NOTHING, Condition(2)]


def test_a_batch_says_what_its_frames_say_alone(frames):
    tokens, conditions = frames
    prior, lost = MaskGit(a_network(), "tiny"), tokens == LOST
    alone = [prior.log_probabilities(tokens[n : n + 1], lost[n : n + 1], [conditions[n]]) for n in range(3)]
    assert np.array_equal(prior.log_probabilities(tokens, lost, conditions), np.concatenate(alone))
    # Filled up and side by side, as on a GPU, they say the same but for rounding.
    prior.at_once = 4
    assert prior.log_probabilities(tokens, lost, conditions) == pytest.approx(np.concatenate(alone), abs=1e-4)


def test_the_likeliest_words_are_those_of_all_words(frames):
    tokens, conditions = frames
    prior, lost = MaskGit(a_network(), "tiny"), tokens == LOST
    few, whole = prior.predict(tokens, lost, conditions, 5), prior.predict(tokens, lost, conditions)
    expected = whole.top(5)
    assert np.array_equal(few.words, expected.words) and np.array_equal(few.log_probability, expected.log_probability)
    assert few.rest == pytest.approx(expected.rest, abs=1e-4)
    assert prior.predict(tokens, lost, conditions, WORDS).words is None


def test_a_sentence_or_its_embedding_stands_for_a_class(frames):
    """A class is the embedding of its sentence: told either way, or by the encoder, it says the same."""
    network, (tokens, _) = a_network(WIDTH), frames
    asked = []

    def encoder(texts):
        asked.extend(texts)
        return network.conditions[1:2]

    prior, lost = MaskGit(network, "tiny", encoder), tokens[:1] == LOST
    by_label, by_embedding, by_text, untold = (
        prior.log_probabilities(tokens[:1], lost, [condition])
        for condition in (
            Condition(1),
            Condition(embedding=network.conditions[1].numpy()),
            Condition(text="a dog"),
            NOTHING,
        )
    )
    assert np.array_equal(by_label, by_embedding) and np.array_equal(by_label, by_text)
    assert not np.array_equal(by_label, untold)
    prior.log_probabilities(tokens[:1], lost, [Condition(text="a dog")])
    assert asked == ["a dog"], "a sentence is encoded once"


def test_a_map_turns_sentences_into_classes(frames):
    """A map whose answer is always the vector of class 1 says what label 1 says, and beats another label."""
    network, (tokens, _) = a_network(), frames
    mapping = SentenceMap(SentenceMapConfig(16, 2, WIDTH)).requires_grad_(False)
    for parameter in mapping.parameters():
        parameter.zero_()
    mapping.straight.bias.copy_(network.class_embedding.weight[1])
    prior, lost = MaskGit(network, "tiny", lambda texts: torch.zeros(1, WIDTH), mapping), tokens == LOST
    assert prior.takes == {"label", "embedding", "text"}
    told = [Condition(2, embedding=np.ones(WIDTH)), Condition(1), Condition(text="a dog")]
    assert np.array_equal(
        prior.log_probabilities(tokens, lost, told), prior.log_probabilities(tokens, lost, [Condition(1)] * 3)
    )


def test_what_it_cannot_use_of_what_came_along_is_left_out():
    frame = TokenFrame(np.zeros(PLACES, int), "tiny", WORDS, (4, 4), cmi=1, description=b"\2a dog")
    assert MaskGit(a_network(), "tiny").told_with(frame) == Condition(1)
    assert MaskGit(a_network(WIDTH), "tiny", len).told_with(frame) == Condition(1, "a dog")


@pytest.mark.parametrize(
    ("condition", "dim", "message"),
    [
        (Condition(3), 0, "CMI label 3; this model knows 0 to 2"),
        (Condition(text="a dog"), WIDTH, "comes with text as condition; this model takes embedding, label"),
        (Condition(embedding=np.ones(WIDTH)), 0, "comes with embedding as condition; this model takes label"),
        (Condition(embedding=np.ones(5)), WIDTH, "an embedding of 5 numbers; this model takes 6"),
    ],
)  # fmt: skip
def test_what_it_does_not_take_is_named(condition, dim, message):
    frame = TokenFrame(np.zeros(PLACES, int), "tiny", WORDS, (4, 4))
    with pytest.raises(ModelError, match=message):
        MaskGit(a_network(dim), "tiny").require_fit(frame, condition)


def test_weights_of_half_precision_stay_halved():
    """As on a GPU, here on a processor."""
    prior = MaskGit(a_network().half(), "tiny")
    whole = MaskGit(a_network(), "tiny")
    assert prior.n_bytes * 2 == whole.n_bytes
    tokens = np.full((1, PLACES), LOST)
    found, expected = (each.log_probabilities(tokens, tokens == LOST, [NOTHING]) for each in (prior, whole))
    assert found.dtype == np.float32 and found == pytest.approx(expected, abs=0.05)
