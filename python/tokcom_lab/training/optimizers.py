"""Muon for matrices and AdamW for the rest, as one optimizer."""

from collections.abc import Container, Iterable

import torch
from torch import Tensor, nn

from tokcom.device import precision

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration that brings all singular values near 1 (Jordan et al., 2024)."""
ITERATIONS = 5


class BatchedMuon(torch.optim.Optimizer):
    """Muon as in `torch.optim.Muon`, but batched over parameters of one shape, for use on a GPU, and for kernels of
    convolutions in any memory format.

    Args:
        params: matrices, and kernels as matrices of output channels by everything else.
        lr: learning rate.
        weight_decay: weight decay of all parameters.
        momentum: share of the previous direction that is kept.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
            for shape, own in by_shape.items():
                self._move(own, shape, group)

    def _move(self, parameters: list[nn.Parameter], shape: tuple[int, int], group: dict) -> None:
        gradients = torch.stack([parameter.grad.reshape(shape) for parameter in parameters]).float()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            buffer = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(gradient))
            buffer.lerp_(gradient, 1 - group["momentum"])
        momenta = torch.stack([self.state[parameter]["momentum_buffer"] for parameter in parameters])
        directions = orthogonalized(gradients.lerp(momenta, group["momentum"]))
        # Scale to the length of AdamW's steps.
        rate = group["lr"] * 0.2 * max(shape) ** 0.5
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(direction.reshape(parameter.shape), alpha=-rate)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Bring all singular values of matrices (batch, rows, columns) near 1, float32."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(precision(matrices.device))
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    first, second, third = QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = first * x + (second * gram + third * gram @ gram) @ x
    return (x.mT if tall else x).float()


class MuonAdamW:
    """Orthogonalised momentum (Jordan et al., 2024) for the hidden matrices, AdamW for everything else.

    Muon's updates are scaled to AdamW's size (Liu et al., "Muon is scalable for LLM training", 2025), so both share a
    learning rate. A convolution's kernels are a matrix of output channels by everything else.

    Args:
        matrices: 2-D parameters and kernels of convolutions inside the network.
        others: embeddings, heads, convolutions, norms, biases.
        lr: learning rate; `param_groups` hold it.
        weight_decay: weight decay of parameters with two or more dimensions.
        batched: use `BatchedMuon`, which takes parameters on a GPU and in any memory format.
        further: further groups of AdamW with their own settings.
    """

    @classmethod
    def of(
        cls, learning: Iterable[tuple[str, nn.Parameter]], matrices: Container[str], lr: float, weight_decay: float,
        batched: bool = False, further: Iterable[dict] = (),
    ) -> "MuonAdamW":  # fmt: skip
        """Make it of parameters with their names; `matrices` are the names of those for Muon."""
        learning = list(learning)
        own, others = ([p for name, p in learning if (name in matrices) == inside] for inside in (True, False))
        return cls(own, others, lr, weight_decay, batched, further)

    def __init__(
        self, matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], lr: float, weight_decay: float,
        batched: bool = False, further: Iterable[dict] = (),
    ):  # fmt: skip
        others = list(others)
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
            *further,
        ]
        # torch.optim.Muon takes only matrices: pass views, which share the kernels' memory.
        self._matrices = [(p, p if batched or p.ndim == 2 else nn.Parameter(p.data.view(len(p), -1))) for p in matrices]
        views = [view for _, view in self._matrices]
        muon = (
            BatchedMuon(views, lr, weight_decay)
            if batched
            else torch.optim.Muon(views, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        )
        on_gpu = batched and all(view.is_cuda for view in views)
        self._parts = (muon, torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.96), fused=on_gpu or None))

    @property
    def param_groups(self) -> list[dict]:
        return [group for part in self._parts for group in part.param_groups]

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad()
        for parameter, _ in self._matrices:
            parameter.grad = None

    def step(self) -> None:
        for parameter, view in self._matrices:
            view.grad = None if parameter.grad is None else parameter.grad.reshape(view.shape)
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict:
        """Return the state as of one optimizer, with AdamW's parameters numbered after Muon's."""
        muon, adam = (part.state_dict() for part in self._parts)
        first = len(self._matrices)
        state = muon["state"] | {first + index: value for index, value in adam["state"].items()}
        return {"state": state, "param_groups": muon["param_groups"] + adam["param_groups"]}

    def load_state_dict(self, state: dict) -> None:
        first = len(self._matrices)
        values: dict[int, dict[str, Tensor]] = state["state"]
        split = (
            {index: value for index, value in values.items() if index < first},
            {index - first: value for index, value in values.items() if index >= first},
        )
        for part, own in zip(self._parts, split, strict=True):
            part.load_state_dict({"state": own, "param_groups": part.state_dict()["param_groups"]})
