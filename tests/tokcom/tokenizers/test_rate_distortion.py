import json
from copy import deepcopy

import numpy as np
import pytest
import torch

from tokcom.errors import ModelError, ParameterError
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers import rate_distortion
from tokcom.tokenizers.rate_distortion import RateDistortionSearch
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork

WORDS = 32


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """In single precision on every machine."""
    monkeypatch.setattr("tokcom.device.precision", lambda device: torch.float32)


def network(size=32):
    torch.manual_seed(0)
    return VQNetwork(VQConfig(size, 4, WORDS, 8, 16, 1, 1, 8, 1)).requires_grad_(False)


def pictures(n, size=32):
    """What random tokens show: some tokens show them without error."""
    tokens = torch.randint(0, WORDS, (n, size // 4, size // 4), generator=torch.Generator().manual_seed(1))
    return network(size).decode(tokens)


def indifferent(tokens, masked):
    return torch.zeros(int(masked.sum()), WORDS)


def errors(network, pictures, tokens):
    return (network.decode(tokens) - pictures).square().sum((1, 2, 3))


def test_without_a_rate_pictures_come_closer():
    net, shown = network(), pictures(6)
    tokens = net.encode(shown)
    before, search = errors(net, shown, tokens), RateDistortionSearch(net, indifferent, 0.0)
    after = [errors(net, shown, search.improve(shown, tokens, visits)) for visits in (4, 16)]
    assert (after[0] < before).all() and (after[1] <= after[0]).all()
    assert after[1].mean() < 0.3 * before.mean()


def test_what_it_finds_is_near_the_best_single_exchange():
    """After many visits hardly a token is left whose exchange, tried out by brute force, would help at all."""
    net, shown = network(16), pictures(1, 16)
    search = RateDistortionSearch(net, indifferent, 0.0)
    start = net.encode(shown)

    def exchanges_that_help(tokens):
        present = float(errors(net, shown, tokens))
        helping = 0
        for row, column in np.ndindex(4, 4):
            trial = tokens.repeat(WORDS, 1, 1)
            trial[:, row, column] = torch.arange(WORDS)
            helping += float(errors(net, shown.expand(WORDS, -1, -1, -1), trial).min()) < present * (1 - 1e-4)
        return helping

    found = search.improve(shown, start, 64)
    assert exchanges_that_help(found) <= exchanges_that_help(start) // 3


def test_where_bits_are_all_that_counts_the_expected_words_are_sent():
    """A prior of its own favourite at every place, and a rate beside which no error counts."""
    net, shown = network(), pictures(3)
    favourite = torch.from_numpy(np.random.default_rng(2).integers(0, WORDS, (3, 64)))

    def prior(tokens, masked):
        return 20.0 * torch.nn.functional.one_hot(favourite[masked], WORDS).float()

    found = RateDistortionSearch(net, prior, 1e6).improve(shown, net.encode(shown), 4)
    assert torch.equal(found.flatten(1), favourite)


def test_a_higher_rate_buys_likelier_words_for_a_greater_error():
    net, shown = network(), pictures(6)
    logits = torch.randn(WORDS, generator=torch.Generator().manual_seed(3))

    def prior(tokens, masked):
        return logits.expand(int(masked.sum()), -1)

    found = [RateDistortionSearch(net, prior, rate).improve(shown, net.encode(shown), 12) for rate in (0.0, 0.1, 1.0)]
    nats = [float(-logits.log_softmax(0)[tokens].mean()) for tokens in found]
    error = [float(errors(net, shown, tokens).mean()) for tokens in found]
    assert nats[0] > nats[1] > nats[2] and error[0] < error[1] < error[2]


def test_a_picture_is_searched_by_itself():
    """Its tokens are the same alone and among others."""
    net, shown = network(), pictures(5)
    search = RateDistortionSearch(net, indifferent, 0.0)
    together = search.improve(shown, net.encode(shown), 6)
    alone = [search.improve(each[None], net.encode(each[None]), 6)[0] for each in shown]
    assert (torch.stack(alone) == together).float().mean() > 0.97, "but for rounding"


@pytest.mark.parametrize("tokens", [4, 5, 7, 16])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_every_pixel_answers_for_the_nearest_token_of_the_lattice(tokens, first):
    owners = rate_distortion._nearest(tokens, first)
    lattice = np.arange(first, tokens, rate_distortion.SPACING)
    middles = (np.arange(2 * tokens) + 0.5) / 2
    distance = np.abs(middles[None] - (lattice + 0.5)[:, None])
    assert torch.equal(owners.sum(0), torch.ones(2 * tokens, dtype=torch.int64))
    chosen = distance[owners.numpy().argmax(0), np.arange(2 * tokens)]
    assert np.allclose(chosen, distance.min(0))


def with_search(folder, settings):
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["tokenizer"]["search"] = settings
    path.write_text(json.dumps(card))


def test_a_models_card_says_how_its_tokens_are_searched_for(tiny_model):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    plain = load_tokenizer(str(tiny_model)).encode(picture[None])
    with_search(tiny_model, {"rate": 0.0, "visits": 8})
    searching = load_tokenizer(str(tiny_model))
    assert searching.visits == 8 and load_tokenizer(str(tiny_model), 3).visits == 3
    assert np.array_equal(load_tokenizer(str(tiny_model), 0).encode(picture[None]), plain)

    def error(tokens):
        return np.square(searching.decode(tokens).astype(float) - picture).mean()

    assert error(searching.encode(picture[None])) < error(plain)


def test_the_same_picture_gives_the_same_tokens(tiny_model):
    """Alone or beside others, the first time and the tenth; the latest search knows nothing of those before."""
    with_search(tiny_model, {"rate": 0.1, "visits": 3})
    tokenizer = load_tokenizer(str(tiny_model))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    together = tokenizer.encode(pictures)
    for times in range(10):
        picture = pictures[times % 5]
        frame = tokenizer.tokenize(picture, frame_id=times)
        assert np.array_equal(frame.tokens, together[times % 5].ravel())
    assert np.array_equal(load_tokenizer(str(tiny_model)).encode(pictures[::-1]), together[::-1])
    assert np.array_equal(tokenizer.decode(together)[3:4], tokenizer.decode(together[3:4]))


def test_weights_of_half_precision_are_searched_with_as_well(tiny_model):
    """As on a GPU, here on a processor: other roundings, nearly the same tokens."""
    with_search(tiny_model, {"rate": 0.1, "visits": 2})
    pictures = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    whole = load_tokenizer(str(tiny_model))
    half = VQTokenizer(deepcopy(whole.network).half(), whole.codebook)
    assert half.network.codebook.dtype == torch.float16
    plain = VQTokenizer(whole.network, whole.codebook).encode(pictures)
    assert (half.encode(pictures) == plain).mean() > 0.95
    assert np.abs(half.decode(plain).astype(int) - whole.decode(plain)).max() <= 3


@pytest.mark.parametrize(
    "settings", [{"rate": 0.1}, {"rate": "much", "visits": 2}, 7, {"by": "guesses", "rate": 0.1, "visits": 2}]
)
def test_a_search_that_is_none_is_named(settings, tiny_model):
    with_search(tiny_model, settings)
    with pytest.raises(ModelError, match=r"card\.json: the search of its tokenizer"):
        load_tokenizer(str(tiny_model))


def test_visits_that_cannot_be_are_named(tiny_model):
    plain = load_tokenizer(str(tiny_model), 3)
    assert plain.visits == 0, "a model without a search"
    with pytest.raises(ParameterError, match="visits is 3; it must be 0 without a search"):
        VQTokenizer(plain.network, plain.codebook, visits=3)
    with_search(tiny_model, {"rate": 0.1, "visits": 2})
    with pytest.raises(ParameterError, match="visits is -1"):
        load_tokenizer(str(tiny_model), -1)
