import numpy as np
import pytest

from tokcom.context.acceptance import Acceptance
from tokcom.models.card import CONTEXT
from tokcom.offload.escalation import EscalationPolicy
from tokcom_lab.edge import decisions
from tokcom_lab.edge.decisions import Decoded, decision_rows, decoded


def row(esn0_db, wrong, doubt):
    return Decoded(esn0_db, 0, 100, wrong, doubt, 1, 0.1, (), ())


def test_rows_compare_the_policy_with_asking_always_and_never():
    here = [row(2.0, 10, 8.0), row(2.0, 2, 1.0), row(3.0, 0, 0.0), row(3.0, 4, 6.0)]
    edge = [row(2.0, 4, 0), row(2.0, 1, 0), row(3.0, 0, 0), row(3.0, 4, 0)]
    found = decision_rows(here, edge, EscalationPolicy((0.0, 10.0), (0.0, 10.0), 5.0))
    assert [each["esn0_db"] for each in found] == [2.0, 3.0, "all"]
    assert [each["stay"] for each in found] == [0.5, 0.5, 0.5]
    assert [each["ter_always"] for each in found] == pytest.approx([5 / 200, 4 / 200, 9 / 400])
    assert [each["ter"] for each in found] == pytest.approx([6 / 200, 4 / 200, 10 / 400])
    assert [each["ter_never"] for each in found] == pytest.approx([12 / 200, 4 / 200, 16 / 400])
    assert found[2]["excess"] == pytest.approx(1 / 9)


def test_without_wrong_tokens_there_is_no_excess():
    (_, total) = decision_rows([row(2.0, 0, 0.0)], [row(2.0, 0, 0.0)], EscalationPolicy((0.0,), (0.0,), 1.0))
    assert total["excess"] is None


def test_frames_are_decoded_once_and_then_taken_from_the_cache(tiny_model, tmp_path, monkeypatch):
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves.context_curve import Bench
    from tokcom_lab.photographs import Photographs

    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    model = str(tiny_model)
    monkeypatch.chdir(tmp_path)
    bench = Bench(Photographs(pictures, (0, 1), ("a", "b"), "none"), model, load_tokenizer(model, 0), visits=0)
    first = decoded(bench, CONTEXT, [0.0, 30.0], Acceptance(), cache=tmp_path)
    monkeypatch.setattr(decisions, "_decoded", None)  # it is not called again
    assert decoded(bench, CONTEXT, [0.0, 30.0], Acceptance(), cache=tmp_path) == first
    assert [each.wrong for each in first[2:]] == [0, 0]
    assert [each.doubt for each in first[2:]] == [0.0, 0.0]
    assert all(len(each.log_odds) == len(each.right) for each in first)
