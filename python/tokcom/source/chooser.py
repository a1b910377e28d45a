"""Choice of the tokens of a frame that are sent, if not all are."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.thinning import Thinning
from tokcom.source.choices import CHECKERBOARD, CHOICES, REGIONS, RELEVANCE, SPREAD, SURPRISE

if TYPE_CHECKING:
    from tokcom.context.classifier import Classifier
    from tokcom.tokenizers.vq import VQTokenizer

RULES = {SPREAD: "spread", CHECKERBOARD: "checkerboard", REGIONS: "regions", RELEVANCE: "places", SURPRISE: "places"}
"""Rules of `packets.thinning` by which a choice is signalled."""
FIRST = 2
"""One in FIRST of the tokens of a map is spread evenly; relevance or surprise chooses the others."""


@dataclass(frozen=True, eq=False)
class TokenChooser:
    """Chooses tokens of frames of one codebook.

    Args:
        choice: one of `source.choices.CHOICES`. "spread": evenly spread tokens; "checkerboard": one colour, then the
            other; "regions": more tokens of the regions that matter to the class of the picture; "relevance": the
            tokens that matter to it and that the receiver's model does not expect; "surprise": those that it does not
            expect.
        prior: prior of the tokens; None for choices that need none.
        tokenizer: tokenizer of a picture, in PyTorch, on the CPU; None for choices without relevance.
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
        if self.by_relevance and (self.tokenizer is None or self.classifier is None):
            raise ParameterError(f"choice {self.choice!r} needs a tokenizer and a classifier of pictures")
        if (self.by_relevance or self.choice == SURPRISE) and self.prior is None:
            raise ParameterError(f"choice {self.choice!r} needs a context model")

    @property
    def by_relevance(self) -> bool:
        """Whether the choice depends on relevance."""
        return self.choice in (REGIONS, RELEVANCE)

    @property
    def rule(self) -> str:
        """Name of the rule by which the choice is signalled."""
        return RULES[self.choice]

    def thinning(self, frame: TokenFrame, count: int) -> Thinning:
        """Choose `count` tokens of a whole frame.

        Raises:
            ModelError: the frame does not have the prior's codebook and grid.
            ParameterError: there are not that many, or the rule does not fit the frame's grid.
        """
        if self.choice in (SPREAD, CHECKERBOARD):
            return Thinning(self.rule, count)
        from tokcom.source.relevance import most_relevant, relevant_regions, spread_first, surprise, token_relevance

        first, predictions = spread_first(frame, self.prior, count // FIRST)
        if self.choice == SURPRISE:
            return most_relevant(surprise(frame, predictions), count, first)
        values = token_relevance(frame, predictions, self.tokenizer, self.classifier)
        if self.choice == REGIONS:
            return relevant_regions(values, frame.grid, count)
        return most_relevant(values, count, first)

    def thin(self, frame: TokenFrame, count: int) -> TokenFrame:
        """Leave only `count` tokens of a frame, with their rule; raises as `thinning` does.

        Returns:
            The frame, whose other tokens are LOST; the frame itself if it has no more tokens.
        """
        if count >= len(frame.tokens):
            return frame
        thinning = self.thinning(frame, count)
        tokens = np.full_like(frame.tokens, LOST)
        sent = thinning.sent(frame.grid)
        tokens[sent] = frame.tokens[sent]
        return replace(frame, tokens=tokens, thinning=thinning.to_bytes(frame.grid))
