"""EfficientNet-Lite: its published size, its padding, batch norms folded in; against a network written out here."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.classifier import Classifier
from tokcom.context.efficientnet_lite import (
    HEAD,
    STAGES,
    EfficientNetLite,
    LiteClassifierNetwork,
    LiteConfig,
    SameConvolution,
    from_reference,
)


@pytest.mark.parametrize(("version", "millions"), [(0, 4.652), (2, 6.092)])
def test_the_size_is_the_published_one(version, millions):
    """TensorFlow's release: 4.7 and 6.1 million parameters with batch norms, which have two each that learn."""
    with torch.device("meta"):
        network = EfficientNetLite(version)
    kernels = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = sum(2 * kernel.out_channels for kernel in kernels)
    weights = sum(kernel.weight.numel() for kernel in kernels)
    assert round((weights + norms + HEAD * 1000 + 1000) / 1e6, 3) == millions


@pytest.mark.parametrize(("size", "kernel", "stride", "left"), [(8, 3, 2, 0), (9, 3, 2, 1), (8, 5, 2, 1), (8, 5, 1, 2)])
def test_padding_is_tensorflows(size, kernel, stride, left):
    """An impulse comes out where "same" padding of `left` zeros ahead puts it."""
    layer = SameConvolution(1, 1, kernel, stride, bias=False)
    x = torch.zeros(1, 1, size, size)
    x[..., 0, 0] = 1
    got = layer(x)
    assert got.shape[-1] == -(-size // stride)
    assert got[0, 0, 0, 0] == layer.weight[0, 0, left, left]


def test_the_published_weights_come_in_with_their_norms_folded():
    """Against the plain network, norms and all, written after the paper's table here."""
    state = _published(torch.Generator().manual_seed(3))
    trunk, names = from_reference(state)
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4)) * 2 - 1
    wanted = _plain(state, (pictures * 127.5 + 127.5 - 127) / 128)
    assert torch.allclose(trunk(pictures), wanted, rtol=1e-3, atol=1e-4)
    assert torch.equal(names.weight, state["_fc.weight"])


def test_stages_are_those_on_the_way():
    trunk = EfficientNetLite().eval()
    got = trunk.stages(torch.zeros(1, 3, 64, 64), (0, 4, 10))
    assert [tuple(each.shape[1:]) for each in got] == [(16, 32, 32), (40, 8, 8), (112, 4, 4)]


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match="version is 7; it must be one of 0, 1, 2, 3, 4"):
        LiteConfig(version=7)


def test_a_picture_of_no_known_class_is_not_named():
    """Where the likeliest class is less likely than the model's card asks, there is no label."""
    network = LiteClassifierNetwork(LiteConfig(image_size=32, num_classes=3, seen_size=32)).eval()
    nn.init.zeros_(network.head.weight)
    network.head.bias.data = torch.tensor([0.5, 0.3, 0.2]).log()
    picture = np.zeros((32, 32, 3), np.uint8)
    assert Classifier(network, ("a", "b", "c"), unsure_below=0.45).label(picture) == 0
    assert Classifier(network, ("a", "b", "c"), unsure_below=0.55).label(picture) is None


def _layers() -> list[tuple[str, int, int, int, int, int, bool]]:
    """(block, channels in, out, kernel, stride, expansion, shortcut) of version 0."""
    found, channels = [], 32
    for kernel, stride, expansion, outputs, repeats in STAGES:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            found.append(
                (
                    f"_blocks.{len(found)}.",
                    channels,
                    outputs,
                    kernel,
                    step,
                    expansion,
                    step == 1 and channels == outputs,
                )
            )
            channels = outputs
    return found


def _published(rng: torch.Generator) -> dict[str, Tensor]:
    """Random weights under the published names."""
    state = {"_fc.weight": torch.randn(5, HEAD, generator=rng), "_fc.bias": torch.randn(5, generator=rng)}

    def layer(convolution: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        shape = (outputs, inputs, kernel, kernel)
        state[f"{convolution}.weight"] = torch.randn(shape, generator=rng) * (2 / inputs / kernel**2) ** 0.5
        for key, low, high in (
            ("weight", 0.8, 1.2),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.5, 1.5),
        ):
            state[f"{norm}.{key}"] = torch.rand(outputs, generator=rng) * (high - low) + low

    layer("_conv_stem", "_bn0", 32, 3, 3)
    for name, channels, outputs, kernel, _, expansion, _ in _layers():
        if expansion > 1:
            layer(f"{name}_expand_conv", f"{name}_bn0", channels * expansion, channels, 1)
        layer(f"{name}_depthwise_conv", f"{name}_bn1", channels * expansion, 1, kernel)
        layer(f"{name}_project_conv", f"{name}_bn2", outputs, channels * expansion, 1)
    layer("_conv_head", "_bn1", HEAD, 320, 1)
    return state


def _plain(state: dict[str, Tensor], x: Tensor) -> Tensor:
    def norm(y: Tensor, name: str) -> Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(y, *(state[f"{name}.{key}"] for key in keys), eps=1e-3)

    def pad(y: Tensor, kernel: int, stride: int) -> Tensor:
        total = kernel - stride if y.shape[-1] % stride == 0 else kernel - y.shape[-1] % stride
        return F.pad(y, [total // 2, total - total // 2] * 2)

    x = F.relu6(norm(F.conv2d(pad(x, 3, 2), state["_conv_stem.weight"], stride=2), "_bn0"))
    for name, channels, _, kernel, stride, expansion, shortcut in _layers():
        y = x
        if expansion > 1:
            y = F.relu6(norm(F.conv2d(y, state[f"{name}_expand_conv.weight"]), f"{name}_bn0"))
        weight = state[f"{name}_depthwise_conv.weight"]
        y = F.conv2d(pad(y, kernel, stride), weight, stride=stride, groups=channels * expansion)
        y = norm(F.conv2d(F.relu6(norm(y, f"{name}_bn1")), state[f"{name}_project_conv.weight"]), f"{name}_bn2")
        x = x + y if shortcut else y
    return F.relu6(norm(F.conv2d(x, state["_conv_head.weight"]), "_bn1")).mean((2, 3))
