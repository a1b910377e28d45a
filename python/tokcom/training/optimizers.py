"""Muon for matrices and AdamW for the rest, as one optimizer."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class MuonAdamW:
    """Orthogonalised momentum (Jordan et al., 2024) for the hidden matrices, AdamW for everything else.

    Muon's updates are scaled to AdamW's size (Liu et al., "Muon is scalable for LLM training", 2025), so both share a
    learning rate. A convolution's kernels are a matrix of output channels by everything else.

    Args:
        matrices: 2-D parameters and kernels of convolutions inside the network.
        others: embeddings, heads, convolutions, norms, biases.
        lr: learning rate; `param_groups` hold it.
        weight_decay: of parameters of two dimensions and more.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], lr: float, weight_decay: float
    ):
        others = list(others)
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        ]
        # Muon takes matrices alone: it gets views, which share the kernels' memory.
        self._matrices = [(p, p if p.ndim == 2 else nn.Parameter(p.data.view(len(p), -1))) for p in matrices]
        views = [view for _, view in self._matrices]
        self._parts = (
            torch.optim.Muon(views, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.96)),
        )

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
        """As of one optimizer: the AdamW parameters are numbered after Muon's."""
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
