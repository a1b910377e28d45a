"""Every kind of condition meets the same losses; figures of an interrupted run are kept."""

import numpy as np
import pytest
import torch

from tokcom.context.description import WIDTH, of_point
from tokcom.context.sentence_map import SentenceMap, SentenceMapConfig
from tokcom.models.card import CONDITIONS, CONTEXT
from tokcom.models.installed import model_card
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.conditions_bench import (
    AIR_KINDS,
    ENERGY,
    EXACT,
    LABEL,
    NAMED,
    NOTHING_TOLD,
    SENTENCE,
    SOUND,
    WRONG,
    ConditionsBench,
    Points,
    air_table,
    losses_table,
    summary,
)
from tokcom_lab.training.export import Run, export_part


class Always:
    """A judge that calls everything class 0."""

    content = "always"

    def names(self, pictures):
        return np.zeros(len(pictures), int)


@pytest.fixture
def bench(tiny_model, tmp_path):
    torch.manual_seed(3)
    name, rng = str(tiny_model), np.random.default_rng(0)
    bound = {CONTEXT: model_card(name).part(CONTEXT)["sha256"]}
    mapping = SentenceMap(SentenceMapConfig(16, 4))
    export_part(
        tiny_model, CONDITIONS, "sentence-map", mapping, {}, Run("none", "none", 0, 0, 0.0), ("cat", "dog", "owl"),
        more=bound,
    )  # fmt: skip
    tokenizer = load_tokenizer(name, 0, "cpu")
    pictures = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    points = Points(*(rng.normal(size=(2, WIDTH)).astype(np.float32) for _ in range(4)), n_bytes=3)
    return ConditionsBench(
        pictures, np.array([0, 2]), tokenizer.encode(pictures), points, name, tokenizer, load_context(name, "cpu"),
        load_recovery(name, "context", "cpu"), Always(), kept=tmp_path,
    )  # fmt: skip


def test_all_kinds_are_told_what_they_say(bench):
    assert bench.kinds == (NOTHING_TOLD, LABEL, NAMED, SENTENCE, EXACT, SOUND, WRONG)
    assert bench.condition(1, LABEL).label == 2 and bench.condition(1, NOTHING_TOLD).kinds == set()
    assert bench.described(1, SENTENCE).description == of_point(bench.points.sentence[1], 3)
    assert np.array_equal(bench.condition(0, EXACT).embedding, bench.points.sentence[0])
    assert bench.described(1, WRONG).description != bench.described(1, SENTENCE).description
    # A label is in the base; two more bytes than the code, in an extension of symbols of 80 samples.
    assert bench.airtime(LABEL) == bench.airtime(NOTHING_TOLD) == bench.airtime(ENERGY)
    assert bench.airtime(SENTENCE) - bench.airtime(NOTHING_TOLD) == 4 * 80
    ratio = bench.airtime(SENTENCE) / bench.airtime(NOTHING_TOLD)
    assert bench.energy_db() == pytest.approx(10 * np.log10(ratio))


def test_tables_hold_every_kind_and_a_second_run_reads_them(bench, monkeypatch):
    done = []
    rows = losses_table(bench, [0.5, 1.0], [0.5], done.append)
    assert len(rows) == 14 and sum(done) == 28
    by = {(row["lost"], row["told"]): row for row in rows}
    assert by[0.5, NOTHING_TOLD]["bits_gain"] == [0, 0, 0] and "psnr_db" not in by[1.0, LABEL]
    assert by[0.5, LABEL]["named"] == 0.5 and "psnr_db" not in by[0.5, EXACT]
    assert len({row["bits"] for row in rows}) > 8
    air = air_table(bench, [3.0], 1)
    assert [row["told"] for row in air] == list(AIR_KINDS) and all(0 <= row["per"] <= 1 for row in air)
    monkeypatch.setattr(bench.prior, "log_probabilities", None)
    monkeypatch.setattr(bench, "_recovery", None)
    assert losses_table(bench, [0.5, 1.0], [0.5]) == rows and air_table(bench, [3.0], 1) == air


def test_differences_are_between_pairs():
    own, nothing = [{"bits": 2.0}, {"bits": 5.0}, {"bits": 5.0}], [{"bits": 3.0}, {"bits": 7.0}, {"bits": 8.0}]
    found = summary(own, nothing)
    # Differences -1, -2, -3: mean -2, deviation 1.
    half = 1.96 / np.sqrt(3)
    assert found["frames"] == 3 and found["bits"] == 4.0
    assert found["bits_gain"] == pytest.approx([-2, -2 - half, -2 + half], abs=1e-4)
