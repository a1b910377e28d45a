"""Exceptions that users of the library may catch."""


class TokcomError(Exception):
    """Base of every error that the library raises on purpose."""


class ParameterError(TokcomError, ValueError):
    """A parameter is out of its range; the message names it, its value and what is allowed."""


class FrameError(TokcomError, ValueError):
    """Tokens do not form a valid frame for the codebook or layout in use."""


class PictureError(TokcomError, ValueError):
    """A picture file cannot be read, or an array is not a picture."""


class ModelError(TokcomError):
    """A model's folder, card or weights are missing, broken or do not fit what is asked of them."""


class DatasetError(TokcomError):
    """A folder or archive of training pictures lacks what training needs."""


class CheckpointError(TokcomError):
    """A training checkpoint cannot be continued."""
