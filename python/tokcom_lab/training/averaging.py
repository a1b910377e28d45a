"""A moving average of a network's weights, which is better than the weights of any one step (Polyak, 1992)."""

import copy

import torch
from torch import nn

LONGEST = 0.999
"""Share of the average that stays at a step, once there were steps enough."""


def average_of(network: nn.Module) -> nn.Module:
    """A copy to hold the average; it is in evaluation mode and not trained."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the average towards the network's weights; buffers are copied.

    Args:
        average: from `average_of`.
        network: the network that is trained.
        step: steps before this one: the average of few is short, so that it forgets the beginning.
    """
    kept = min(LONGEST, (step + 2) / (step + 11))
    torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in network.parameters()], 1 - kept)
    for own, theirs in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(theirs)
