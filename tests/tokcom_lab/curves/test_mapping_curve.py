"""The benchmark of labels, on a few of the sample photographs."""

import numpy as np
import pytest
from PIL import Image

from tokcom.errors import ParameterError
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom_lab.curves.mapping_curve import MappingBench, labels_of, mapping_curve
from tokcom_lab.curves.mapping_plot import draw_errors
from tokcom_lab.photographs import load_photographs


@pytest.fixture(scope="module")
def bench():
    photographs = load_photographs(None, 3, 64, load_classifier(DEFAULT_MODEL))
    return MappingBench(photographs, DEFAULT_MODEL, load_tokenizer(DEFAULT_MODEL))


def test_semantic_labels_halve_the_distance_without_code(bench):
    points = {point.labels: point for point in mapping_curve(bench, ["1024qam"], [22.0])}
    assert set(points) == {"natural", "random", "semantic"}
    ours = points.pop("semantic")
    for other in points.values():
        assert ours.embedding_distance < 0.5 * other.embedding_distance and ours.psnr_db > other.psnr_db + 2
        assert ours.euclidean_distance < 0.8 * other.euclidean_distance
        assert abs(ours.token_error_rate - other.token_error_rate) < 0.05 and other.per is None


def test_coded_packets_fail_alike_and_their_tokens_lie_nearer(bench):
    natural, semantic, contextual = mapping_curve(bench, ["coded keep"], [4.0])
    assert abs(natural.per - contextual.per) < 0.15
    assert abs(natural.per - semantic.per) < 0.15 and natural.per > 0.3
    assert semantic.embedding_distance < natural.embedding_distance
    clean = list(mapping_curve(bench, ["coded keep", "coded context"], [14.0]))
    assert all(point.per == point.token_error_rate == point.embedding_distance == 0 for point in clean)
    assert [(p.scheme, p.labels) for p in clean] == [
        (scheme, labels)
        for scheme in ("coded keep", "coded context")
        for labels in ("natural", "semantic", "contextual")
    ]


def test_schemes_that_are_none_are_named(bench):
    assert labels_of("1024psk map") == ("natural", "random", "semantic")
    for bad in ("coded", "coded guess", "64qam", "map"):
        with pytest.raises(ParameterError, match=f"scheme is '{bad}'; it must be one of 1024qam"):
            next(mapping_curve(bench, [bad], [10.0]))


def test_pictures_are_drawn(bench, tmp_path):
    draw_errors(bench, (20,), tmp_path / "errors.png", photographs=1)
    with Image.open(tmp_path / "errors.png") as picture:
        assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 20
