"""The network benchmarks with a tiny model: they run, and their rows are complete."""

import numpy as np
import pytest

from tokcom_lab.network.latency import latency_rows
from tokcom_lab.network.loss import SCHEMES, fountain_rows, token_rows
from tokcom_lab.network.material import Material
from tokcom_lab.network.numbered import numbered_row
from tokcom_lab.network.overload import overload_rows
from tokcom_lab.network.placement import ordered_row, unordered_row
from tokcom_lab.network.repeat_risk import fit_repeat_risk, judged_frames
from tokcom_lab.photographs import Photographs


@pytest.fixture
def material(tiny_model):
    from tokcom.models.zoo import load_tokenizer

    size = load_tokenizer(str(tiny_model), 0).image_size
    pictures = np.random.default_rng(0).integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    return Material.of(Photographs(pictures, (None,) * 6, tuple("abcdef"), "noise"), str(tiny_model), 0, "cpu")


def test_losses(material):
    rows = {row["scheme"]: row for row in token_rows(material, 0.2, 0)}
    assert set(rows) == {*SCHEMES, "full ARQ"}
    assert rows["mask"]["overhead"] == rows["keep"]["overhead"]
    assert all(row["undecodable"] <= 1 and np.isfinite(row["psnr_db"]) for row in rows.values())


def test_a_fountain_without_loss_decodes_everything(material):
    pytest.importorskip("raptorq")
    rows = fountain_rows(material, 0.0, (0.1, 3.0), 0)
    assert [row["undecodable"] for row in rows] == [0, 0] and rows[0]["overhead"] < rows[1]["overhead"]


def test_overload(material):
    rows = overload_rows(material, 1.5, 0)
    assert [row["drop"] for row in rows] == ["none", "surest", "surest by bits", "random", "tail", "tail, unsorted"]
    assert rows[0]["lost_db"] == 0


def test_order(material):
    row = unordered_row(material, 2, 0, 0)
    assert 0 <= row["misplaced"] <= 1 and row["frames"] == 6
    row = ordered_row(material, 2, 0.3, 0)
    assert 0 <= row["misplaced"] <= 1 and row["frames"] == 6
    assert ordered_row(material, 2, 0.0, 0)["misplaced"] == 0


def test_order_by_numbers(material):
    row = numbered_row(material, 2, 0.2, 1.0, 0.0, 0)
    assert 4 <= row["frames"] <= 5 and 0.3 < row["come"] < 1 and row["misplaced"] <= 1 - row["unplaced"]
    whole, thinned = (numbered_row(material, 2, 0.0, 1.0, lost_before, 0) for lost_before in (0.0, 0.3))
    for row in (whole, thinned):
        assert row["come"] == 1 and row["asked"] == row["unplaced"] == row["misplaced"] == 0
    # An index of one byte.
    assert whole["overhead_bytes"] + 1 <= thinned["overhead_bytes"]


def test_repeats_and_latency(material):
    judged = judged_frames(material, "calibration", 0)
    assert all(0 < each.lost_share < 1 and len(each.doubt) == len(each.wrong) for each in judged)
    rows = latency_rows(material, fit_repeat_risk(judged), 0)
    assert [row["scheme"] for row in rows] == ["tokens, no repeats", "tokens, context-aware", "full ARQ", "TCP"]
    assert all(24.9 < row["p50_ms"] <= row["p99_ms"] for row in rows)
