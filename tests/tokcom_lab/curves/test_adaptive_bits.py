import numpy as np
import pytest

from tokcom.frame import BitFrame
from tokcom.link.airtime import frame_samples
from tokcom.link.transmitter import TransmitConfig
from tokcom.mcs import find_mcs
from tokcom_lab.curves.adaptive_bits import DECODERS, adaptive_bits

BITS = 400
FRAMES = [BitFrame(np.random.default_rng(n).integers(0, 2, 4 * BITS), "any", n) for n in range(2)]


@pytest.mark.parametrize("target", [0.1, 0.01])
def test_lists_choose_a_faster_mcs_that_meets_the_target(target):
    row, done = find_mcs("16qam-1/2"), []
    place = int(target == 0.01)
    between = (row.thresholds_db(BITS)[place] + row.thresholds_db(BITS, True)[place]) / 2
    viterbi, listed = adaptive_bits(FRAMES, 4, "awgn", target, between, 8, progress=done.append)
    assert (viterbi.chosen_for, listed.chosen_for) == DECODERS and sum(done) == 16
    for point, mcs in ((viterbi, "qpsk-3/4"), (listed, row.name)):
        samples = frame_samples(FRAMES[0], TransmitConfig(mcs, bits_per_packet=BITS))
        assert point.airtime_ms == pytest.approx(samples / 1000) and point.packets == 64 and point.unmet == 0
    assert viterbi.lost <= listed.lost <= 64 * target + 3


def test_bursts_in_fades_that_no_mcs_survives_are_counted_apart():
    viterbi, listed = adaptive_bits(FRAMES, 4, "epa", 0.1, 0.0, 10)
    assert 0 < listed.unmet <= viterbi.unmet < 1
    for point in (viterbi, listed):
        assert point.packets == 80 * (1 - point.unmet) and point.lost < 0.3 * point.packets
    viterbi, listed = adaptive_bits(FRAMES, 4, "epa", 0.1, -30.0, 1)
    assert viterbi.unmet == listed.unmet == 1 and viterbi.packets == listed.lost == 0
    assert viterbi.airtime_ms == listed.airtime_ms
