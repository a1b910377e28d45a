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


class SpeechError(TokcomError, ValueError):
    """A sound file cannot be read or written, or an array is not a signal."""


class ModelError(TokcomError):
    """A model's folder, card or weights are missing, corrupt or do not fit the request."""


class DatasetError(TokcomError):
    """A folder or archive of training pictures lacks what training needs."""


class CheckpointError(TokcomError):
    """A training checkpoint cannot be continued."""


class HeaderError(TokcomError):
    """A burst's header is invalid.

    Attributes:
        kind: "crc": the CRC fails; "version": its version is unknown; "element": it has a mandatory element that this
            receiver does not know; "contents": its CRC holds but its values are impossible.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class BurstError(TokcomError):
    """Samples do not hold the burst that they should."""


class LockedError(TokcomError):
    """A burst is protected by a key that is not here.

    Attributes:
        key_id: id of that key.
    """

    def __init__(self, key_id: int, message: str):
        super().__init__(message)
        self.key_id = key_id


class RejectedError(TokcomError):
    """A burst that a receiver with keys does not believe.

    Attributes:
        kind: "clear": no key protects it; "forged": it is not from a holder of the key; "replayed": it came before, or
            is older than what the receiver remembers.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class KeyFileError(TokcomError):
    """A key, or the counter of its epochs, cannot be read or written, or is invalid."""


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


class MessageError(TokcomError):
    """A message between a device and an edge server is invalid."""
