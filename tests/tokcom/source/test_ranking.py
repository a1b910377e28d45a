import numpy as np
import pytest

from tokcom.context.condition import NOTHING
from tokcom.errors import ModelError
from tokcom.frame import TokenFrame
from tokcom.models.zoo import load_context
from tokcom.packets.halton import halton_order
from tokcom.source.ranking import STEPS, ranked_places
from tokcom.source.relevance import surprise

GRID = (8, 8)
FRAME = TokenFrame(np.arange(64, dtype=np.int32) % 8, "tests", 8, GRID)


class NeighbourSeen:
    """A model that knows a token if the one to its left is known, and nothing else."""

    def told_with(self, frame):
        return NOTHING

    def require_fit(self, frame, condition):
        pass

    def log_probabilities(self, tokens, wanted, conditions):
        places = np.flatnonzero(wanted[0])
        known = np.full((len(places), 8), 1 / 8)
        left = (places % 8 > 0) & (tokens[0][places - 1] >= 0)
        known[left] = np.eye(8)[FRAME.tokens[places[left]]] * 0.99 + 0.00125
        return np.log(known).astype(np.float32)


def test_what_can_be_guessed_from_those_before_comes_last():
    """Half of the places, every second of a row, tell all others: no step may spend one where its left one is sent."""
    ranked = ranked_places(FRAME, NeighbourSeen(), surprise(FRAME))
    assert sorted(ranked) == list(range(64))
    step = 64 // STEPS
    np.testing.assert_array_equal(ranked[:step], halton_order(GRID)[:step])
    for start in range(step, 64, step):
        before = {*ranked[:start].tolist()}
        guessable = [place % 8 > 0 and place - 1 in before for place in range(64) if place not in before]
        taken = [place % 8 > 0 and place - 1 in before for place in ranked[start : start + step].tolist()]
        assert sum(taken) == max(0, step - guessable.count(False))


@pytest.mark.parametrize("count", [1, 4, 5, 16, 30, 64, 90])
def test_first_places_are_those_of_a_longer_ranking(count):
    whole = ranked_places(FRAME, NeighbourSeen(), surprise(FRAME))
    np.testing.assert_array_equal(ranked_places(FRAME, NeighbourSeen(), surprise(FRAME), count), whole[:count])


def test_a_frame_of_another_codebook_is_refused(tiny_model):
    with pytest.raises(ModelError):
        ranked_places(FRAME, load_context(str(tiny_model), "cpu"), surprise(FRAME))
