"""How a codebook is named on the air."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tokcom.packets.labels import TokenLabels


@dataclass(frozen=True)
class Codebook:
    """A codebook that a receiver knows.

    Attributes:
        name: the model that made it.
        size: its words.
        modality: what its tokens stand for.
        labels: its own labels by their kind, of `packets.labels.LABELS`.
    """

    name: str
    size: int
    modality: str = "image"
    labels: Mapping[str, TokenLabels] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """16 bits that stand for it in a burst header."""
        return codebook_id(self.name)


def codebook_id(name: str) -> int:
    """The first 16 bits of the SHA-256 of a codebook's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big")
