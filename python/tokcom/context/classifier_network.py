"""Small residual network that classifies pictures."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape of a `ClassifierNetwork`; it is stored in the model's card."""

    image_size: int = 64
    num_classes: int = 102
    widths: tuple[int, ...] = (48, 96, 160, 256)
    blocks: int = 1

    as_dict = asdict


class ClassifierBlock(nn.Module):
    """Two normalised 3x3 convolutions with a shortcut."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(y)))


class ClassifierNetwork(nn.Module):
    """Network from pictures (batch, 3, size, size) in [-1, 1] to logits (batch, num_classes) and features (batch,
    widths[-1])."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        stages, before = [], 3
        for width in config.widths:
            stages += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            stages += [ClassifierBlock(width) for _ in range(config.blocks)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, config.num_classes)

    def features(self, pictures: Tensor) -> Tensor:
        return self.stages(pictures).mean((2, 3))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures))
