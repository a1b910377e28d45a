"""Panels of a frame: for grids of tokens, and for tokens that have no place in the picture."""

import numpy as np
import pytest

from tokcom import keys
from tokcom.errors import FrameError
from tokcom.frame import LOST
from tokcom.metrics.frame_panels import frame_panels
from tokcom.metrics.overlays import LOSS

PICTURE = np.full((16, 16, 3), 90, np.uint8)


def stages(grid):
    tokens = np.array([1, LOST, 3, LOST])
    meta = {keys.GRID: grid, keys.PACKETS: 4, keys.PACKETS_LOST: 2, keys.TOKENS: np.arange(4)}
    meta[keys.CONFIDENCE] = np.array([1, 0.2, 1, 0.9])
    return {"recovered": (meta, PICTURE), "lost": (meta | {keys.TOKENS: tokens}, PICTURE)}


def test_tokens_of_a_grid_are_outlined_and_those_of_a_row_are_in_a_strip():
    _, received, _, doubt = frame_panels(stages((2, 2)), 16)
    assert received.picture.shape == doubt.picture.shape == (16, 16, 3)
    _, received, _, doubt = frame_panels(stages((4,)), 16)
    assert received.picture.shape == doubt.picture.shape == (28, 16, 3)
    strip = received.picture[-1, 2::4]
    assert (strip == LOSS).all(1).tolist() == [False, True, False, True]
    assert doubt.picture[-1, 6].sum() > doubt.picture[-1, 14].sum() > doubt.picture[-1, 2].sum()
    assert doubt.caption == "22.5% expected wrong"


def test_tokens_of_more_dimensions_are_refused():
    with pytest.raises(FrameError, match=r"4 values do not fill a grid of \(1, 2, 2\)"):
        frame_panels(stages((1, 2, 2)), 16)


def test_the_text_of_a_picture_is_shown_with_it():
    described = stages((2, 2))
    described["recovered"][0][keys.CAPTION] = np.frombuffer(b"a cat\n\x1b[2J on a mat\xff", np.uint8)
    _, _, recovered, _ = frame_panels(described, 16)
    assert recovered.caption.startswith("“a cat \\x1b[2J on a mat\ufffd” · None packets not declared good")
    described["recovered"][0][keys.CAPTION] = np.full(100, ord("a"), np.uint8)
    assert f"“{'a' * 79}…”" in frame_panels(described, 16)[2].caption


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"description": np.frombuffer(b"\2a dog", np.uint8), "cmi_name": "cat"}, "“a dog”"),
        ({"cmi_name": "cat"}, "label cat"),
        ({"description": np.frombuffer(b"\1abc", np.uint8)}, ""),
        ({"description": np.frombuffer(b"\2a\x1b[2J", np.uint8)}, ""),
    ],
)
def test_what_came_with_a_picture_is_shown(told, shown):
    described = stages((2, 2))
    described["recovered"][0].update(told)
    assert frame_panels(described, 16)[0].caption.removeprefix("not known here").removeprefix(" · ") == shown


def test_what_was_sent_with_a_picture_is_shown_where_it_is_known():
    for told, shown in (({"sentence": "a cat"}, "“a cat”"), ({"sound": "cat.wav"}, "sound cat.wav")):
        described = stages((2, 2)) | {"tokenized": (told | {keys.TOKENS: np.arange(4)}, PICTURE)}
        assert frame_panels(described, 16)[0].caption == f"not known here · {shown}"
