"""The prior of videos: what it says of a frame, given the one before."""

import numpy as np
import pytest
import torch

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.following import FollowingMaskGit
from tokcom.context.following_network import FollowingConfig, FollowingNetwork
from tokcom.context.maskgit import MaskGit
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.context.picture_or_video import PictureOrVideo
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

WORDS, SIDE = 32, 4
CONFIG = FollowingConfig(WORDS, SIDE, SIDE, 3, 16, 1, 2, 3, 2, reach=3)


@pytest.fixture
def network():
    torch.manual_seed(3)
    network = FollowingNetwork(CONFIG).eval()
    for layer in (network.moved, network.before_projection, network.source, network.copied):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


def a_frame(seed, **more):
    tokens = np.random.default_rng(seed).integers(0, WORDS, SIDE * SIDE)
    return TokenFrame(tokens, "video", WORDS, (SIDE, SIDE), frame_id=seed, **more)


def hidden(frame, seed=0, share=0.5):
    wanted = np.random.default_rng(seed).random(len(frame.tokens)) < share
    return np.where(wanted, LOST, frame.tokens).astype(np.int32)[None], wanted[None]


def test_it_is_a_distribution(network):
    prior = FollowingMaskGit(network, "video")
    tokens, wanted = hidden(a_frame(0))
    for before in (a_frame(1), a_frame(1).with_tokens(np.full(16, LOST)), None):
        logs = prior.log_probabilities(tokens, wanted, [Condition(before=before)])
        assert logs.shape == (wanted.sum(), WORDS)
        np.testing.assert_allclose(np.exp(logs.astype(np.float64)).sum(1), 1, atol=1e-5)


