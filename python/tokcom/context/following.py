"""Priors of moving pictures: each frame given the one before."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tokcom.context.condition import Condition
from tokcom.context.maskgit import MaskGit
from tokcom.context.picture_or_video import require_alike
from tokcom.frame import LOST, TokenFrame

if TYPE_CHECKING:
    from tokcom.context.following_network import FollowingNetwork


class FollowingMaskGit(MaskGit):
    """Prior of a `FollowingNetwork`: in any order, given the frame before and a label.

    Arguments as for `MaskGit`.
    """

    network: "FollowingNetwork"

    def __init__(self, network: "FollowingNetwork", codebook: str, **told: Callable):
        super().__init__(network, codebook, **told)
        self.takes |= {"before"}

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        require_alike(frame, condition)

    def logits(self, tokens: Tensor, conditions: Sequence[Condition], places: Tensor) -> Tensor:
        lost = np.full(tokens.shape[1], LOST, np.int32)
        before = np.stack([lost if each.before is None else each.before.tokens for each in conditions])
        shown = np.where(before == LOST, self.codebook_size, before).astype(np.int64)
        seen = torch.from_numpy(shown).to(tokens.device)
        return self.network.following(tokens, seen, self._told(conditions), places)
