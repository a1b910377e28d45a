import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.frame_memory import FrameMemory
from tokcom.packets.header_fields import FRAME_IDS


def a_frame(number, follows=0, codebook="video", grid=(4,)):
    return TokenFrame(np.arange(np.prod(grid)), codebook, 16, grid, frame_id=number, follows=follows)


def test_a_frame_is_predicted_from_the_one_that_it_says():
    memory = FrameMemory(frames=3)
    for number in (7, 8, 9):
        memory.keep(5, a_frame(number))
    for back in (1, 2, 3):
        assert memory.before(5, a_frame(10, back)).frame_id == 10 - back
    assert memory.condition(5, a_frame(10, 1)).before == a_frame(9)


def test_frames_that_are_not_here_are_not_made_up():
    memory = FrameMemory()
    memory.keep(5, a_frame(9))
    assert memory.before(5, a_frame(10)) is None
    assert memory.before(6, a_frame(10, 1)) is None
    assert memory.before(5, a_frame(11, 1)) is None
    assert memory.before(5, a_frame(10, 1, codebook="other")) is None
    assert memory.before(5, a_frame(10, 1, grid=(2, 3))) is None
    assert memory.condition(5, a_frame(10)).before is None


def test_numbers_wrap():
    memory = FrameMemory()
    memory.keep(0, a_frame(FRAME_IDS - 1))
    assert memory.before(0, a_frame(FRAME_IDS, 1)).frame_id == FRAME_IDS - 1
    assert memory.before(0, a_frame(0, 1)).frame_id == FRAME_IDS - 1


def test_memory_is_bounded():
    memory = FrameMemory(max_streams=2, frames=1)
    for stream in range(3):
        for number in range(3):
            memory.keep(stream, a_frame(number))
    assert [memory.before(stream, a_frame(3, 1)) is not None for stream in range(3)] == [False, True, True]
    assert memory.before(2, a_frame(3, 2)) is None


def test_the_largest_frames_are_not_remembered():
    memory = FrameMemory()
    for number, side in enumerate((256, 257)):
        tokens = np.zeros(side * side, int)
        memory.keep(number, TokenFrame(tokens, "video", 16, (side, side)))
    assert memory.last(0) is not None and memory.last(1) is None


def test_nothing_to_remember_is_refused():
    with pytest.raises(ParameterError, match="frames is 0"):
        FrameMemory(frames=0)


def test_time_of_residual_quantizers_is_joined():
    memory = FrameMemory()

    def sound(number, value, columns=20):
        words = np.full(2 * columns, value)
        return TokenFrame(words, "speech", 16, (2, columns), frame_id=number, quantizers=2, follows=int(number > 0))

    for number in range(2):
        memory.keep(1, sound(number, number))
    before = memory.before(1, sound(2, 2, columns=4))
    assert before.grid == (2, 32) and np.array_equal(before.tokens, ([0] * 12 + [1] * 20) * 2)
    memory.keep(1, sound(3, 3))  # frame 2 is missing
    assert memory.before(1, sound(4, 4)).grid == (2, 20)


def test_of_a_group_the_last_picture_is_remembered_under_its_own_number():
    memory = FrameMemory()
    memory.keep(0, a_frame(7, 1, grid=(3, 2, 2)))
    (last,) = (memory.before(0, a_frame(10, 1, grid=grid)) for grid in ((2, 2),))
    assert (last.frame_id, last.grid) == (9, (2, 2)) and np.array_equal(last.tokens, [8, 9, 10, 11])
    assert memory.before(0, a_frame(10, 1, grid=(4, 2, 2))) == last
    assert memory.before(0, a_frame(8, 1, grid=(2, 2))) is None
