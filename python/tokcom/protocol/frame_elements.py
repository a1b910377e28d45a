"""Elements of a section: facts about its frame that are seldom needed, coded as in a burst header."""

from dataclasses import dataclass

from tokcom.errors import DatagramError, FrameError, HeaderError
from tokcom.frame import MAX_DESCRIPTION, Payload
from tokcom.packets.elements import COMPANION, CONDITION, FOLLOWS, Element, join, split

LAYOUT = 9
"""Number of the element that holds the seed of the packets' layout."""


@dataclass(frozen=True)
class FrameElements:
    """Facts about a frame beside its label.

    Attributes:
        description: cross-modal information beyond the label, as `TokenFrame.description`.
        companion: frames back to the one that belongs to it; 0 if none does.
        follows: frames back to the one that it continues; 0 if it stands alone.
        seed: of the packets' layout, 0 to 65535; None: the frame's number.
    """

    description: bytes = b""
    companion: int = 0
    follows: int = 0
    seed: int | None = None

    @classmethod
    def of_frame(cls, frame: Payload, seed: int | None = None) -> "FrameElements":
        """Collect the elements of a frame.

        Raises:
            FrameError: the frame is thinned.
        """
        if frame.thinning:
            raise FrameError(f"frame {frame.frame_id} is thinned; datagrams carry frames whose tokens are all sent")
        if not (frame.description or frame.companion or frame.follows or seed is not None):
            return NO_ELEMENTS
        return cls(frame.description, frame.companion, frame.follows, seed)

    @property
    def of_tokens(self) -> bool:
        """Whether there are elements that only frames of tokens have."""
        return bool(self.description or self.companion or self.follows)

    def encode(self) -> bytes:
        """Serialize; empty without any element."""
        elements = []
        if self.description:
            elements.append(Element(CONDITION, self.description, optional=True))
        if self.companion:
            elements.append(Element(COMPANION, bytes([self.companion]), optional=True))
        if self.seed is not None:
            elements.append(Element(LAYOUT, self.seed.to_bytes(2, "big")))
        if self.follows:
            elements.append(Element(FOLLOWS, bytes([self.follows]), optional=True))
        return join(elements)

    @classmethod
    def decode(cls, data: bytes) -> "FrameElements":
        """Parse elements; unknown ones that may be ignored are skipped.

        Raises:
            DatagramError: they are not in their form, or one is unknown and may not be ignored.
        """
        try:
            elements = split(data)
        except HeaderError as error:
            raise DatagramError(f"elements of a section: {error}") from None
        if join(elements) != data or not elements:
            raise DatagramError(f"elements of a section fill {len(join(elements))} of {len(data)} bytes")
        found = {each.number: each.value for each in elements}
        for each in elements:
            if each.number not in _LENGTHS and not each.optional:
                raise DatagramError(f"a section has the unknown element {each.number}, which must not be ignored")
        for number, (least, most) in _LENGTHS.items():
            value = found.get(number)
            if value is None:
                continue
            if not least <= len(value) <= most or (number in (COMPANION, FOLLOWS) and not any(value)):
                raise DatagramError(f"element {number} of a section has the value {value.hex() or 'nothing'}")
        seed = int.from_bytes(found[LAYOUT], "big") if LAYOUT in found else None
        companion, follows = (int.from_bytes(found.get(each, b""), "big") for each in (COMPANION, FOLLOWS))
        return cls(found.get(CONDITION, b""), companion, follows, seed)


_LENGTHS = {CONDITION: (1, MAX_DESCRIPTION), COMPANION: (1, 1), LAYOUT: (2, 2), FOLLOWS: (1, 1)}
NO_ELEMENTS = FrameElements()
