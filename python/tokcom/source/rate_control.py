"""Frames that are coded within a number of bytes: as many tokens are left out as it takes."""

from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.packets.thinning import MAX_THINNED
from tokcom.source.blocks import DEFAULTS, SourceSettings, encode_block
from tokcom.source.chooser import TokenChooser
from tokcom.source.container import places_of


def coded_bytes(frame: TokenFrame, prior: Prior, settings: SourceSettings = DEFAULTS) -> int:
    """Compute the bytes of a frame that is alone in its block, with its rule; raises as `encode_block` does."""
    return len(frame.thinning) + len(encode_block([frame], places_of(frame), prior, settings))


def thin_to_bytes(
    frame: TokenFrame, chooser: TokenChooser, n_bytes: int, prior: Prior, settings: SourceSettings = DEFAULTS
) -> TokenFrame:  # fmt: skip
    """Leave out tokens of a frame until it is coded in at most `n_bytes` bytes.

    Args:
        frame: a whole frame.
        chooser: what chooses the tokens that stay.
        n_bytes: largest number of bytes of block and rule.
        prior: prior of the tokens.
        settings: settings of coding.

    Returns:
        The frame with the most tokens that a bisection finds; the frame itself if it fits whole.

    Raises:
        ModelError, SourceError: as `encode_block`.
        ParameterError: not even one token fits, or the frame is too large to be thinned.
    """
    if coded_bytes(frame, prior, settings) <= n_bytes:
        return frame
    if len(frame.tokens) > MAX_THINNED:
        raise ParameterError(
            f"a frame of {len(frame.tokens)} tokens must be coded whole; at most {MAX_THINNED} can be thinned"
        )
    ranked = chooser.ranked(frame)
    found, low, high = None, 1, len(frame.tokens) - 1
    while low <= high:
        middle = (low + high) // 2
        thinned = chooser.thin(frame, middle, ranked)
        if coded_bytes(thinned, prior, settings) <= n_bytes:
            found, low = thinned, middle + 1
        else:
            high = middle - 1
    if found is None:
        least = coded_bytes(chooser.thin(frame, 1, ranked), prior, settings)
        raise ParameterError(f"{n_bytes} bytes hold no token of a frame; one token and its rule take {least}")
    return found
