"""Powers of packets that differ much, and of packets that do not."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.frame import TokenFrame
from tokcom.models.fits import load_residual
from tokcom.models.folders import DEFAULT_MODEL
from tokcom_lab.curves.adaptation_bench import Material
from tokcom_lab.curves.power_gain import power_gain

RESIDUAL = load_residual(DEFAULT_MODEL)


def material(bits):
    frame = TokenFrame(np.zeros(len(bits), np.int32), "flat", 1024)
    return Material((frame,), (np.asarray(bits, np.float32),), np.zeros((1, 8, 8, 3), np.uint8))


def test_packets_that_are_alike_need_no_powers_of_their_own():
    (point,) = power_gain(material(np.full(256, 4.0)), RESIDUAL, [10.0], [0.02])
    # Two neighbouring levels of 0.1 dB may still be mixed.
    assert point.frames == 1 and 0 <= point.saved_db <= 0.1 and point.spread_db <= 0.1001


def test_packets_that_differ_much_do():
    bits = np.random.default_rng(0).uniform(0, 10, 256)
    own = replace(RESIDUAL, packet_db=1.5)
    few, much = (next(power_gain(material(bits), model, [10.0], [0.02])) for model in (RESIDUAL, own))
    assert much.saved_db > few.saved_db + 0.2 and much.spread_db > 2
    assert much.saved_most_db == pytest.approx(much.saved_db)


def test_a_bound_that_cannot_be_met_is_left_out():
    (point,) = power_gain(material(np.full(256, 9.0)), RESIDUAL, [-40.0], [0.001])
    assert point.frames == 0 and point.saved_db is point.spread_db is None
