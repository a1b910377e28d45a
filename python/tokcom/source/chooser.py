"""Choice of the tokens of a frame that are sent, if not all are."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.thinning import Thinning
from tokcom.source.choices import CHECKERBOARD, CHOICES, DISTORTION, REGIONS, RELEVANCE, SPREAD, SURPRISE

if TYPE_CHECKING:
    from tokcom.context.classifier import Classifier
    from tokcom.tokenizers.vq import VQTokenizer

RULES = {choice: "places" for choice in CHOICES} | {each: each for each in (SPREAD, CHECKERBOARD, REGIONS)}
"""Rules of `packets.thinning` by which a choice is signalled."""
FIRST = 2
"""The relevance of regions is judged as if one in FIRST of the tokens sent were spread evenly."""


@dataclass(frozen=True, eq=False)
class TokenChooser:
    """Chooses tokens of frames of one codebook.

    Args:
        choice: one of `source.choices.CHOICES`. "spread": evenly spread tokens; "checkerboard": one colour, then the
            other; "regions": more tokens of the regions that matter to the class of the picture; "relevance": the
            tokens whose guess by the receiver's model would change the picture and its class most; "distortion": the
            picture alone; "surprise": the tokens that the model expects least.
        prior: prior of the tokens; None for choices that need none.
        tokenizer: tokenizer of a picture, in PyTorch, on the CPU; None for choices that look at no picture.
        classifier: task that decides about relevance; None for choices without it.

    Raises:
        ParameterError: there is no such choice, or it lacks what it needs.
    """

    choice: str
    prior: Prior | None = None
    tokenizer: "VQTokenizer | None" = None
    classifier: "Classifier | None" = None

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ParameterError(f"choice is {self.choice!r}; it must be one of {', '.join(CHOICES)}")
        if self.rule in (SPREAD, CHECKERBOARD):
            return
        if self.prior is None:
            raise ParameterError(f"choice {self.choice!r} needs a context model")
        if self.choice != SURPRISE and self.tokenizer is None:
            raise ParameterError(f"choice {self.choice!r} needs a tokenizer of pictures")
        if self.choice in (REGIONS, RELEVANCE) and self.classifier is None:
            raise ParameterError(f"choice {self.choice!r} needs a classifier of pictures")

    @property
    def rule(self) -> str:
        """Name of the rule by which the choice is signalled."""
        return RULES[self.choice]

    def ranked(self, frame: TokenFrame, count: int | None = None) -> np.ndarray | None:
        """Rank the first `count` places, or all, of a whole frame; None if the choice does not rank.

        Raises:
            ModelError: the frame does not have the prior's codebook and grid.
        """
        if self.rule != "places":
            return None
        from tokcom.source.ranking import ranked_places
        from tokcom.source.relevance import distortion, relevance, surprise

        if self.choice == RELEVANCE:
            cost = relevance(frame, self.tokenizer, self.classifier)
        else:
            cost = distortion(frame, self.tokenizer) if self.choice == DISTORTION else surprise(frame)
        return ranked_places(frame, self.prior, cost, count)

    def thinning(self, frame: TokenFrame, count: int, ranked: np.ndarray | None = None) -> Thinning:
        """Choose `count` tokens of a whole frame.

        Args:
            frame: the frame.
            count: number of tokens.
            ranked: what `ranked` returns, if it is known.

        Raises:
            ModelError: the frame does not have the prior's codebook and grid.
            ParameterError: there are not that many, or the rule does not fit the frame's grid.
        """
        if self.choice in (SPREAD, CHECKERBOARD):
            return Thinning(self.rule, count)
        from tokcom.source.relevance import relevance_from_spread, relevant_regions, sent_first

        if self.choice == REGIONS:
            values = relevance_from_spread(frame, self.prior, count // FIRST, self.tokenizer, self.classifier)
            return relevant_regions(values, frame.grid, count)
        return sent_first(self.ranked(frame, count) if ranked is None else ranked, count)

    def thin(self, frame: TokenFrame, count: int, ranked: np.ndarray | None = None) -> TokenFrame:
        """Leave only `count` tokens of a frame, with their rule; takes and raises what `thinning` does.

        Returns:
            The frame, whose other tokens are LOST; the frame itself if it has no more tokens.
        """
        if count >= len(frame.tokens):
            return frame
        thinning = self.thinning(frame, count, ranked)
        tokens = np.full_like(frame.tokens, LOST)
        sent = thinning.sent(frame.grid)
        tokens[sent] = frame.tokens[sent]
        return replace(frame, tokens=tokens, thinning=thinning.to_bytes(frame.grid))
