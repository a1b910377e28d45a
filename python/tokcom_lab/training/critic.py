"""Critic that distinguishes photographs from decoded pictures (the discriminator of a generative adversarial
network)."""

from collections.abc import Sequence

from torch import Tensor, nn

STAGES = (1, 2, 3)
"""Stages of features, of those that the losses use, that the critic sees."""
WIDTH = 64
HEAD_WIDTH = 128
SLOPE = 0.2


class Critic(nn.Module):
    """Critic with a verdict per position: one head sees pixels, the others features of a pretrained network.

    With features a critic learns the look of objects in a few hundred steps, which takes days from pixels alone (Sauer
    et al., "Projected GANs converge faster", NeurIPS 2021); pixels show the grain that features miss (PatchGAN;
    Isola et al., CVPR 2017).

    Args:
        channels: channels of each stage of features that it sees.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.pixels = nn.Sequential(
            nn.Conv2d(3, WIDTH, 4, 2, 1), nn.LeakyReLU(SLOPE), _halved(WIDTH, 2 * WIDTH),
            _halved(2 * WIDTH, 4 * WIDTH), nn.Conv2d(4 * WIDTH, 1, 4, 1, 1),
        )  # fmt: skip
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, HEAD_WIDTH, 1), nn.LeakyReLU(SLOPE),
                nn.Conv2d(HEAD_WIDTH, HEAD_WIDTH, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(HEAD_WIDTH, 1, 1),
            )
            for width in channels
        )  # fmt: skip

    def forward(self, pictures: Tensor, features: Sequence[Tensor]) -> list[Tensor]:
        """Return verdicts, one (batch, 1, rows, columns) per head, above 0 for photographs.

        Args:
            pictures: (batch, 3, rows, columns) in [-1, 1].
            features: one (batch, channels, rows, columns) per stage, unit vectors over channels.
        """
        # Unit vectors have small components: scale the heads' input to a variance of one.
        scaled = (each * each.shape[1] ** 0.5 for each in features)
        return [self.pixels(pictures), *(head(each) for head, each in zip(self.heads, scaled, strict=True))]


def _halved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), nn.GroupNorm(8, outputs), nn.LeakyReLU(SLOPE))
