"""MaskGIT that also sees the tokens of the frame before, for moving pictures.

Most of a moving picture's tokens are those of the frame before, at the same place or a few places off. The network
therefore mixes two predictions: a new token, by MaskGIT, and a copy of one of the previous frame's tokens nearby
(pointer networks, Vinyals et al., NeurIPS 2015; the mixture of See et al., ACL 2017).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork

REMAIN = 3.0
"""Advantage in nepers with which training starts of the copy from the same place over those from beside."""


@dataclass(frozen=True)
class FollowingConfig(MaskGitConfig):
    """Shape of a `FollowingNetwork`; it is stored in the model's card."""

    reach: int = 5
    """Side of the square of the previous frame's tokens, around a place, that may be copied there; odd."""

    as_dict = asdict


class FollowingNetwork(MaskGitNetwork):
    """Network with log-probabilities of tokens, given the others and those of the frame before.

    Id `codebook_size` is [MASK] in the frame, and an unknown token in the frame before.
    """

    config: FollowingConfig

    def __init__(self, config: FollowingConfig):
        super().__init__(config)
        width, offsets = config.width, config.reach**2
        self.moved = nn.Linear(offsets, width)
        self.before = nn.Conv2d(width, width, config.reach, padding=config.reach // 2, groups=width)
        self.before_projection = nn.Linear(width, width)
        self.source = nn.Linear(width, offsets)
        self.copied = nn.Linear(width, 1)
        # So that the weights of a MaskGIT are a start: at first the frame before shows only in copies.
        for layer in (self.moved, self.before_projection, self.source, self.copied):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.source.bias[offsets // 2] = REMAIN

    def following(self, tokens: Tensor, before: Tensor, told: Tensor, places: Tensor) -> Tensor:
        """Compute log-probabilities (n, codebook_size) at the true entries of `places`, in row-major order.

        Args:
            tokens: int64 (batch, rows * columns), [MASK] where unknown.
            before: int64 (batch, rows * columns), the previous frame's.
            told: (batch, width), embedding of the class.
            places: bool (batch, rows * columns).
        """
        words = self.config.codebook_size
        nearby = self._nearby(before)
        # What moved shows where both frames are known.
        same = (nearby == tokens[..., None]) & (tokens != words)[..., None]
        seen = self.token_embedding(before)
        grid = seen.transpose(1, 2).reshape(len(seen), -1, self.config.rows, self.config.columns)
        around = self.before(grid).flatten(2).transpose(1, 2)
        embedded = self.token_embedding(tokens) + self.moved(same.to(seen.dtype)) + self.before_projection(around)
        features = self.head_norm(self._features(embedded, told)[places])
        return self._mixed(self.head(features), features, nearby[places])

    def unlabelled_after(self, before: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make the function (tokens, masked) of `rate_distortion.TokenLogits` of frames after given ones, int64
        (batch, rows * columns), without CMI."""

        def logits(tokens: Tensor, masked: Tensor) -> Tensor:
            told = self.told(tokens.new_full((len(tokens),), self.config.num_classes))
            return self.following(tokens.masked_fill(masked, self.config.codebook_size), before, told, masked)

        return logits

    def _nearby(self, before: Tensor) -> Tensor:
        """Gather the previous frame's tokens around every place, (batch, places, reach**2); unknown off the frame."""
        reach = self.config.reach
        grid = before.reshape(-1, self.config.rows, self.config.columns)
        wide = F.pad(grid, (reach // 2,) * 4, value=self.config.codebook_size)
        return wide.unfold(1, reach, 1).unfold(2, reach, 1).flatten(3).flatten(1, 2)

    def _mixed(self, logits: Tensor, features: Tensor, nearby: Tensor) -> Tensor:
        """Mix new tokens with copies of those nearby, in log-probabilities."""
        words = self.config.codebook_size
        unknown = nearby == words
        source = self.source(features).float().masked_fill(unknown, -1e4).softmax(-1)
        shares = torch.zeros(len(logits), words + 1, device=logits.device)
        shares = shares.scatter_add(1, nearby, source)[:, :words]
        copied = self.copied(features).float()
        # Nothing can be copied where nothing nearby is known.
        copied = copied.masked_fill(unknown.all(-1, keepdim=True), -1e4)
        new = F.logsigmoid(-copied) + logits.float().log_softmax(-1)
        return torch.logaddexp(new, F.logsigmoid(copied) + shares.clamp(min=1e-30).log())
