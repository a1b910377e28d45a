"""How a codebook is named, among programs and on the air: by its content; the name is for people."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokcom.errors import ParameterError
from tokcom.packets.labels import TokenLabels

DIGITS = 8
"""Hexadecimal digits of the content's hash that a codebook's name ends in."""


@dataclass(frozen=True)
class Codebook:
    """A codebook that a transmitter or a receiver knows.

    Attributes:
        name: the model that made it and a hash of its content, as `codebook_name` puts them together; or a name alone,
            where that tells everything, as of tokens that stand for nothing.
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
        """32 bits that stand for it in a burst header."""
        return codebook_id(self.name)


def codebook_name(model: str, content: Iterable[str]) -> str:
    """ "MODEL@HASH": two codebooks are one where the hash is.

    Args:
        model: the model's name.
        content: hashes and words that tell everything that a token's number means, in a fixed order.
    """
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
    return f"{model.replace('@', '-')}@{digest[:DIGITS]}"


def codebook_id(name: str) -> int:
    """32 bits for the air: the hash that a codebook's name ends in; where it has none, the first of the SHA-256 of the
    name."""
    _, at, content = name.rpartition("@")
    if at and len(content) == DIGITS and set(content) <= set("0123456789abcdef"):
        return int(content, 16)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def by_id(codebooks: Iterable[Codebook]) -> dict[int, Codebook]:
    """Codebooks by their id.

    Raises:
        ParameterError: two that differ have one id.
    """
    found: dict[int, Codebook] = {}
    for codebook in codebooks:
        other = found.setdefault(codebook.id, codebook)
        if (other.name, other.size) != (codebook.name, codebook.size):
            raise ParameterError(
                f"codebooks {other.name} ({other.size} words) and {codebook.name} ({codebook.size} words) have one id "
                f"on the air, 0x{codebook.id:08x}; a receiver can know one of them"
            )
    return found
