"""The decoder of lossy pictures: what it leaves alone, what it sees, and its part of a model."""

import json

import numpy as np
import pytest
import torch

from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.models.card import CONCEALING, THINNED
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.source.chooser import TokenChooser
from tokcom.source.filling import expected_picture, filled_picture, whole_picture
from tokcom.tokenizers.concealing import REACH, ConcealingConfig, ConcealingNetwork, mean_vectors
from tokcom.tokenizers.pyramid_network import PyramidConfig, PyramidVQNetwork
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
from tokcom_lab.training.export import Run, export_part

RUN = Run("none", "none", 0, 0, 0.0)


def one_width():
    return VQNetwork(VQConfig(64, 4, 32, 8, 16, 1, 1, 8, 1))


def pyramid():
    """Of one block per scale, with sharpening."""
    return PyramidVQNetwork(PyramidConfig(64, 4, 32, 8, (8,), (1,), (16, 8), (1, 1), 0.7))


KINDS = {"vq": one_width, "pyramid": pyramid}
every_kind = pytest.mark.parametrize("kind", KINDS)


def a_pair(kind="vq"):
    """A tokenizer of 32 words for a grid of 16 x 16, and a decoder of lossy pictures with random weights."""
    torch.manual_seed(0)
    tokenizer = KINDS[kind]().eval()
    concealing = ConcealingNetwork(ConcealingConfig.of(tokenizer)).eval()
    torch.nn.init.normal_(concealing.head.weight, std=0.5)
    return tokenizer, concealing


def a_loss(*places):
    """Tokens, which of them are lost, and random log-probabilities of those."""
    tokens, lost = torch.randint(0, 32, (1, 16, 16)), torch.zeros(1, 16, 16, dtype=torch.bool)
    for row, column in places:
        lost[0, row, column] = True
    return tokens, lost, torch.randn(len(places), 32).log_softmax(-1)


def as_means(tokenizer, tokens, lost, logs):
    return tokenizer.decode_vectors(mean_vectors(tokenizer.codebook, tokens, lost, logs.exp()))


def test_means_by_hand():
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    tokens, lost = torch.tensor([2, LOST, 1]), torch.tensor([False, True, False])
    found = mean_vectors(codes, tokens, lost, torch.tensor([[0.5, 0.25, 0.25]]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0], [0.25, 0.25], [0.0, 1.0]]))


@every_kind
@torch.no_grad()
def test_it_corrects_features_around_lost_tokens_alone(kind):
    tokenizer, concealing = a_pair(kind)
    tokens, lost, logs = a_loss((0, 0))
    own, means = concealing(tokenizer, tokens, lost, logs), as_means(tokenizer, tokens, lost, logs)
    changed = (own != means).any(1)[0]
    # The pixel layers see less than two tokens further.
    far = 4 * (REACH + 1 + 2)
    assert changed[: 4 * REACH, : 4 * REACH].all()
    assert not changed[far:].any() and not changed[:, far:].any()


@every_kind
@torch.no_grad()
def test_whole_pictures_are_those_of_the_tokenizer(kind):
    tokenizer, concealing = a_pair(kind)
    tokens, lost, logs = a_loss()
    assert torch.equal(concealing(tokenizer, tokens, lost, logs), tokenizer.decode(tokens))


@every_kind
@torch.no_grad()
def test_it_begins_as_the_mean_and_ignores_what_is_lost(kind):
    tokenizer, concealing = a_pair(kind)
    tokens, lost, logs = a_loss((3, 4), (9, 9))
    other = torch.where(lost, 31 - tokens, tokens)
    assert torch.equal(concealing(tokenizer, tokens, lost, logs), concealing(tokenizer, other, lost, logs))
    fresh = ConcealingNetwork(concealing.config)
    torch.testing.assert_close(fresh(tokenizer, tokens, lost, logs), as_means(tokenizer, tokens, lost, logs))


@torch.no_grad()
def test_words_that_are_impossible_count_nothing():
    tokenizer, concealing = a_pair()
    tokens, lost, logs = a_loss((3, 4))
    sure = torch.full_like(logs, -torch.inf)
    sure[0, 5] = 0.0
    assert concealing(tokenizer, tokens, lost, sure).isfinite().all()


