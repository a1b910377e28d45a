"""Modes of recovery of a frame with failed packets, and their descriptions."""

from typing import TYPE_CHECKING

from tokcom.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

MODES = {
    "keep": "kept as decoded",
    "mask": "masked and guessed (the paper)",
    "list": "channel and CRC",
    "context": "channel, CRC and model",
}
"""Modes. keep: the Viterbi decoder's tokens, right or wrong. mask: tokens of failed packets are discarded and guessed
by the context model. list: the CRC, as part of the code, helps to correct errors. context: channel, CRC and context
model decide jointly."""
DEFAULT_MODE = "context"
WITH_PRIOR = ("mask", "context")
"""Modes that need a context model; the others do not load one."""


def require_mode(mode: str) -> None:
    """Raise ParameterError unless the mode exists."""
    if mode not in MODES:
        raise ParameterError(f"mode is {mode!r}; it must be one of {', '.join(MODES)}")


def shown_by(mode: str | None, confidence: "np.ndarray | None") -> "np.ndarray | None":
    """Return the confidence in tokens by which the picture of a frame that was recovered in a mode is shown: None in
    modes in which a context model takes no part."""
    return confidence if mode in WITH_PRIOR else None
