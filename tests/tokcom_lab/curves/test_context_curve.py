"""The benchmark of context decoding, on a few of the sample photographs."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tokcom.context.acceptance import Acceptance
from tokcom.context.prior import Prior
from tokcom.errors import DatasetError, TokcomError
from tokcom.frame import LOST
from tokcom.link.modes import MODES
from tokcom.models.codebooks import codebook
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom_lab.curves.calibration import Outcomes, outcomes, reliability, threshold_curve, wilson
from tokcom_lab.curves.context_curve import Bench, ContextPoint, context_curve, esn0_at_per, model_figures
from tokcom_lab.curves.context_plot import COLOURS, draw_context_curve, draw_received, draw_reliability
from tokcom_lab.photographs import load_photographs


@pytest.fixture(scope="module")
def bench():
    photographs = load_photographs(None, 3, 64, load_classifier(DEFAULT_MODEL))
    return Bench(photographs, DEFAULT_MODEL, load_tokenizer(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def curve(bench):
    return list(context_curve(bench, (4.0, 12.0), MODES, (True,)))


def test_modes_differ_where_packets_fail_and_not_where_none_does(curve):
    assert [(point.esn0_db, point.mode) for point in curve] == [
        (value, mode) for value in (4.0, 12.0) for mode in MODES
    ]
    noisy, clean = ({point.mode: point for point in curve if point.esn0_db == value} for value in (4.0, 12.0))
    assert noisy["keep"].per == noisy["mask"].per > 0.5 > noisy["list"].per > noisy["context"].per
    assert noisy["context"].ter < noisy["list"].ter < noisy["keep"].ter and noisy["context"].ter < noisy["mask"].ter
    assert all(point.per == point.ter == point.undetected == 0 for point in clean.values())
    assert noisy["context"].passes > 0 == clean["context"].passes and all(point.ms_per_frame > 0 for point in curve)


def test_what_the_model_doubts_is_shown_with_less_error(curve):
    noisy, clean = ({point.mode: point for point in curve if point.esn0_db == value} for value in (4.0, 12.0))
    assert noisy["mask"].psnr_db > noisy["mask"].psnr_tokens_db + 0.3
    assert all(noisy[mode].psnr_db == noisy[mode].psnr_tokens_db for mode in ("keep", "list"))
    assert noisy["mask"].psnr_db < noisy["context"].psnr_db <= clean["context"].psnr_db
    assert len({point.psnr_db for point in clean.values()} | {point.psnr_tokens_db for point in clean.values()}) == 1


def test_the_same_noise_for_all_and_another_for_others(bench):
    def llrs(number, esn0_db, cmi=True):
        return bench.received(number, esn0_db, cmi).received.transmissions[0].llrs

    first, again, other = (llrs(0, value) for value in (4.0, 4.0, 5.0))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, llrs(1, 4.0))
    assert np.array_equal(first, llrs(0, 4.0, False)) and bench.received(0, 4.0, False).outline.cmi is None


def test_bursts_through_echoes_are_found_and_decoded(bench):
    air = Bench(bench.photographs, DEFAULT_MODEL, bench.tokenizer, channel="epa")
    got = air.received(0, 25.0, True)
    recovered = load_recovery(DEFAULT_MODEL).recover(got.frame, got.received)
    assert recovered.packets_ok.all() and not air.errors(0, got, recovered).any()
    assert air.received(0, -15.0, True) is None


def test_the_model_is_measured_alone(bench):
    figures = model_figures(bench, load_context(DEFAULT_MODEL), load_classifier(DEFAULT_MODEL))
    errors = [
        picture - bench.tokenizer.detokenize(frame).astype(float)
        for picture, frame in zip(bench.photographs.pictures, bench.frames, strict=True)
    ]
    psnr = [10 * np.log10(255**2 / np.mean(error**2)) for error in errors]
    assert figures["psnr_db"] == pytest.approx(np.mean(psnr), abs=1e-3)
    assert figures["top1"] == 1, "these labels are the classifier's own"
    # A model worth its name needs fewer bits than one that knows nothing, and finds more tokens.
    assert figures["bits_cmi"] < 0.8 * np.log2(1024) and figures["exact_recovery"] > 20 / 1024


class Told(Prior):
    """Gives every word of a frame that it knows a share of the probability, and all others the rest alike; of a frame
    without label it knows nothing."""

    codebook = codebook(DEFAULT_MODEL).name
    codebook_size, grid, num_classes = 1024, (16, 16), 101

    def __init__(self, frames, share):
        self._frames, self._share = frames, share

    def log_probabilities(self, tokens, wanted, conditions):
        return np.concatenate(
            [self.of_frame(line, condition.label) for line, condition in zip(tokens, conditions, strict=True)]
        )

    def of_frame(self, tokens, cmi):
        lost = tokens == LOST
        found = np.full((int(lost.sum()), 1024), np.log(1 / 1024), np.float32)
        if cmi is not None:
            (frame,) = (each for each in self._frames if (each.tokens == tokens)[~lost].all())
            found[:] = np.log((1 - self._share) / 1023)
            found[np.arange(len(found)), frame.tokens[lost]] = np.log(self._share)
        return found


def test_a_models_bits_and_recoveries_are_those_of_its_probabilities(bench):
    figures = model_figures(bench, Told(bench.frames, 0.25), load_classifier(DEFAULT_MODEL))
    assert figures["bits_cmi"] == pytest.approx(2, abs=1e-5) and figures["bits_no_cmi"] == pytest.approx(10, abs=1e-5)
    assert figures["exact_recovery"] == 1


def test_the_threshold_is_read_between_points():
    rates = {2: 0.9, 3: 0.2, 4: 0.05, 5: 0.0}
    points = [ContextPoint(x, "keep", True, per, 0, 0, 0, 0, 0, 0, 1) for x, per in rates.items()]
    assert esn0_at_per(points) == pytest.approx(3.5)
    assert esn0_at_per(points[:2]) is None and esn0_at_per(points[2:]) is None


def test_figures_are_drawn(bench, curve, tmp_path):
    draw_context_curve(curve, tmp_path / "curve.svg")
    drawn = (tmp_path / "curve.svg").read_text()
    assert all(COLOURS[point.mode] in drawn for point in curve if point.per), "a line for every mode that lost packets"
    draw_received(bench, (4,), tmp_path / "received.png", photographs=1)
    with Image.open(tmp_path / "received.png") as picture:
        assert picture.width > 900
    found = outcomes(bench, load_recovery(DEFAULT_MODEL), (3.0,))
    assert len(found.log_odds) > 60
    rows = reliability(found, Acceptance())
    assert sum(row["packets"] for row in rows) == len(found.log_odds)
    draw_reliability(rows, rows, tmp_path / "reliability.svg")
    with pytest.raises(TokcomError, match="cannot be saved"):
        draw_reliability(rows, rows, tmp_path / "nowhere" / "x.svg")


def test_reliability_counts_what_came_true():
    odds = np.concatenate([np.full(1000, np.log(0.95 / 0.05)), np.full(10, -5.0)])
    right = np.arange(1010) < 940
    low, high = reliability(Outcomes(odds, right), Acceptance())
    assert low["packets"] == 10 and low["right"] == 0 and high["right"] == 0.94
    assert high["posterior"] == pytest.approx(0.95) and high["low"] < 0.94 < high["high"]


def test_thresholds_weigh_lost_packets_against_wrong_ones(bench, curve):
    recovery = load_recovery(DEFAULT_MODEL, "list")
    points = threshold_curve(bench, recovery, Acceptance(), (4.0, 12.0), (0.5, 0.9985, 1.0))
    loose, usual, strict, *clean = points
    assert loose.per < usual.per < strict.per and loose.promised > usual.promised > strict.promised == 0
    assert loose.undetected >= usual.undetected >= strict.undetected
    (own,) = (point for point in curve if (point.esn0_db, point.mode) == (4.0, "list"))
    assert (usual.per, usual.undetected) == pytest.approx((own.per, own.undetected))
    assert all(point.per == point.undetected == point.promised == 0 for point in clean)


def test_wilsons_interval_is_the_textbooks():
    """Newcombe (1998), table I: 81 of 263: 0.2553 to 0.3662; 0 of 20: 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_photographs_come_from_folders_of_classes_and_from_splits(tmp_path):
    classifier, rng = load_classifier(DEFAULT_MODEL), np.random.default_rng(0)
    for folder in ("plain/panda", "plain/unheard", "both/train/panda", "both/test/panda"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / folder / f"{i}.png")
    (tmp_path / "plain/panda/broken.jpg").write_text("oops")
    for hidden in ("plain/.ipynb_checkpoints", "plain/@eaDir"):
        shutil.copytree(tmp_path / "plain/unheard", tmp_path / hidden)
    plain = load_photographs(tmp_path / "plain", 9, 64, classifier)
    assert plain.pictures.shape == (6, 64, 64, 3) and set(plain.labels) == {classifier.classes.index("panda"), None}
    again = load_photographs(tmp_path / "plain", 9, 64, classifier)
    assert plain.names == again.names and np.array_equal(plain.pictures, again.pictures)
    assert len(load_photographs(tmp_path / "plain", 2, 64, classifier).labels) == 2
    both = load_photographs(tmp_path / "both", 9, 64, classifier, split="train")
    assert len(both.labels) == 3 and both.source == "both, train split"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no photographs"):
        load_photographs(tmp_path / "empty", 1, 64, classifier)
