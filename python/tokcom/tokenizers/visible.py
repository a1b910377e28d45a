"""Received text made fit to be shown: what would steer a terminal, or hide other text, is spelled out."""

import re

STEERING = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters of ISO 6429 except the tab, breaks of lines, and the marks that turn the direction of writing:
between them, unsure words could be shown as certain, or in another order."""


def visible(text: str) -> str:
    r"""Spell out the characters of a text that a terminal would obey, or that would reorder it: "\x1b", "\u202e".

    Other characters stay as they are, so that a text is in general shown as it was sent.
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
