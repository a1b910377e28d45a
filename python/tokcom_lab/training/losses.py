"""What a decoder of photographs is trained to: each term by itself, with its reason.

The mean squared error alone shows the average of all pictures that the tokens might stand for, which is blurred. So
pixels decide the coarse picture, features of a network that knows photographs decide what it shows, and a critic
whether its texture is one that photographs have.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

PIXEL_FLOOR = 1e-3
"""Mean squared error, 36 dB below the peak, under which a picture's pixels count no more."""
COARSE = 4
"""Pixels to the side of the squares whose means are compared."""
COARSE_FLOOR = 3e-4


def log_error(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Mean logarithm of each picture's squared error, which is its PSNR but for a constant.

    A logarithm counts a picture of little detail as much as one of much, as a mean of PSNR does; the plain mean would
    be that of the busiest few (van den Oord et al., 2017, normalise by the data's variance for the same end).
    """
    return ((decoded - pictures).square().mean((1, 2, 3)) + PIXEL_FLOOR).log().mean()


def coarse_error(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Mean logarithm of each picture's squared error after averaging over squares of COARSE pixels.

    What features and critic change, texture, they change at no cost here: light, colour and shape stay those that were
    sent (a Laplacian pyramid's low bands; Bojanowski et al., "GLO", ICML 2018).
    """
    means = F.avg_pool2d(decoded - pictures, COARSE)
    return (means.square().mean((1, 2, 3)) + COARSE_FLOOR).log().mean()


def units(features: Sequence[Tensor]) -> list[Tensor]:
    """Features (batch, channels, rows, columns) of each stage as float32 unit vectors over channels."""
    return [F.normalize(each.float(), dim=1) for each in features]


def feature_distance(sent: Sequence[Tensor], shown: Sequence[Tensor]) -> Tensor:
    """Squared distance of unit vectors of features, summed over channels, averaged over places and stages: 0 to 4.

    Features of a network trained to name photographs agree with people on what looks alike (Zhang et al., CVPR 2018;
    this is their distance without weights learnt from people's answers, and never called by its name).

    Args:
        sent: `units` of the original's features, one (batch, channels, rows, columns) a stage.
        shown: those of what was decoded.
    """
    each = [(a - b).square().sum(1).mean() for a, b in zip(sent, shown, strict=True)]
    return sum(each) / len(each)


def semantic_distance(sent: Tensor, shown: Tensor) -> Tensor:
    """One minus the cosine of pooled features (batch, channels): whether the whole shows the same things.

    Features place by place, as above, are satisfied by local texture. These decide what a classifier names, without
    its 1000 answers, which a decoder would soon learn to fake.
    """
    return (1 - F.cosine_similarity(sent.float(), shown.float(), dim=1)).mean()


def fooling_loss(verdicts: Sequence[Tensor]) -> Tensor:
    """The decoder's side of the critic: minus its mean verdict on what was decoded, averaged over heads."""
    return -sum(verdict.float().mean() for verdict in verdicts) / len(verdicts)


def critic_loss(real: Sequence[Tensor], decoded: Sequence[Tensor]) -> Tensor:
    """The critic's side: verdicts above 1 on photographs, below -1 on what was decoded (hinge; Lim and Ye, 2017),
    averaged over heads. A verdict that is clear already moves nothing."""
    each = [F.relu(1 - a.float()).mean() + F.relu(1 + b.float()).mean() for a, b in zip(real, decoded, strict=True)]
    return sum(each) / len(each)


def balanced(gradient: Tensor, adversarial: Tensor, weight: Tensor | float) -> Tensor:
    """A picture's gradient with the critic's added at `weight` times the length of its own.

    The critic's gradient shrinks and grows as it learns; so its say stays what it was set to. VQGAN (Esser et al., CVPR
    2021) compares both at the decoder's last layer; at the picture itself nothing must be computed twice.
    """
    return gradient + adversarial * (weight * gradient.norm() / adversarial.norm().clamp_min(1e-12))


def sharpness(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Energy of the gradients of what was decoded over that of the originals: 1 where it is as sharp as they are."""
    return gradient_energy(decoded) / gradient_energy(pictures)


def gradient_energy(pictures: Tensor) -> Tensor:
    """Mean squared difference of pixels from their neighbours below and beside, of (batch, channels, rows, columns)."""
    down, across = torch.diff(pictures, dim=2), torch.diff(pictures, dim=3)
    return down.square().mean() + across.square().mean()
