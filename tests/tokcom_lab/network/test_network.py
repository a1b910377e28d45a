"""The network benchmarks on a few frames: what their figures must be whatever the model."""

import numpy as np
import pytest

from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.repeat_risk import THRESHOLDS
from tokcom_lab.network.repeat_risk import Judged, arq_row, fit_repeat_risk
from tokcom_lab.network.tcp import LEAST_TIMER_S, tcp_delays


def judged(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        doubt = rng.uniform(0.2, 1, rng.integers(5, 20))
        found.append(Judged(len(doubt) / 64, doubt, rng.binomial(4, doubt), 256))
    return found


def test_requests_saved_lie_between_those_of_chance_and_of_who_knows():
    risk = fit_repeat_risk(judged(800))
    for alpha in (0.05, 0.1):
        row = arq_row(risk, judged(200, 1), alpha, "any", 0)
        assert row["random_saved"] < row["requests_saved"] < row["oracle_saved"]
        assert row["worst_risk"] <= alpha and row["splits_within"] == 20


def test_the_table_counts_frames_by_what_they_lack():
    risk = fit_repeat_risk([Judged(0.25, np.array([0.5]), np.array([2]), 256)] * 3)
    assert sum(risk.frames) == 3 and risk.frames[3] == 3
    at = np.array(THRESHOLDS)
    assert np.allclose(risk.mean[3], np.where(at >= 0.5, 2 / 256, 0), atol=1e-6)


def test_tcp_takes_one_way_without_loss_and_a_timer_with_it():
    clear = PathSettings(delay_s=0.025)
    assert tcp_delays(50, 0.04, 372, Path(clear), Path(clear)) == pytest.approx(0.025)
    lossy = PathSettings(0.1, delay_s=0.025)
    delays = tcp_delays(2000, 0.04, 372, Path(lossy, 1), Path(clear))
    assert delays.min() == pytest.approx(0.025) and np.isfinite(delays).all()
    # A segment that is lost is sent again after three later ones, 0.12 s, and their way, or the timer.
    assert 0.025 + 0.12 < np.percentile(delays, 95) < 0.025 + 3 * LEAST_TIMER_S
    assert np.all(np.diff(np.arange(2000) * 0.04 + delays) >= -1e-9)
