"""One frame's way through the link as a row of pictures with captions, for people who watch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tokcom import keys
from tokcom.context.description import sentence_of
from tokcom.errors import FrameError
from tokcom.frame import LOST
from tokcom.metrics.overlays import doubt_strip, enlarge, heat_map, loss_strip, outline_tokens
from tokcom.metrics.pictures import psnr_db
from tokcom.metrics.tokens import token_error_rate
from tokcom.tokenizers.pictures import square
from tokcom.tokenizers.visible import visible

TITLES = ("sent", "received", "recovered", "confidence")
SHOWN = 80
"""Characters of a text that are shown with its picture."""


@dataclass(frozen=True)
class Panel:
    """Picture, uint8 (height, width, 3), or None if unavailable, and its caption."""

    picture: np.ndarray | None
    caption: str


def frame_panels(stages: Mapping[str, tuple[Mapping, np.ndarray]], side: int = 320) -> list[Panel]:
    """Make the panels of a frame, in the order of TITLES.

    Args:
        stages: metadata and picture, uint8 (height, width, 3), by stage: "recovered" and, if known, "sent", "tokenized"
            and "lost".
        side: pictures are enlarged by an integer factor to at most this many pixels per side. If the frame is one row
            of tokens, which have no places in the picture, losses and doubt are in a strip of cells under it.

    Raises:
        FrameError: tokens and pictures do not belong together.
        PictureError: an array is not a picture, or the grid of tokens does not divide it evenly.
    """
    meta, recovered = stages["recovered"]
    size = recovered.shape[0]
    sent = square(stages["sent"][1], size) if "sent" in stages else None
    return [
        _sent(stages, meta, sent, side),
        _received(stages, meta, side),
        Panel(enlarge(recovered, side), _recovered_caption(stages, meta, recovered, sent)),
        _confidence(meta, recovered, side),
    ]


def _sent(stages: Mapping, meta: Mapping, sent: np.ndarray | None, side: int) -> Panel:
    name = str(stages["sent"][0].get(keys.NAME, "")) if sent is not None else "not known here"
    caption = " · ".join(part for part in (name, _told(stages, meta)) if part)
    return Panel(None if sent is None else enlarge(sent, side), caption)


def _told(stages: Mapping, meta: Mapping) -> str:
    """Say what came with a frame beside its tokens; empty if nothing did."""
    sentence, sound, label = (_said(stages, meta, key) for key in (keys.SENTENCE, keys.SOUND, keys.CMI_NAME))
    received = sentence_of(np.asarray(meta.get(keys.DESCRIPTION, ()), np.uint8).tobytes())
    if received or sentence:
        return f"“{visible(received or sentence)}”"
    return f"sound {sound}" if sound else f"label {label}" if label else ""


def _said(stages: Mapping, meta: Mapping, key: str) -> str | None:
    """Find what came with a frame, or was sent with it, where the transmitter's pictures are here."""
    return meta.get(key) or (stages["tokenized"][0].get(key) if "tokenized" in stages else None)


def _received(stages: Mapping, meta: Mapping, side: int) -> Panel:
    lost, packets = meta.get(keys.PACKETS_LOST), meta.get(keys.PACKETS)
    others = meta.get(keys.OTHERS)
    caption = f"{lost} of {packets} packets lost" if others is None else f"superposed with {others} other"
    if "lost" not in stages:
        return Panel(None, caption)
    received_meta, picture = stages["lost"]
    lost = _grid(received_meta.get(keys.TOKENS), meta) == LOST
    mark = outline_tokens if lost.ndim == 2 else loss_strip
    return Panel(mark(enlarge(picture, side), lost), caption)


def caption_text(meta: Mapping) -> str:
    """Return the text that belongs to a picture, on one line and without what would steer a terminal; empty without
    one."""
    caption = np.asarray(meta.get(keys.CAPTION, ()), np.uint8).tobytes()
    return visible(" ".join(caption.decode("utf-8", "replace").split()))


def _recovered_caption(stages: Mapping, meta: Mapping, recovered: np.ndarray, sent: np.ndarray | None) -> str:
    parts = []
    caption = caption_text(meta)
    if caption:
        parts.append(f"“{caption if len(caption) <= SHOWN else caption[: SHOWN - 1] + '…'}”")
    if sent is not None:
        parts.append(f"PSNR {psnr_db(sent, recovered):.1f} dB")
    if "tokenized" in stages:
        wrong = token_error_rate(stages["tokenized"][0].get(keys.TOKENS), np.asarray(meta.get(keys.TOKENS)))
        parts.append(f"{100 * wrong:.1f}% of tokens wrong")
    if len(parts) == bool(caption):
        still_open = meta.get(keys.PACKETS_OPEN)
        parts.append("all packets good" if still_open == 0 else f"{still_open} packets not declared good")
    return " · ".join(parts)


def _confidence(meta: Mapping, recovered: np.ndarray, side: int) -> Panel:
    confidence = meta.get(keys.CONFIDENCE)
    if confidence is None or meta.get(keys.MODE) == "keep":
        return Panel(None, "not known: tokens are kept as decoded" if confidence is not None else "not known")
    doubt = float(1 - np.mean(confidence))
    shown, large = _grid(confidence, meta), enlarge(recovered, side)
    mark = heat_map if shown.ndim == 2 else doubt_strip
    return Panel(mark(large, shown), f"{100 * doubt:.1f}% expected wrong")


def _grid(values: np.ndarray | None, meta: Mapping) -> np.ndarray:
    """Arrange one value per token in the shape of the frame's grid."""
    grid = tuple(meta.get(keys.GRID, ()))
    values = np.asarray(values)
    if len(grid) not in (1, 2) or values.size != math.prod(grid):
        raise FrameError(f"{values.size} values do not fill a grid of {grid}")
    return values.reshape(grid)
