"""Terms of the loss of a decoder of photographs, each with its rationale.

With the mean squared error alone, the decoder shows the average of all pictures that the tokens may represent, which is
blurred. Therefore pixels determine the coarse picture, features of a network trained on photographs determine its
content, and a critic judges whether its texture is that of photographs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

PIXEL_FLOOR = 1e-3
"""Mean squared error, 36 dB below the peak, below which further accuracy of the pixels does not count."""
COARSE = 4
"""Side in pixels of the squares whose means are compared."""
COARSE_FLOOR = 3e-4


def log_error(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Average the logarithm of each picture's squared error, which is its PSNR up to a constant and sign.

    The logarithm gives pictures of little and of much detail equal weight, as a mean of PSNR does; the plain mean would
    be dominated by the busiest few (van den Oord et al., 2017, normalise by the variance of the data for the same
    purpose).
    """
    return ((decoded - pictures).square().mean((1, 2, 3)) + PIXEL_FLOOR).log().mean()


def coarse_error(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Average the logarithm of each picture's squared error after averaging over squares of COARSE pixels.

    Features and critic can change texture at no cost here, while light, colour and shape must stay those of the
    original (the low bands of a Laplacian pyramid; Bojanowski et al., "GLO", ICML 2018).
    """
    means = F.avg_pool2d(decoded - pictures, COARSE)
    return (means.square().mean((1, 2, 3)) + COARSE_FLOOR).log().mean()


def units(features: Sequence[Tensor]) -> list[Tensor]:
    """Normalise each stage's features (batch, channels, rows, columns) to float32 unit vectors over channels."""
    return [F.normalize(each.float(), dim=1) for each in features]


def feature_distance(sent: Sequence[Tensor], shown: Sequence[Tensor]) -> Tensor:
    """Compute the squared distance of unit vectors of features, summed over channels, averaged over positions and
    stages: 0 to 4.

    Features of a network trained to classify photographs agree with people's judgement of similarity (Zhang et al.,
    CVPR 2018; this is their distance without weights learnt from people's answers, and is not called LPIPS).

    Args:
        sent: `units` of the original's features, one (batch, channels, rows, columns) per stage.
        shown: the same for the decoded picture.
    """
    each = [(a - b).square().sum(1).mean() for a, b in zip(sent, shown, strict=True)]
    return sum(each) / len(each)


def semantic_distance(sent: Tensor, shown: Tensor) -> Tensor:
    """Compute 1 minus the cosine of pooled features (batch, channels), a distance of the content of whole pictures.

    Features per position, as above, are satisfied by local texture. Pooled features determine a classifier's decision;
    its 1000 outputs themselves are not used, as a decoder would soon learn to fake them.
    """
    return (1 - F.cosine_similarity(sent.float(), shown.float(), dim=1)).mean()


def fooling_loss(verdicts: Sequence[Tensor]) -> Tensor:
    """Compute the decoder's adversarial loss: minus the mean verdict on decoded pictures, averaged over heads."""
    return -sum(verdict.float().mean() for verdict in verdicts) / len(verdicts)


def critic_loss(real: Sequence[Tensor], decoded: Sequence[Tensor]) -> Tensor:
    """Compute the critic's hinge loss (Lim and Ye, 2017), averaged over heads: verdicts above 1 on photographs and
    below -1 on decoded pictures cost nothing."""
    each = [F.relu(1 - a.float()).mean() + F.relu(1 + b.float()).mean() for a, b in zip(real, decoded, strict=True)]
    return sum(each) / len(each)


def balanced(gradient: Tensor, adversarial: Tensor, weight: Tensor | float) -> Tensor:
    """Add the critic's gradient to a picture's, scaled to `weight` times the length of the latter.

    The length of the critic's gradient changes as it learns; this fixes its influence. VQGAN (Esser et al., CVPR 2021)
    compares both gradients at the decoder's last layer; at the picture itself nothing need be computed twice.
    """
    return gradient + adversarial * (weight * gradient.norm() / adversarial.norm().clamp_min(1e-12))


def sharpness(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Compute the energy of decoded pictures' gradients relative to the originals': 1 if they are equally sharp."""
    return gradient_energy(decoded) / gradient_energy(pictures)


def gradient_energy(pictures: Tensor) -> Tensor:
    """Compute the mean squared difference of pixels from their neighbours below and to the right, (batch, channels,
    rows, columns)."""
    down, across = torch.diff(pictures, dim=2), torch.diff(pictures, dim=3)
    return down.square().mean() + across.square().mean()
