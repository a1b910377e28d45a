import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.frames import FrameSeparator, KnownCodebook, modulate_frame
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.multiple_access.searcher import MultiUserSearcher
from tokcom.packets.codebook import Codebook

PLAN = MultiUserPlan(ModulationCodebook(64, 8), 16)


def known(name):
    return KnownCodebook(Codebook(name, 64))


def test_codebooks_that_a_header_cannot_tell_apart_are_refused():
    """Headers hold the last 24 of an id's 32 bits."""
    with pytest.raises(ParameterError, match=r"one@00abcdef.*two@01abcdef.*the same last 24 bits"):
        FrameSeparator(PLAN, [known("one@00abcdef"), known("two@01abcdef")])


def test_the_same_codebook_twice_and_different_ones_are_taken():
    FrameSeparator(PLAN, [known("one@00abcdef"), known("one@00abcdef"), known("two@00abcdee")])


def test_other_modulation_vectors_are_told():
    """Headers hold 2 bits of the codebook's id; those of seed 1 are others than those of seed 0."""
    tokens = np.arange(16, dtype=np.int32)
    frame = TokenFrame(tokens, "one@00abcdef", 64, (4, 4), "image")
    burst = modulate_frame(PLAN, 0, frame)
    samples = np.pad(burst, (400, 900)) + 0.01 * np.random.default_rng(0).standard_normal(len(burst) + 1300)
    other = MultiUserPlan(ModulationCodebook(64, 8, 1), 16)
    for plan, frames, hints in ((PLAN, 1, 0), (other, 0, 1)):
        (found,) = MultiUserSearcher(plan).push(samples.astype(np.complex64))
        result = FrameSeparator(plan, [known("one@00abcdef")]).separate(found)
        assert len(result.frames) == frames
        assert sum("other modulation vectors" in hint for hint in result.hints) == hints