@pytest.fixture
def concealing_model(tiny_model):
    """The tiny model with a decoder of lossy pictures."""
    concealing = ConcealingNetwork(ConcealingConfig(32, 8, 16))
    torch.nn.init.normal_(concealing.head.weight, std=0.5)
    export_part(tiny_model, CONCEALING, "concealing", concealing, {}, RUN, ("cat", "dog", "owl"))
    return tiny_model


def parts(model):
    tokenizer = load_tokenizer(str(model), 0, "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return tokenizer, load_context(str(model), "cpu"), tokenizer.tokenize(picture)


def test_receivers_show_lossy_pictures_by_it(concealing_model):
    tokenizer, prior, frame = parts(concealing_model)
    lossy = frame.with_tokens(np.where(np.arange(16) % 5, frame.tokens, LOST))
    assert not np.array_equal(filled_picture(lossy, prior, tokenizer), expected_picture(lossy, prior, tokenizer))
    np.testing.assert_array_equal(filled_picture(frame, prior, tokenizer), tokenizer.detokenize(frame))
    logs = prior.log_probabilities(lossy.tokens[None], lossy.lost[None], [prior.told_with(lossy)])
    shown = tokenizer.decode_expected(lossy.tokens, lossy.lost, logs, tokenizer.concealing)
    np.testing.assert_array_equal(filled_picture(lossy, prior, tokenizer), shown)


def test_thinned_pictures_have_a_decoder_of_their_own(concealing_model):
    tokenizer, prior, frame = parts(concealing_model)
    thinned = TokenChooser("spread").thin(frame, 12)
    lossy = frame.with_tokens(thinned.tokens)
    np.testing.assert_array_equal(filled_picture(thinned, prior, tokenizer), filled_picture(lossy, prior, tokenizer))
    own = ConcealingNetwork(tokenizer.concealing.config)
    torch.nn.init.normal_(own.head.weight, std=0.5)
    export_part(concealing_model, THINNED, "concealing", own, {}, RUN, ("cat", "dog", "owl"))
    tokenizer, prior, _ = parts(concealing_model)
    assert tokenizer.decoder_of(thinned) is tokenizer.thinned and tokenizer.decoder_of(lossy) is tokenizer.concealing
    shown = filled_picture(thinned, prior, tokenizer)
    assert not np.array_equal(shown, filled_picture(lossy, prior, tokenizer))
    # What the receiver guessed is no better than what it expects.
    guessed = thinned.with_tokens(np.where(thinned.lost, 3, thinned.tokens))
    np.testing.assert_array_equal(whole_picture(guessed, tokenizer, lambda: prior), shown)
    np.testing.assert_array_equal(whole_picture(guessed, tokenizer, lambda: None), tokenizer.detokenize(guessed))
    np.testing.assert_array_equal(whole_picture(thinned, tokenizer, lambda: prior), tokenizer.detokenize(thinned))


def test_without_it_they_show_means(tiny_model):
    tokenizer, prior, frame = parts(tiny_model)
    lossy = frame.with_tokens(np.where(np.arange(16) % 5, frame.tokens, LOST))
    assert tokenizer.concealing is None
    np.testing.assert_array_equal(
        filled_picture(lossy, prior, tokenizer), expected_picture(lossy, prior, tokenizer)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer": "0" * 64}, r"concealing was trained for another tokenizer; run `./run train concealing"),
        ({"config": {"codebook_size": 32, "code_dim": 8, "width": 32}}, "the weights do not fit the card"),
        ({"config": {"codebook_size": 32, "blocks": "many"}}, "the weights do not fit the card"),
    ],
)
def test_another_tokenizers_is_refused(concealing_model, change, message):
    path = concealing_model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card[CONCEALING] |= change
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        load_tokenizer(str(concealing_model), 0, "cpu")


def test_another_shape_is_refused(tiny_model):
    other = ConcealingNetwork(ConcealingConfig(32, 8, 24))
    export_part(tiny_model, CONCEALING, "concealing", other, {}, RUN, ("cat", "dog", "owl"))
    with pytest.raises(ModelError, match="its concealing has another shape than its tokenizer"):
        load_tokenizer(str(tiny_model), 0, "cpu")


def test_a_new_tokenizer_drops_it(concealing_model):
    network = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1))
    export_part(concealing_model, "tokenizer", "vq", network, {}, RUN, ("cat", "dog", "owl"))
    assert CONCEALING not in model_card(str(concealing_model)).content
