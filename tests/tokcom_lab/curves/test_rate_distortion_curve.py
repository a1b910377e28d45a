from xml.etree import ElementTree

import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.metrics.pictures import psnr_db
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.curves.rate_distortion_curve import draw_rate_distortion, rate_distortion_curve


@pytest.fixture
def measured(tiny_model):
    model = str(tiny_model)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    done = []

    def measure(rates, visits, **by):
        tokenizer, context = load_tokenizer(model), load_context(model)
        return list(rate_distortion_curve(pictures, tokenizer, context, rates, visits, 0, done.append, **by))

    return pictures, measure, done


def test_it_begins_with_the_encoder_and_shows_what_the_user_sees(measured, tiny_model):
    pictures, measure, done = measured
    points = measure([0.0, 0.2], [0, 2, 6])
    tokenizer = load_tokenizer(str(tiny_model))
    shown = tokenizer.decode(tokenizer.encode(pictures))
    alone = np.mean([psnr_db(a, b) for a, b in zip(pictures, shown, strict=True)])
    assert [(point.rate, point.visits) for point in points] == [(r, v) for r in (0.0, 0.2) for v in (0, 2, 6)]
    assert points[0].psnr_db == points[3].psnr_db == pytest.approx(alone)
    assert points[0].psnr_db < points[1].psnr_db <= points[2].psnr_db
    assert sum(done) == 2 * 6 * len(pictures)


def test_bits_are_those_of_the_model(measured, monkeypatch):
    """A model that expects all words alike needs the logarithm of their number."""
    monkeypatch.setattr(
        "tokcom.context.maskgit.MaskGit.log_probabilities",
        lambda self, tokens, wanted, conditions: np.full((int(wanted.sum()), 32), -np.log(32)),
    )
    assert measured[1]([0.1], [0])[0].bits == pytest.approx(5)


def test_by_latents_bits_fall_with_the_rate(measured):
    """One exchange of every token, at rates beside which the distance counts less and less."""
    points = measured[1]([0.0, 0.1, 10.0], [0, 1], by="latents")
    none, some, all_that_counts = (points[number].bits for number in (1, 3, 5))
    assert points[0].psnr_db == points[1].psnr_db, "without a rate, the nearest codes stay"
    assert none > some > all_that_counts
    with pytest.raises(ParameterError, match="by is 'guesses'"):
        measured[1]([0.1], [1], by="guesses")


@pytest.mark.parametrize("rates, visits", [([-0.1], [0]), ([float("nan")], [0]), ([0.1], [2, 1]), ([0.1], [-1])])
def test_what_cannot_be_measured_is_named(rates, visits, measured):
    with pytest.raises(ParameterError, match="must"):
        measured[1](rates, visits)


def test_the_curve_is_drawn(measured, tmp_path):
    draw_rate_distortion(measured[1]([0.0, 0.1], [0, 1]), tmp_path / "curve.svg")
    root = ElementTree.parse(tmp_path / "curve.svg").getroot()
    assert root.tag.endswith("svg") and len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10
