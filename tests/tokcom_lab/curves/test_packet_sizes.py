import numpy as np
import pytest

from tokcom.mcs import find_mcs
from tokcom_lab.curves import packet_sizes
from tokcom_lab.curves.packet_sizes import losses_where_predicted, measure_thresholds


@pytest.fixture
def one_scheme(monkeypatch):
    monkeypatch.setattr(packet_sizes, "mcs_table", lambda: (find_mcs("qpsk-1/2"),))


def test_thresholds_are_found_again(one_scheme):
    done = []
    rows = measure_thresholds(1500, 7, (40,), done.append, kept=None)
    assert [(row["mcs"], row["payload_bits"]) for row in rows] == [("qpsk-1/2", 40)] and done == [1]
    scheme = find_mcs("qpsk-1/2")
    assert rows[0]["per10_esn0_db"] == pytest.approx(scheme.per10_esn0_db, abs=0.08)
    assert rows[0]["per1_esn0_db"] == pytest.approx(scheme.per1_esn0_db, abs=0.12)


def test_thresholds_are_found_from_afar(one_scheme, monkeypatch):
    """The table is two decibels off."""
    where = packet_sizes._where
    monkeypatch.setattr(packet_sizes, "_where", lambda *asked: where(*asked) + 2)
    rows = measure_thresholds(1500, 7, (40,), kept=None)
    assert rows[0]["per10_esn0_db"] == pytest.approx(find_mcs("qpsk-1/2").per10_esn0_db, abs=0.08)


def test_losses_are_measured_where_they_are_predicted(one_scheme):
    rows = losses_where_predicted(0.1, 3000, 1, (20, 56))
    assert [row["payload_bits"] for row in rows] == [20, 56] and all(row["predicted"] == 0.1 for row in rows)
    assert np.array([row["per"] for row in rows]) == pytest.approx(0.1, abs=0.03)
    assert rows[0]["esn0_db"] == pytest.approx(find_mcs("qpsk-1/2").thresholds_db(20)[0], abs=1e-3)


def test_thresholds_of_lists_are_found_again_and_kept(one_scheme, tmp_path, monkeypatch):
    found = measure_thresholds(600, 7, (64,), listed=True, kept=tmp_path)
    held = find_mcs("qpsk-1/2").thresholds_db(64, listed=True)
    assert [found[0]["per10_esn0_db"], found[0]["per1_esn0_db"]] == pytest.approx(held, abs=0.12)
    monkeypatch.setattr(packet_sizes, "_threshold", None)  # it is not called again
    assert measure_thresholds(600, 7, (64,), listed=True, kept=tmp_path) == found
    row = losses_where_predicted(0.1, 1500, 1, (90,), listed=True)
    assert row[0]["per"] == pytest.approx(0.1, abs=0.04)