def test_the_mixture_is_that_of_its_two_predictions(network):
    """Copies and new tokens, added up one by one in probabilities."""
    before, places = torch.from_numpy(a_frame(1).tokens.astype(np.int64)), torch.ones(1, 16, dtype=torch.bool)
    logits, features = torch.randn(16, WORDS), torch.randn(16, 16)
    nearby = network._nearby(before[None])[places]
    with torch.no_grad():
        found = network._mixed(logits, features, nearby).exp().numpy()
        source, copied = network.source(features).numpy(), torch.sigmoid(network.copied(features)).numpy()[:, 0]
    grid = a_frame(1).tokens.reshape(SIDE, SIDE)
    for place in range(16):
        row, column = divmod(place, SIDE)
        expected = (1 - copied[place]) * torch.softmax(logits[place], 0).numpy()
        near = {}
        for number in range(9):
            y, x = row + number // 3 - 1, column + number % 3 - 1
            if 0 <= y < SIDE and 0 <= x < SIDE:
                near[number] = grid[y, x]
        shares = np.exp(source[place, list(near)])
        for word, share in zip(near.values(), shares / shares.sum(), strict=True):
            expected[word] += copied[place] * share
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_a_network_that_only_copies_repeats_the_frame_before():
    network = FollowingNetwork(CONFIG).eval()
    with torch.no_grad():
        network.copied.bias.fill_(30)
        network.source.bias[CONFIG.reach**2 // 2] = 30
    tokens, wanted = hidden(a_frame(0), share=2)
    logs = FollowingMaskGit(network, "video").log_probabilities(tokens, wanted, [Condition(before=a_frame(1))])
    np.testing.assert_array_equal(logs.argmax(1), a_frame(1).tokens)


def test_weights_of_a_maskgit_are_a_start():
    torch.manual_seed(0)
    still = MaskGitNetwork(CONFIG).eval()
    network = FollowingNetwork(CONFIG).eval()
    assert not network.load_state_dict(still.state_dict(), strict=False).unexpected_keys
    tokens, wanted = hidden(a_frame(0))
    ours = FollowingMaskGit(network, "video").log_probabilities(tokens, wanted, [NOTHING])
    np.testing.assert_allclose(ours, MaskGit(still, "video").log_probabilities(tokens, wanted, [NOTHING]), atol=1e-5)


def test_frames_of_a_batch_are_predicted_each_by_its_own_network(network):
    torch.manual_seed(7)
    alone, following = MaskGit(MaskGitNetwork(CONFIG).eval(), "video"), FollowingMaskGit(network, "video")
    loaded = []
    both = PictureOrVideo(alone, lambda: loaded.append(True) or following)
    frames = [a_frame(number) for number in range(4)]
    conditions = [NOTHING, Condition(before=a_frame(8)), Condition(1, before=a_frame(9)), Condition(2)]
    parts = [hidden(frame, number) for number, frame in enumerate(frames)]
    tokens, wanted = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    assert not loaded and both.n_bytes == alone.n_bytes
    for top in (None, 5):
        found = both.predict(tokens, wanted, conditions, top)
        start = 0
        for number, condition in enumerate(conditions):
            prior = following if condition.before is not None else alone
            own = prior.predict(tokens[number : number + 1], wanted[number : number + 1], [condition], top)
            rows = slice(start, start + int(wanted[number].sum()))
            np.testing.assert_allclose(found[rows].log_probability, own.log_probability, atol=1e-6)
            start = rows.stop
    assert loaded == [True] and both.n_bytes == alone.n_bytes + following.n_bytes


def test_frames_of_another_kind_cannot_be_followed(network):
    prior = PictureOrVideo(MaskGit(MaskGitNetwork(CONFIG).eval(), "video"), FollowingMaskGit(network, "video"))
    other = TokenFrame(np.zeros(8, int), "video", WORDS, (2, 4), frame_id=7)
    with pytest.raises(ModelError, match=r"frame 0 .* cannot follow frame 7"):
        prior.require_fit(a_frame(0), Condition(before=other))


def test_a_prior_of_pictures_does_not_mind_the_frame_before():
    prior = MaskGit(MaskGitNetwork(CONFIG).eval(), "video")
    assert prior.usable(Condition(1, before=a_frame(0))) == Condition(1)


def test_a_group_is_predicted_frame_by_frame(network):
    """Each frame by its own question: given the one before, or the last that is known of it."""
    torch.manual_seed(7)
    alone, following = MaskGit(MaskGitNetwork(CONFIG).eval(), "video"), FollowingMaskGit(network, "video")
    both = PictureOrVideo(alone, following)
    rng = np.random.default_rng(4)
    tokens = rng.integers(0, WORDS, (2, 3 * 16)).astype(np.int32)
    wanted = rng.random(tokens.shape) < 0.4
    wanted[0, :16], wanted[1, 16:32] = True, False
    tokens[wanted] = LOST
    conditions = [NOTHING, Condition(2, before=a_frame(9))]
    found, start = both.log_probabilities(tokens, wanted, conditions), 0
    for row, condition in enumerate(conditions):
        known = np.full(16, LOST) if condition.before is None else condition.before.tokens.copy()
        for number in range(3):
            part = slice(16 * number, 16 * number + 16)
            asked = wanted[row : row + 1, part]
            prior = alone if (known == LOST).all() else following
            told = Condition(condition.label, before=None if prior is alone else a_frame(0).with_tokens(known))
            if asked.any():
                own = prior.log_probabilities(tokens[row : row + 1, part], asked, [told])
                np.testing.assert_allclose(found[start : start + len(own)], own, atol=1e-6)
                start += len(own)
            shown = tokens[row, part]
            known = np.where(shown == LOST, known, shown)
    assert start == len(found) == wanted.sum()


def test_groups_that_fit_and_others():
    prior = PictureOrVideo(MaskGit(MaskGitNetwork(CONFIG).eval(), "video"), lambda: None)

    def a_group(*grid):
        return TokenFrame(np.zeros(np.prod(grid), int), "video", WORDS, grid)

    prior.require_fit(a_group(3, SIDE, SIDE), Condition(before=a_frame(0)))
    for grid in ((17, SIDE, SIDE), (2, SIDE, SIDE + 1)):
        with pytest.raises(ModelError, match="this model takes 4 x 4"):
            prior.require_fit(a_group(*grid), NOTHING)
