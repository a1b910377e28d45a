"""The four ways to make a frame whole when packets failed, and what people read of them."""

from tokcom.errors import ParameterError

MODES = {
    "keep": "kept as decoded",
    "mask": "masked and guessed (the paper)",
    "list": "channel and CRC",
    "context": "channel, CRC and model",
}
"""keep: the Viterbi decoder's tokens, right or wrong. mask: tokens of failed packets are thrown away and guessed by the
context model. list: the CRC, as part of the code, helps to correct. context: channel, CRC and context model decide
together."""
DEFAULT_MODE = "context"
WITH_PRIOR = ("mask", "context")
"""Those that need a context model; the others load none."""


def require_mode(mode: str) -> None:
    """Raise ParameterError unless there is such a mode."""
    if mode not in MODES:
        raise ParameterError(f"mode is {mode!r}; it must be one of {', '.join(MODES)}")
