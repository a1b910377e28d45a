"""Identity of codebooks, in programs and on the air: a hash of the content; the name is for people."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokcom.errors import FrameError, ParameterError
from tokcom.packets.labels import NATURAL, TokenLabels

DIGITS = 8
"""Hexadecimal digits of the content's hash at the end of a codebook's name."""


@dataclass(frozen=True)
class Codebook:
    """Codebook of a transmitter or a receiver.

    Attributes:
        name: name of its model and a hash of its content, as made by `codebook_name`; or a name alone, if that is
            sufficient, as for tokens without a model.
        size: number of words.
        modality: modality of its tokens.
        labels: labels that belong to it, by kind, of `packets.labels.LABELS`.
    """

    name: str
    size: int
    modality: str = "image"
    labels: Mapping[str, TokenLabels] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """Id in a burst header, 32 bits."""
        return codebook_id(self.name)

    def labels_of(self, kind: str, frame_id: int) -> TokenLabels | None:
        """Look up the labels of a frame's tokens, of `packets.labels.LABELS`; None for natural ones.

        Raises:
            FrameError: the codebook has no such labels.
        """
        if kind == NATURAL:
            return None
        if kind not in self.labels:
            raise FrameError(
                f"frame {frame_id} needs {kind} labels, but its codebook {self.name} has none; "
                "run `./run models map NAME`"
            )
        return self.labels[kind]


def codebook_name(model: str, content: Iterable[str]) -> str:
    """Build "MODEL@HASH"; codebooks with the same hash are the same.

    Args:
        model: the model's name.
        content: hashes and words that determine the meaning of a token's number, in a fixed order.
    """
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
    return f"{model.replace('@', '-')}@{digest[:DIGITS]}"


def codebook_id(name: str) -> int:
    """Compute the 32-bit id for the air: the hash at the end of a codebook's name or, without one, the first bits of
    the SHA-256 of the name."""
    _, at, content = name.rpartition("@")
    if at and len(content) == DIGITS and set(content) <= set("0123456789abcdef"):
        return int(content, 16)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def by_id(codebooks: Iterable[Codebook]) -> dict[int, Codebook]:
    """Index codebooks by their id.

    Raises:
        ParameterError: two different codebooks have the same id.
    """
    found: dict[int, Codebook] = {}
    for codebook in codebooks:
        other = found.setdefault(codebook.id, codebook)
        if (other.name, other.size) != (codebook.name, codebook.size):
            raise ParameterError(
                f"codebooks {other.name} ({other.size} words) and {codebook.name} ({codebook.size} words) have "
                f"the same id on the air, 0x{codebook.id:08x}; a receiver can know only one of them"
            )
    return found
