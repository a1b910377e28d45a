import pytest

from tokcom.errors import ParameterError
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.frames import FrameSeparator, KnownCodebook
from tokcom.multiple_access.plan import MultiUserPlan
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
