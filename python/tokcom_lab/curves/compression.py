"""Size of losslessly coded tokens, compared with the context model's ideal code length."""

from collections.abc import Callable, Sequence

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.packets.halton import halton_order
from tokcom.source.blocks import SourceSettings, encode_block
from tokcom.source.container import FRAMES_PER_BLOCK
from tokcom.source.frame_blocks import encode, regions_of
from tokcom.source.information import information


class RememberingPrior(Prior):
    """Context model with a cache of its predictions.

    Args:
        prior: the model.
    """

    def __init__(self, prior: Prior):
        self._prior, self._known = prior, {}
        self.codebook, self.codebook_size = prior.codebook, prior.codebook_size
        self.grid, self.num_classes, self.takes = prior.grid, prior.num_classes, prior.takes
        self.order, self.at_once = prior.order, prior.at_once

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        keys = [(row.tobytes(), own.tobytes(), told) for row, own, told in zip(tokens, wanted, conditions, strict=True)]
        new = [number for number, key in enumerate(keys) if key not in self._known]
        if new:
            found = self._prior.log_probabilities(tokens[new], wanted[new], [conditions[number] for number in new])
            ends = np.cumsum(wanted[new].sum(axis=1))
            for number, own in zip(new, np.split(found, ends[:-1]), strict=True):
                self._known[keys[number]] = own
        return np.concatenate([self._known[key] for key in keys])

    def forget(self) -> None:
        """Empty the cache."""
        self._known.clear()


def token_bits(
    frames: Sequence[TokenFrame], prior: Prior, settings: SourceSettings,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float | int]:  # fmt: skip
    """Measure the bits per token of whole frames, coded without side information.

    Args:
        frames: frames of the prior's codebook.
        prior: the context model.
        settings: turns and margin.
        progress: called with the number of frames done since the last call.

    Returns:
        bits_ideal: the model's ideal code length; bits_coded: size in blocks of FRAMES_PER_BLOCK frames, as in files,
            all bits counted; bits_coded_alone: size in blocks of one frame; pictures; frames_per_block.
    """
    remembering = RememberingPrior(prior)
    order = halton_order(frames[0].grid)
    ideal = together = alone = 0.0
    for first in range(0, len(frames), FRAMES_PER_BLOCK):
        group = frames[first : first + FRAMES_PER_BLOCK]
        ideal += float(information(group, order, remembering, settings.turns).sum())
        together += 8 * len(encode_block(group, order, remembering, settings))
        alone += sum(8 * len(encode_block([frame], order, remembering, settings)) for frame in group)
        remembering.forget()
        progress(len(group))
    tokens = sum(len(frame.tokens) for frame in frames)
    return {
        "bits_ideal": ideal / tokens, "bits_coded": together / tokens, "bits_coded_alone": alone / tokens,
        "pictures": len(frames), "frames_per_block": FRAMES_PER_BLOCK,
    }  # fmt: skip


def independent_bits(
    frames: Sequence[TokenFrame], prior: Prior, settings: SourceSettings,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float | int]:  # fmt: skip
    """Measure the bits per token if each frame is coded as `settings.blocks` independently decodable blocks.

    Returns:
        blocks; bits_ideal, bits_coded and pictures, as in `token_bits`; bits_padded: size with all blocks of a frame as
        long as its longest, as packets are.
    """
    remembering = RememberingPrior(prior)
    ideal = coded = padded = 0.0
    for frame in frames:
        blocks = encode(frame, remembering, settings)
        for region in regions_of(blocks, frame.grid):
            ideal += float(information([frame], region.places, remembering, settings.turns).sum())
        coded += sum(8 * len(block) for block in blocks)
        padded += 8 * len(blocks) * max(map(len, blocks))
        remembering.forget()
        progress(1)
    tokens = sum(len(frame.tokens) for frame in frames)
    return {
        "blocks": settings.blocks, "bits_ideal": ideal / tokens, "bits_coded": coded / tokens,
        "bits_padded": padded / tokens, "pictures": len(frames),
    }  # fmt: skip
