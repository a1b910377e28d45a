"""Servers in processes of their own, small and few."""

import pytest

from tokcom.models.card import CONTEXT
from tokcom_lab.edge.load import killed_row, load_rows

pytest.importorskip("zmq")


def test_a_server_that_is_killed_costs_no_answer(tiny_model):
    row = killed_row(str(tiny_model), CONTEXT, 5.0, 20)
    assert (row["answered"], row["by_edge"], row["by_device"]) == (20, 10, 10)


def test_both_servers_answer_all_clients_rightly(tiny_model):
    rows = load_rows(str(tiny_model), [2], 12)
    assert [(row["clients"], row["answered"], row["wrong"]) for row in rows] == [(2, 12, 0)] * 2
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows)
