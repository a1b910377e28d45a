import numpy as np
import pytest

from tokcom.errors import ParameterError, SourceError
from tokcom.frame import LOST
from tokcom.source.blocks import SourceSettings
from tokcom.source.chooser import TokenChooser
from tokcom.source.container import code_frames, from_bytes, to_bytes
from tokcom.source.rate_control import coded_bytes, thin_to_bytes

pytest.importorskip("constriction")
SETTINGS = SourceSettings(4)


@pytest.mark.parametrize("choice", ["spread", "checkerboard", "surprise"])
def test_a_frame_fits_and_comes_back_as_far_as_it_was_sent(prior, sample, choice):
    frame, chooser = sample(prior, 3), TokenChooser(choice, prior)
    whole = coded_bytes(frame, prior, SETTINGS)
    thinned = thin_to_bytes(frame, chooser, whole - 8, prior, SETTINGS)
    kept = ~thinned.lost
    assert 10 < kept.sum() < 64 and coded_bytes(thinned, prior, SETTINGS) <= whole - 8
    coded = from_bytes(to_bytes(code_frames([thinned, frame], ["a", "b"], prior, SETTINGS, frames_per_block=1)))
    (first,), (second,) = (coded.decode(block, prior) for block in (0, 1))
    np.testing.assert_array_equal(first.tokens, np.where(kept, frame.tokens, LOST))
    np.testing.assert_array_equal(second.tokens, frame.tokens)
    assert first.thinning == thinned.thinning and not second.thinning
    assert thin_to_bytes(frame, chooser, whole, prior, SETTINGS) is frame


def test_what_is_refused(prior, sample):
    frame = sample(prior, 3)
    with pytest.raises(ParameterError, match="3 bytes hold no token of a frame; one token and its rule take"):
        thin_to_bytes(frame, TokenChooser("spread"), 3, prior, SETTINGS)
    thinned = TokenChooser("spread").thin(frame, 9)
    with pytest.raises(ParameterError, match="frames_per_block is 16; it must be 1"):
        code_frames([thinned], ["a"], prior, SETTINGS)
    data = bytearray(to_bytes(code_frames([thinned], ["a"], prior, SETTINGS, frames_per_block=1)))
    place = data.index(b"\x01a\x03") + 3
    data[place] = 9
    with pytest.raises(SourceError):
        from_bytes(bytes(data))
