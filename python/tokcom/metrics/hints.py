"""Observations of the receiver on a burst, as text for people who watch."""

from collections.abc import Mapping

from tokcom import keys
from tokcom.phy.hints import CLIPPED_SHARE


def _gap(samples: int) -> str:
    return f"gap of {samples} samples" if samples >= 0 else f"{-samples} samples too many"


def _clipping(share: float) -> str:
    return f"clipping: {share:.1%} of the samples" if share >= CLIPPED_SHARE else ""


WORDS = {
    keys.HINT: str,
    keys.GAP_SAMPLES: _gap,
    keys.CLIPPED: _clipping,
    keys.TONES: "tones taken out: {}".format,
}
"""Metadata keys that are shown as hints, with functions that turn their values into text; empty text means no hint. Add
a row for a new kind of hint."""


def hint_of(meta: Mapping) -> str:
    """Join all hints in a frame's metadata in one line, in the order of WORDS; empty without hints.

    Values of 0, and values that cannot be formatted, are skipped: metadata may come from other programs.

    Args:
        meta: metadata, with the keys of `tokcom.keys`.
    """
    hints = []
    for key, words in WORDS.items():
        value = meta.get(key)
        if value:
            try:
                hints.append(words(value))
            except (TypeError, ValueError):
                continue
    return "; ".join(hint for hint in hints if hint)
