"""Each loss against its closed form."""

import math

import pytest
import torch

from tokcom_lab.training.critic import Critic
from tokcom_lab.training.losses import (
    COARSE_FLOOR,
    PIXEL_FLOOR,
    balanced,
    coarse_error,
    critic_loss,
    feature_distance,
    fooling_loss,
    gradient_energy,
    log_error,
    semantic_distance,
    sharpness,
    units,
)


def test_the_log_error_is_the_mean_over_pictures_of_the_log_of_their_error():
    pictures = torch.zeros(2, 3, 8, 8)
    decoded = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.3)])
    expected = (math.log(0.01 + PIXEL_FLOOR) + math.log(0.09 + PIXEL_FLOOR)) / 2
    assert float(log_error(decoded, pictures)) == pytest.approx(expected, rel=1e-5)


def test_the_coarse_error_sees_light_but_no_texture():
    """A chequerboard has the mean of nothing at all; a shift of light has all its error left."""
    pictures = torch.zeros(1, 3, 8, 8)
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert float(coarse_error(board.expand(1, 3, 8, 8), pictures)) == pytest.approx(math.log(COARSE_FLOOR), rel=1e-5)
    lighter = coarse_error(pictures + 0.5, pictures)
    assert float(lighter) == pytest.approx(math.log(0.25 + COARSE_FLOOR), rel=1e-5)


def test_the_distance_of_features_is_twice_one_minus_their_cosine():
    angle = 0.7
    east = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    turned = torch.tensor([math.cos(angle), math.sin(angle)]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    one_stage = feature_distance(units([5 * east]), units([2 * turned]))
    assert float(one_stage) == pytest.approx(2 * (1 - math.cos(angle)), rel=1e-5)
    with_another = feature_distance(units([east, east]), units([turned, -east]))
    assert float(with_another) == pytest.approx((2 * (1 - math.cos(angle)) + 4) / 2, rel=1e-5)


def test_the_semantic_distance_is_one_minus_the_cosine():
    a, b = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 2.0], [4.0, 4.0]])
    assert float(semantic_distance(a, b)) == pytest.approx(0.5)


def test_a_critic_that_is_sure_loses_nothing_and_one_that_is_not_does():
    sure = [torch.full((2, 1, 4, 4), 3.0), torch.full((2, 1, 2, 2), 1.0)]
    assert float(critic_loss(sure, [-each for each in sure])) == 0
    assert float(critic_loss([torch.zeros(1)], [torch.zeros(1)])) == 2
    assert float(critic_loss([torch.tensor([0.25])], [torch.tensor([0.5])])) == pytest.approx(0.75 + 1.5)
    assert float(fooling_loss(sure)) == -2


def test_the_critic_s_gradient_has_the_share_that_it_was_given():
    """Whatever its own length."""
    generator = torch.Generator().manual_seed(0)
    own, critic = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    for length in (1e-6, 1.0, 1e6):
        added = balanced(own, length * critic, 0.3) - own
        assert float(added.norm() / own.norm()) == pytest.approx(0.3, rel=1e-3)
        assert float(torch.cosine_similarity(added.flatten(), critic.flatten(), 0)) == pytest.approx(1, abs=1e-4)
    assert torch.equal(balanced(own, torch.zeros_like(own), 0.3), own)


def test_sharpness_is_1_for_the_original_and_falls_with_the_square_of_contrast():
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert float(sharpness(pictures, pictures)) == 1
    assert float(sharpness(0.5 * pictures + 0.3, pictures)) == pytest.approx(0.25, rel=1e-4)


def test_the_energy_of_a_ramp_is_that_of_its_slopes():
    ramp = 0.1 * torch.arange(8.0)[:, None] + 0.2 * torch.arange(8.0)
    assert float(gradient_energy(ramp.expand(1, 1, 8, 8))) == pytest.approx(0.01 + 0.04, rel=1e-5)


def test_the_critic_learns_to_tell_texture_from_blur():
    """Its heads on pixels and on features, each by its own verdict, after a few steps on noise and smoothed noise."""
    torch.manual_seed(0)
    critic = Critic((8,))
    learner = torch.optim.Adam(critic.parameters(), 2e-3, betas=(0.5, 0.9))

    def batch():
        sharp = torch.randn(8, 3, 32, 32)
        smooth = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
        seen = [[each.repeat(1, 3, 1, 1)[:, :8, ::4, ::4]] for each in (sharp, smooth)]
        return critic(sharp, units(seen[0])), critic(smooth, [0.1 * each for each in units(seen[1])])

    for _ in range(60):
        loss = critic_loss(*batch())
        learner.zero_grad()
        loss.backward()
        learner.step()
    with torch.no_grad():
        real, fake = batch()
    assert [each.shape[1] for each in real] == [1, 1]
    assert all(float(a.mean()) > float(b.mean()) + 0.5 for a, b in zip(real, fake, strict=True))
