"""Pictures as sequences of tokens that belong to no place, as TiTok's."""

import numpy as np

from tokcom.frame import LOST
from tokcom.tokenizers.picture_tokenizer import LOST_GREY
from tokcom.tokenizers.vq import VQTokenizer

FILLINGS = 4
"""Decodings that are averaged where tokens are lost."""


class SequenceTokenizer(VQTokenizer):
    """Tokenizer of a network whose tokens each describe the whole picture.

    A lost token has no patch to be grey. What depends on it shows as a blend: the mean of several decodings with random
    words in the place of lost tokens, fading to grey as fewer tokens are known.
    """

    @staticmethod
    def _grid(config: object) -> tuple[int, ...]:
        return tuple(config.grid)

    def _shown(self, tokens: np.ndarray, frame_id: int) -> np.ndarray:
        lost = tokens == LOST
        if not lost.any():
            return self.decode(tokens[None])[0]
        if lost.all():
            return np.full((self.image_size, self.image_size, 3), LOST_GREY, np.uint8)
        rng = np.random.default_rng(frame_id)
        filled = np.repeat(tokens[None], FILLINGS, 0)
        filled[:, lost] = rng.integers(0, self.codebook_size, (FILLINGS, int(lost.sum())))
        known = 1 - lost.mean()
        return np.round(known * self.decode(filled).mean(0) + (1 - known) * LOST_GREY).astype(np.uint8)
