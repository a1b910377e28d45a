from dataclasses import asdict

import numpy as np
import pytest
import torch

from tokcom.errors import ParameterError
from tokcom.mcs import find_mcs
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom_lab import relevance_bench
from tokcom_lab.curves.source_plot import draw_examples, draw_relevance
from tokcom_lab.relevance_bench import Judge, RelevanceBench, relevance_points


class Brightness:
    """A judge that tells dark pictures from bright ones."""

    content = "brightness"

    def names(self, pictures):
        return (pictures.mean(axis=(1, 2, 3)) > 127).astype(int)


@pytest.fixture
def bench(tiny_model):
    name, rng = str(tiny_model), np.random.default_rng(0)
    tokenizer = load_tokenizer(name, 0, "cpu")
    size = tokenizer.image_size
    pictures = rng.integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    classifier = load_classifier(name, "cpu")
    labels = Brightness().names(pictures)
    return RelevanceBench(
        pictures, labels, tokenizer.encode(pictures), tokenizer, load_context(name, "cpu"), classifier, Brightness()
    )


def test_rules_send_as_many_tokens_and_figures_are_drawn(bench, tmp_path):
    rules = relevance_bench.TOKEN_RULES
    ways = ["decoder", "mean"]
    points = list(relevance_points(bench, [0.5], rules, ways, [30.0], find_mcs("qpsk-3/4"), find_mcs("bpsk-3/4")))
    assert [point.shown for point in points[2:4]] == ways and len(points) == 2 + 2 * len(rules) + 2 * 3
    assert [point.rule for point in points[:2]] == ["photographs", "all tokens"] and points[0].accuracy == 1
    for rule in rules:
        assert len(bench.thinning(rule, 0, 8).sent((4, 4))) == 8
    by = {(point.rule, point.esn0_db): point for point in points}
    assert by["spread", None].bits == 24 + 8 * 5 and by["random", None].bits == 24 + 16 + 8 * 5
    assert by["all tokens", 30.0].psnr_db == by["all tokens", None].psnr_db
    assert by["relevance", 30.0].psnr_db == by["relevance", None].psnr_db
    draw_relevance([asdict(point) for point in points], tmp_path / "relevance.svg")
    draw_examples(bench.examples(0.5, [0, 2]), tmp_path / "examples.png")
    assert (tmp_path / "relevance.svg").stat().st_size > 5000 and (tmp_path / "examples.png").stat().st_size > 5000
    with pytest.raises(ParameterError, match="rule is 'best'"):
        bench.thinning("best", 0, 8)


def test_a_judge_learns_its_classes(monkeypatch, tmp_path):
    """With mean colours as features, two classes that differ by them."""
    trunk = lambda pictures: pictures.mean((2, 3))  # noqa: E731
    monkeypatch.setattr(relevance_bench, "load_efficientnet_lite", lambda version: (trunk, None))
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pictures = (
        rng.integers(0, 120, (40, 8, 8, 3)).astype(np.uint8) + (labels * 120).astype(np.uint8)[:, None, None, None]
    )
    judge = Judge(pictures[:20], labels[:20], 2, tmp_path)
    assert (judge.names(pictures[20:]) == labels[20:]).all()
    assert len(list(tmp_path.glob("lite0-*.npy"))) == 1 and isinstance(judge._mean, torch.Tensor)
