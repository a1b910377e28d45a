"""Exceptions that users of the library may catch."""


class TokcomError(Exception):
    """Base of every error that the library raises on purpose."""


class ParameterError(TokcomError, ValueError):
    """A parameter is out of its range; the message names it, its value and what is allowed."""


class FrameError(TokcomError, ValueError):
    """Tokens do not form a valid frame for the codebook or layout in use."""


class PictureError(TokcomError, ValueError):
    """A picture file cannot be read, or an array is not a picture."""


class TextError(TokcomError, ValueError):
    """A text is empty, too long, no Unicode, or cannot be spelled with a vocabulary."""


class ModelError(TokcomError):
    """A model's folder, card or weights are missing, broken or do not fit what is asked of them."""


class DatasetError(TokcomError):
    """A folder or archive of training pictures lacks what training needs."""


class CheckpointError(TokcomError):
    """A training checkpoint cannot be continued."""


class HeaderError(TokcomError):
    """A burst's header cannot be used.

    Attributes:
        kind: "crc": it did not arrive whole; "version": it is of another version; "element": it has an element that a
            receiver must know, and this one does not; "contents": it is whole and absurd.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class BurstError(TokcomError):
    """Samples do not hold the burst that they should."""


class LockedError(TokcomError):
    """Packets are encrypted with a key that is not here.

    Attributes:
        key_id: of that key.
    """

    def __init__(self, key_id: int, message: str):
        super().__init__(message)
        self.key_id = key_id


class KeyFileError(TokcomError):
    """A key, or the count of its epochs, cannot be read or written, or is none."""


class RecordingError(TokcomError):
    """A recording cannot be read or written."""


class MonitorError(TokcomError):
    """A link's figures cannot be shown, written or served."""


class SourceError(TokcomError):
    """Coded tokens cannot be decoded, or tokens cannot be coded."""


class DatagramError(TokcomError):
    """A datagram from the network cannot be used."""


class TransportError(TokcomError):
    """A network address cannot be used, or the other end does not answer."""
