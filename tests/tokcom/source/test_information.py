import copy

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.frame import LOST
from tokcom.packets.halton import halton_order
from tokcom.source.information import information
from tokcom.source.order import split_turns


def test_information_is_what_the_models_probabilities_say(prior, sample):
    frames = [sample(prior, seed, cmi) for seed, cmi in enumerate([None, 1, 2])]
    places = halton_order(prior.grid)[10:40]
    wanted = np.zeros((3, 64))
    for row, frame in zip(wanted, frames, strict=True):
        seen = np.full(64, LOST, np.int32)
        for turn in split_turns(places, 3):
            found = prior.log_probabilities(seen[None], seen[None] == LOST, [Condition(frame.cmi)])
            logs = dict(zip(np.flatnonzero(seen == LOST), found, strict=True))
            row[turn] = [-logs[place][frame.tokens[place]] / np.log(2) for place in turn]
            seen[turn] = frame.tokens[turn]
    np.testing.assert_allclose(information(frames, places, prior, 3), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_frames_are_told_apart_whatever_is_predicted_at_once(prior, sample, at_once):
    frames, places = [sample(prior, seed) for seed in range(3)], halton_order(prior.grid)
    other = copy.copy(prior)
    other.at_once = at_once
    found = information(frames, places, other, 2)
    for row, frame in zip(found, frames, strict=True):
        np.testing.assert_allclose(row, information([frame], places, prior, 2)[0], atol=1e-4)
