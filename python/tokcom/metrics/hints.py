"""What a receiver noticed of a burst, in words for people who watch."""

from collections.abc import Mapping

from tokcom import keys

WORDS = {
    keys.HINT: "{}",
    keys.GAP_SAMPLES: "gap of {} samples",
    keys.CLIPPING: "clipping: {:.1%} of the samples",
}
"""Metadata keys that are shown as hints, and the words around their values. A new kind of hint is a row here."""


def hint_of(meta: Mapping) -> str:
    """All hints in a frame's metadata in one line, in the order of WORDS; empty where there are none.

    A value of 0, or one that its words cannot take, is no hint: metadata may come from other programs.

    Args:
        meta: by the keys of `tokcom.keys`.
    """
    hints = []
    for key, words in WORDS.items():
        value = meta.get(key)
        if value:
            try:
                hints.append(words.format(value))
            except (TypeError, ValueError):
                continue
    return "; ".join(hints)
