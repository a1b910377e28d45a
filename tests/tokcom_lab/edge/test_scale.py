import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom_lab.edge.scale import Network, cache_rows, collision_rows, question_row, update_row

SMALL = Network(cells=50, devices=5000, codebooks=40)


def test_a_cache_of_everything_misses_each_codebook_of_a_cell_once():
    rows = cache_rows(SMALL, [4, 20, 40])
    hits = [row["hit"] for row in rows]
    assert hits == sorted(hits)
    assert hits[2] > 0.9
    assert [row["cell_gigabytes"] for row in rows] == pytest.approx([4 * 0.017, 20 * 0.017, 40 * 0.017])
    for row in rows:
        assert row["cell_mbit_per_s"] == pytest.approx(row["pulls_per_cell_hour"] * 17e6 * 8 / 3600e6)


def test_devices_that_stay_and_always_transmit_hit_always():
    still = Network(cells=10, devices=200, codebooks=5, move=1e-12, active=1.0)
    (row,) = cache_rows(still, [5])
    assert row["hit"] == 1.0


def test_collisions_are_those_of_birthdays():
    (year,) = collision_rows([23], np.log2(365))
    assert year["any_two"] == pytest.approx(0.5, abs=0.01)
    (few,) = collision_rows([1000])
    assert few["any_two"] == pytest.approx(1000 * 999 / 2 / 2**32, rel=1e-3)
    assert few["a_new_one"] == pytest.approx(1000 / 2**32)


def test_updates_and_questions_add_up():
    network = Network(cells=100, devices=10_000, codebooks=2, active=0.5, frames_per_hour=36)
    row = update_row(network, 1_000_000, 100.0, 8.0)
    assert (row["users"], row["origin_gigabytes"]) == (6667, pytest.approx(1.7))
    assert row["cell_s"] == pytest.approx(1.36)
    assert row["devices_s"] == pytest.approx(66.67, abs=0.01)
    row = question_row(network, 0.75, 8.0, 20.0, 1000, 9000)
    assert row["frames_per_cell_s"] == pytest.approx(0.5)
    assert row["questions_per_cell_s"] == pytest.approx(1.0)
    assert (row["cells_per_server"], row["servers"]) == (pytest.approx(20.0), 5)
    assert row["cell_mbit_per_s"] == pytest.approx(0.08)
    assert question_row(network, 1.0, 8.0, 20.0, 1, 1)["servers"] == 0


def test_settings_are_checked():
    with pytest.raises(ParameterError, match="cells is 0"):
        Network(cells=0)
