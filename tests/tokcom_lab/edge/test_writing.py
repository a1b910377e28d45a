import numpy as np
import pytest

from tokcom_lab.edge.writing import Writing, tiny_models, writing_rows

pytest.importorskip("zmq")


def test_rows_tell_identity_acceptance_and_what_is_sent():
    large, small = tiny_models()
    ways = [Writing("identical", 0.0, 2), Writing("identical", 1.0, 4), Writing("law", 1.0, 4)]
    rows = writing_rows(large, small, list(np.random.default_rng(0).integers(1, 64, (6, 4))), 8, ways)
    assert [row["identical"] for row in rows[:2]] == [6, 6]
    for way, row in zip(ways, rows, strict=True):
        assert row["upload_bits"] == 64
        assert 0 < row["accepted"] < 1
        assert 1 < row["words_per_round"] <= way.drafts + 1
