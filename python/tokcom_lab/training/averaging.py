"""Moving average of a network's weights, which performs better than the weights of any single step (Polyak, 1992)."""

import copy

import torch
from torch import nn

LONGEST = 0.999
"""Largest decay of the average per step, reached after enough steps."""


def average_of(network: nn.Module) -> nn.Module:
    """Copy a network to hold the average, in evaluation mode and untrained."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the average towards the network's weights; buffers are copied.

    Args:
        average: the average, from `average_of`.
        network: the network being trained.
        step: number of earlier steps; the average is shorter at first, so that it forgets the beginning.
    """
    kept = min(LONGEST, (step + 2) / (step + 11))
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in network.parameters()], 1 - kept)
    for own, theirs in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(theirs)
