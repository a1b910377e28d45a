"""The network, against one written head by head in NumPy; and paths of a tree against each path alone."""

import numpy as np
import pytest
import torch

from tokcom.context import language_model, llama_network
from tokcom.context.causal import Paths
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.int8 import Int8Linear
from tokcom.context.language_model import LanguageModel
from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame

CONFIG = LlamaConfig(40, 24, 2, 6, 2, 32, 64, 1e4, 1e-5, 0, (0, 39))
TEXT = np.array([3, 17, 17, 5, 30, 8])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = LlamaNetwork(CONFIG)
    for each in made.parameters():
        each.data = torch.randn_like(each) * 0.3
    return made.eval().requires_grad_(False)


def model(network, **settings):
    return LanguageModel(network, "words", **{"int8": False} | settings)


def reference(network, tokens):
    """Logits behind every token of one text."""
    weights = {name: each.double().numpy() for name, each in network.state_dict().items()}
    size = CONFIG.width // CONFIG.heads

    def norm(x, weight):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + CONFIG.norm_epsilon) * weight

    def turned(x):
        pairs = x[:, : size // 2] + 1j * x[:, size // 2 :]
        angle = np.arange(len(x))[:, None] * CONFIG.rope_base ** (-np.arange(size // 2) / (size // 2))
        pairs = pairs * np.exp(1j * angle)
        return np.concatenate([pairs.real, pairs.imag], 1)

    x = weights["token_embedding.weight"][tokens]
    for layer in range(CONFIG.layers):
        own = {name.split(".", 2)[2]: each for name, each in weights.items() if name.startswith(f"layers.{layer}.")}
        parts = norm(x, own["attention_norm.weight"]) @ own["attention_in.weight"].T
        heads = np.split(parts, CONFIG.heads + 2 * CONFIG.kv_heads, axis=1)
        mixed = []
        for head in range(CONFIG.heads):
            shared = head // (CONFIG.heads // CONFIG.kv_heads)
            query, key = turned(heads[head]), turned(heads[CONFIG.heads + shared])
            value = heads[CONFIG.heads + CONFIG.kv_heads + shared]
            scores = query @ key.T / np.sqrt(size)
            scores[np.triu_indices(len(x), 1)] = -np.inf
            share = np.exp(scores - scores.max(1, keepdims=True))
            mixed.append(share / share.sum(1, keepdims=True) @ value)
        x = x + np.concatenate(mixed, 1) @ own["attention_out.weight"].T
        gate, up = np.split(norm(x, own["mlp_norm.weight"]) @ own["mlp_in.weight"].T, 2, axis=1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ own["mlp_out.weight"].T
    return norm(x, weights["norm.weight"]) @ weights["head.weight"].T


def log_probabilities(network, tokens):
    """Of the token behind a text, by the reference; words that no text holds cannot be."""
    logits = reference(network, np.concatenate([[CONFIG.begin], tokens]).astype(int))[-1]
    logits[list(CONFIG.unused)] = -np.inf
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def test_the_network_is_the_reference(network):
    mask = torch.ones(len(TEXT), len(TEXT)).tril().bool()
    hidden, _ = network(torch.from_numpy(TEXT), torch.arange(len(TEXT)), mask, None)
    assert network.predict(hidden).numpy() == pytest.approx(reference(network, TEXT), abs=1e-3)


def finite(values):
    return np.where(np.isfinite(values), values, -99)


def test_paths_branch_and_end_and_each_is_as_if_alone(network):
    paths = model(network).paths(NOTHING)
    assert isinstance(paths, Paths)
    rng, texts = np.random.default_rng(0), [[]]
    for step in range(60):
        parents = rng.integers(0, len(texts), 1 + step % 5)
        words = rng.integers(1, 39, len(parents))
        paths.branch(parents, words)
        texts = [[*texts[parent], word] for parent, word in zip(parents, words, strict=True)]
    expected = [log_probabilities(network, np.array(text)) for text in texts]
    assert finite(paths.log_probabilities) == pytest.approx(finite(np.array(expected)), abs=1e-3)
    # Of 181 nodes those are kept that some path descends from, and some idle ones.
    assert paths._ancestors.shape[1] < 150


@pytest.mark.parametrize("at_once", [1, 2, 512])
def test_the_same_words_behind_every_path(network, at_once, monkeypatch):
    monkeypatch.setattr(language_model, "AT_ONCE", at_once)
    paths = model(network).paths(NOTHING)
    paths.branch(np.zeros(3, int), np.array([4, 9, 2]))
    paths.select(np.array([2, 0]))
    behind = np.array([7, 7, 20])
    weight = paths.follow(behind)
    for place, word in enumerate((2, 4)):
        text, expected = [word], 0.0
        for each in behind:
            expected += log_probabilities(network, np.array(text))[each]
            text.append(each)
        assert weight[place] == pytest.approx(expected, abs=1e-3)
        assert finite(paths.log_probabilities[place]) == pytest.approx(
            finite(log_probabilities(network, np.array(text))), abs=1e-3
        )
    assert np.array_equal(paths.follow(behind[:1], weigh=False), np.zeros(2))


def test_as_a_prior_it_predicts_what_is_wanted(network):
    known = np.where(np.arange(6) < 4, TEXT, LOST)
    wanted = np.isin(np.arange(6), (2, 4))
    found = model(network).log_probabilities(known[None], wanted[None], [NOTHING])
    expected = [log_probabilities(network, TEXT[:place]) for place in (2, 4)]
    assert finite(found) == pytest.approx(finite(np.array(expected)), abs=1e-3)
    with pytest.raises(ModelError, match="not all tokens before it are known"):
        model(network).log_probabilities(known[None], np.arange(6)[None] == 5, [NOTHING])


def test_eight_bits_are_near_and_a_row_does_not_depend_on_others():
    torch.manual_seed(1)
    linear = torch.nn.Linear(64, 32).requires_grad_(False)
    x = torch.randn(5, 64)
    x[2] *= 1000
    found, exact = Int8Linear(linear)(x), linear(x)
    assert torch.allclose(found, exact, atol=0.02 * float(exact[[0, 1, 3, 4]].abs().max()), rtol=0.05)
    assert torch.allclose(Int8Linear(linear)(x[:1]), found[:1], atol=0.02)


def test_on_processors_it_takes_eight_bits_and_leaves_the_network_alone(network):
    small = LanguageModel(network, "words")
    assert isinstance(small.network.head, Int8Linear) and not isinstance(network.head, Int8Linear)
    assert small.n_bytes < LanguageModel(network, "words", int8=False).n_bytes
    share = np.exp(small.paths(NOTHING).log_probabilities[0])
    assert share.sum() == pytest.approx(1, abs=1e-4) and share[0] == share[39] == 0


def test_frames_that_do_not_fit_are_refused(network):
    prior = model(network)
    prior.require_fit(TokenFrame(np.zeros(63, int), "words", 40), NOTHING)
    with pytest.raises(ModelError, match="64 tokens; this model reads at most 63"):
        prior.require_fit(TokenFrame(np.zeros(64, int), "words", 40), NOTHING)
    with pytest.raises(ModelError, match="comes with label"):
        prior.require_fit(TokenFrame(np.zeros(3, int), "words", 40), Condition(label=0))


@pytest.mark.parametrize("rows", [1, 4, 128])
def test_attention_in_parts_is_the_whole(network, rows, monkeypatch):
    """Of a tree whose new nodes descend from some of the old ones and of those before them."""
    monkeypatch.setattr(llama_network, "ATTENTION_ROWS", rows)
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 40, 19)
    parents = [-1, *(int(rng.integers(0, node)) for node in range(1, 19))]
    descends, depths = np.eye(19, dtype=bool), np.zeros(19, int)
    for node in range(1, 19):
        descends[node] |= descends[parents[node]]
        depths[node] = depths[parents[node]] + 1
    parts, memory = [], None
    for start, end in ((0, 6), (6, 19)):
        mask = torch.from_numpy(descends[start:end, :end])
        hidden, memory = network(torch.from_numpy(tokens[start:end]), torch.from_numpy(depths[start:end]), mask, memory)
        parts.append(network.predict(hidden).numpy())
    found = np.concatenate(parts)
    for node in range(19):
        text = tokens[descends[node]]  # its ancestors were added in this order
        assert found[node] == pytest.approx(reference(network, text)[-1], abs=1e-3)


@pytest.mark.parametrize(("along", "predicted"), [(1024, 160), (4, 3), (1, 1)])
def test_along_a_path_in_passes_of_any_length(network, along, predicted, monkeypatch):
    monkeypatch.setattr(language_model, "ALONG", along)
    monkeypatch.setattr(language_model, "PREDICTED", predicted)
    paths, tokens = model(network).paths(NOTHING), np.random.default_rng(4).integers(1, 39, 10)
    found = list(paths.along(tokens))
    assert max(map(len, found)) <= predicted and sum(map(len, found)) == len(tokens)
    expected = [log_probabilities(network, tokens[:place]) for place in range(11)]
    assert finite(np.concatenate(found)) == pytest.approx(finite(np.array(expected[:-1])), abs=1e-3)
    assert finite(paths.log_probabilities[0]) == pytest.approx(finite(expected[-1]), abs=1e-3)
    assert list(paths.along(tokens[:0])) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"layers": 0}, "layers is 0"), ({"heads": 5}, "do not divide"), ({"begin": 40}, "word 40 lies outside")],
)
def test_shapes_that_cannot_be_are_refused(changed, said):
    with pytest.raises(ParameterError, match=said):
        LlamaConfig(**vars(CONFIG) | changed)


@pytest.mark.parametrize("before", [0, 1, 3])
def test_states_along_a_trace_are_those_of_single_steps(network, before):
    traced, stepped = (model(network).paths(NOTHING) for _ in range(2))
    for paths in (traced, stepped):
        if before:
            paths.follow(TEXT[:before], weigh=False)
    states, expected = traced.traced(TEXT[before:]), Paths.traced(stepped, TEXT[before:])
    assert len(states) == len(expected) == len(TEXT) - before + 1
    for own, other in zip(states, expected, strict=True):
        assert np.allclose(own.log_probabilities, other.log_probabilities, atol=1e-5)
    for own, other in zip(states, expected, strict=True):  # each goes on without touching the others
        own.follow(np.array([9, 2]), weigh=False)
        other.follow(np.array([9, 2]), weigh=False)
        assert np.allclose(own.log_probabilities, other.log_probabilities, atol=1e-5)
