import pytest
import torch

from tokcom.context.efficientnet_lite import EfficientNetLite


@pytest.fixture(scope="session")
def trunk():
    """EfficientNet-Lite0 with random weights of a size that keeps its features apart."""
    torch.manual_seed(1)
    made = EfficientNetLite(0).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return made
