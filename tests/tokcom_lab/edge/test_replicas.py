"""Two replicas of a tiny model behind Ray on this machine, one of which is killed."""

import pytest

pytest.importorskip("ray", reason="the packages of requirements/replicas.txt are not installed")
pytest.importorskip("tritonclient", reason="the packages of requirements/inference.txt are not installed")

from tokcom.models.card import CONTEXT
from tokcom_lab.edge.replicas import replicas_row


def test_a_replica_that_is_killed_costs_no_answer(tiny_model):
    row = replicas_row(str(tiny_model), CONTEXT, 2, 2, 18, 60.0)
    assert (row["answered"], row["by_edge"], row["by_device"], row["wrong"]) == (18, 18, 0, 0)
    assert row["after_kill"] > 0
