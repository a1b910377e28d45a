import numpy as np
import pytest

from tokcom.adaptation.cqi import predicted_per
from tokcom.adaptation.outer_loop import OuterLoop
from tokcom.errors import ParameterError
from tokcom.mcs import find_mcs


@pytest.mark.parametrize("target", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("error_db", [-4.0, 3.0])
def test_it_finds_the_target_on_bernoulli_losses(target, error_db):
    """CQI is off by error_db; the packet is lost as the true curve says, at whatever margin the loop keeps."""
    rng, loop, scheme = np.random.default_rng(1), OuterLoop(target, 0.05), find_mcs("16qam-1/2")
    lost = []
    for _ in range(12000):
        # A sender that stretches its rate without steps: the offset moves the Es/N0 at which it works.
        per = predicted_per(scheme, scheme.per10_esn0_db - loop.offset_db - error_db)
        lost.append(rng.random() < per)
        loop.report(int(lost[-1]), 1)
    # Three standard deviations of so many draws.
    assert np.mean(lost[4000:]) == pytest.approx(target, abs=3 * np.sqrt(target / 8000))


def test_a_burst_counts_as_its_packets_one_by_one():
    whole, single = OuterLoop(), OuterLoop()
    whole.report(7, 64)
    for lost in [1] * 7 + [0] * 57:
        single.report(lost, 1)
    assert whole.offset_db == pytest.approx(single.offset_db)


def test_what_was_expected_moves_nothing():
    loop = OuterLoop(0.1)
    loop.report(6, 60)
    assert loop.offset_db == pytest.approx(0)
    loop.report(50, 64, expected=50.0)
    assert loop.offset_db == pytest.approx(0)
    loop.report(50, 64, expected=40.0)
    assert loop.offset_db < 0


def test_it_stays_within_its_limits():
    loop = OuterLoop(limit_db=2)
    for _ in range(100):
        loop.report(64, 64)
    assert loop.offset_db == -2


def test_wrong_parameters_and_reports_are_refused():
    for bad in ({"target": 0}, {"target": 1}, {"step_db": 0}, {"limit_db": -1}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            OuterLoop(**bad)
    with pytest.raises(ParameterError, match="65 packets lost of 64"):
        OuterLoop().report(65, 64)
