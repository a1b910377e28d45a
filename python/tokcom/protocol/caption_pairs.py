"""Received pictures and the texts that are their captions, whichever comes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

REMEMBERED = 64
"""Texts, and pictures that wait for theirs; of more, the oldest are forgotten."""
LONGEST = 1 << 14
"""Characters of the longest text that is remembered."""

Key = tuple[Hashable, int]
"""Session and frame number."""


class CaptionPairs:
    """Pairs of pictures and captions, within bounds."""

    def __init__(self) -> None:
        self._texts: OrderedDict[Key, str] = OrderedDict()
        self._waiting: OrderedDict[Key, Callable[[str], None]] = OrderedDict()

    def add_text(self, session: Hashable, frame_id: int, text: str) -> None:
        """Remember a text, and give it to the picture that waits for it; one that is too long is left out."""
        if len(text) > LONGEST:
            return
        key = session, frame_id
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting(text)
        self._texts[key] = text
        _bound(self._texts)

    def add_picture(self, session: Hashable, frame_id: int, companion: int, caption: Callable[[str], None]) -> None:
        """Call `caption` with the text of a picture: at once, or when it comes.

        Args:
            session: the session of both.
            frame_id: of the picture.
            companion: frames from the picture back to its text; 0: it has none.
            caption: called once at most.
        """
        if not companion:
            return
        key = session, frame_id - companion
        if key in self._texts:
            caption(self._texts[key])
            return
        self._waiting[key] = caption
        _bound(self._waiting)


def _bound(kept: OrderedDict) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
