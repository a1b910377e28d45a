"""Entropy-constrained choice of tokens, against its definition."""

import json

import numpy as np
import pytest
import torch

from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.tokenizers.entropy_constrained import EntropyConstrainedSearch
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork

WORDS = 32


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """In single precision on every machine."""
    monkeypatch.setattr("tokcom.device.precision", lambda device: torch.float32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return VQNetwork(VQConfig(16, 4, WORDS, 8, 16, 1, 1, 8, 1)).requires_grad_(False)


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def of_places(table):
    """A prior that expects words by place alone, log-probabilities (places, words)."""
    return lambda tokens, masked: table.expand(len(tokens), -1, -1)[masked]


def test_without_a_rate_the_nearest_codes_are_taken(network, pictures):
    search = EntropyConstrainedSearch(network, of_places(torch.randn(16, WORDS)), 0.0)
    start = torch.randint(0, WORDS, (3, 4, 4))
    assert torch.equal(search.improve(pictures, start, 1), network.encode(pictures))
    assert torch.equal(search.improve(pictures, start, 0), start)


@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 1e4])
def test_codes_are_the_best_of_all_by_distance_and_bits(rate, network, pictures):
    """Brute force in double precision, where no token's cost depends on the others."""
    odds = torch.randn(16, WORDS, generator=torch.Generator().manual_seed(2)).log_softmax(1)
    found = EntropyConstrainedSearch(network, of_places(odds), rate).improve(pictures, network.encode(pictures), 1)
    latents, codes = network.latents(pictures).flatten(1, 2).double().numpy(), network.codebook.double().numpy()
    for picture, tokens in zip(latents, found.flatten(1).numpy(), strict=True):
        squares = np.square(picture[:, None] - codes[None]).sum(2)
        cost = squares / 2 - rate * odds.double().numpy() / np.log(2)
        assert np.allclose(cost[np.arange(16), tokens], cost.min(1), atol=1e-5 * max(1, rate))


def test_every_token_is_chosen_given_the_newest_of_the_others(network, pictures):
    """A prior that expects each token to be that above it: what was chosen by then is what it is asked about."""
    asked = []

    def prior(tokens, masked):
        asked.append((tokens.clone(), masked.clone()))
        return torch.nn.functional.one_hot(tokens.roll(4, 1), WORDS)[masked] * 8.0

    start = network.encode(pictures)
    found = EntropyConstrainedSearch(network, prior, 0.2).improve(pictures, start, 2)
    assert torch.equal(sum(masked.int() for _, masked in asked), torch.full((3, 16), 2)), "each token twice"
    for (tokens, masked), (after, _) in zip(asked, [*asked[1:], (found.flatten(1), None)], strict=True):
        assert torch.equal(tokens[~masked], after[~masked]), "only what is asked about is exchanged"
    assert not torch.equal(found, start)


def test_a_models_card_asks_for_it(tiny_model):
    path = tiny_model / "card.json"
    card = json.loads(path.read_text())
    card["tokenizer"]["search"] = {"by": "latents", "rate": 0.3, "visits": 1}
    path.write_text(json.dumps(card))
    tokenizer, context = load_tokenizer(str(tiny_model)), load_context(str(tiny_model))
    pictures = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    found, plain = tokenizer.encode(pictures), load_tokenizer(str(tiny_model), 0).encode(pictures)
    assert tokenizer.visits == 1 and not np.array_equal(found, plain)
    hidden = np.random.default_rng(1).random(plain.shape) < 0.15

    def bits(tokens):
        flat, masked = (torch.from_numpy(each.reshape(8, -1)) for each in (tokens.astype(np.int64), hidden))
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(context.network.unlabelled(flat, masked), flat[masked]))

    assert bits(found) < bits(plain)
    alone = np.stack([tokenizer.encode(picture[None])[0] for picture in pictures])
    assert np.array_equal(found, alone), "a picture's tokens do not depend on its batch"
