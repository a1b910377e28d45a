"""Texts that an edge server continues: what its model makes of their tokens so far, within a bound."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING
from tokcom.offload.draft_messages import DraftRequest
from tokcom.offload.drafts import judged

MAX_TOKENS = 8192
"""Tokens of all sessions together, 46 kB each with SmolLM2; the one that has rested longest is forgotten first."""


@dataclass
class _Session:
    """A text: the path of the model, and the words at its end that the path has not yet followed."""

    paths: Paths
    tokens: int
    pending: list[int]


class Sessions:
    """Sessions of all devices with one model.

    Args:
        most: largest number of tokens of all sessions together.
    """

    def __init__(self, most: int = MAX_TOKENS):
        self._most, self._kept = most, OrderedDict[tuple[bytes, int], _Session]()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def tokens(self) -> int:
        """Tokens of all sessions."""
        return sum(each.tokens for each in self._kept.values())

    def settle(self, prior: CausalPrior, device: bytes, request: DraftRequest) -> list[int] | None:
        """Settle drafts.

        Args:
            prior: the model.
            device: identity of the device.
            request: its drafts.

        Returns:
            The words that follow; None if the tokens before those of the request are not known here.

        Raises:
            MessageError: the drafts name words beyond the codebook.
        """
        drafts = request.drafts(prior.codebook_size)
        key = device, request.session
        session = self._kept.pop(key, None)
        if not request.start:
            session = _Session(prior.paths(NOTHING), 0, [])
        elif session is None or session.tokens != request.start:
            return None
        pending = [*session.pending, *request.tokens.tolist()]
        if len(pending) > 1:  # a long text is read at once, and only its last word with the drafts
            session.paths.follow(np.array(pending[:-1]), weigh=False)
            pending = pending[-1:]
        words, paths = judged(session.paths, pending, drafts, request.place, request.sampling, request.rule)
        self._kept[key] = _Session(paths, request.place + len(words), words[-1:])
        while len(self._kept) > 1 and self.tokens > self._most:
            self._kept.popitem(last=False)
        return words
