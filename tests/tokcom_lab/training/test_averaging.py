import numpy as np
import torch
from torch import nn

from tokcom_lab.training.averaging import LONGEST, average_of, follow


def test_the_average_is_the_weighted_sum_of_all_steps():
    """Against the sum written out: each step's weights by what the later ones leave of them."""
    network = nn.Linear(2, 2)
    average = average_of(network)
    seen, kept = [network.weight.detach().clone()], []
    generator = torch.Generator().manual_seed(0)
    for step in range(30):
        with torch.no_grad():
            network.weight.add_(torch.randn(2, 2, generator=generator))
        follow(average, network, step)
        seen.append(network.weight.detach().clone())
        kept.append(min(LONGEST, (step + 2) / (step + 11)))
    weights = [np.prod(kept), *((1 - kept[i]) * np.prod(kept[i + 1 :]) for i in range(30))]
    assert np.isclose(sum(weights), 1)
    expected = sum(float(weight) * each for weight, each in zip(weights, seen, strict=True))
    assert torch.allclose(average.weight, expected, atol=1e-5)


def test_buffers_are_copied_and_the_average_is_not_trained():
    network = nn.BatchNorm1d(3)
    average = average_of(network)
    network.running_mean.fill_(7)
    follow(average, network, 0)
    assert torch.equal(average.running_mean, network.running_mean) and average.running_mean is not network.running_mean
    assert not any(p.requires_grad for p in average.parameters()) and not average.training
