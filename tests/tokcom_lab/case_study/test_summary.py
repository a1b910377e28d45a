import math

import numpy as np
import pytest
from scipy import stats

from tokcom_lab.case_study.summary import cmi_effect, gain_at_per, reaches, summarise


def row(scheme, esn0_db, image, cmi=None, seed=0, **figures):
    return {"scheme": scheme, "cmi": cmi, "link": "k7", "esn0_db": esn0_db, "image": image, "seed": seed} | figures


def test_means_have_students_intervals_over_photographs():
    values = np.random.default_rng(0).normal(25, 2, 12)
    rows = [row("vqgan", 6.0, f"p{i}", psnr_db=value) for i, value in enumerate(values)]
    (found,) = summarise(rows, {})
    assert found["psnr_db"] == pytest.approx(values.mean()) and found["images"] == 12
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found["ci"]["psnr_db"], expected)


def test_seeds_of_a_photograph_are_one_observation():
    rows = [
        row("vqgan", 6.0, image, seed=s, per=p)
        for image, ps in (("a", (0, 0.2)), ("b", (0.3, 0.5)))
        for s, p in enumerate(ps)
    ]
    (found,) = summarise(rows, {})
    half = stats.t.ppf(0.975, 1) * np.std([0.1, 0.4], ddof=1) / math.sqrt(2)
    assert found["per"] == pytest.approx(0.25)
    np.testing.assert_allclose(found["ci"]["per"], [0.25 - half, 0.25 + half])


def test_tce_is_pixels_over_all_bits():
    rows = [row("vqgan+r", 6.0, str(i), tce=1.6 / t, transmissions=t, per=1 - 1 / t) for i, t in enumerate((1.0, 2.0))]
    (found,) = summarise(rows, {})
    assert found["tce"] == pytest.approx(1.6 / 1.5)
    assert found["ci"]["tce"][0] < found["tce"]
    assert found["tce_closed_form"] == pytest.approx(1.6 * 0.75)


def test_figures_that_do_not_exist_for_some_are_means_of_the_others():
    rows = [row("tokcom", 6.0, "a", True, exact_recovery=0.5), row("tokcom", 6.0, "b", True, exact_recovery=None)]
    (found,) = summarise(rows, {"lpips": "lpips is not installed", "cheng2020": "weights not installed"})
    assert found["exact_recovery"] == 0.5 and found["not_computed"] == {"lpips": "lpips is not installed"}


def study(curves, figure="psnr_db"):
    return summarise(
        [
            row(
                scheme,
                esn0,
                image,
                cmi,
                **{
                    figure: value,
                    "per": 0.5 - 0.1 * esn0,
                    "tce": 1.6 if "+" not in scheme else 0.8,
                    "transmissions": 1.0,
                },
            )
            for scheme, cmi, points in curves
            for esn0, value in points
            for image in "ab"
        ],
        {},
    )


def test_the_esn0_from_which_a_scheme_stays_good_is_interpolated():
    found = reaches(
        study([
            ("vqgan+r", None, [(1.0, 100.0), (3.0, 100.0)]),
            ("vqgan", None, [(1.0, 90.0), (3.0, 100.0)]),
            ("tokcom", True, [(1.0, 99.0), (2.0, 90.0), (3.0, 99.0)]),
            ("context", True, [(1.0, 99.0), (3.0, 98.5)]),
            ("webp", None, [(1.0, 50.0), (3.0, 97.0)]),
        ]),
        "psnr_db",
    )  # fmt: skip
    assert found["vqgan"] == pytest.approx(2.6) and found["tokcom"] == pytest.approx(2 + 8 / 9)
    assert found["context"] == -math.inf and found["webp"] is None
    assert "list" not in found


def test_the_gain_is_read_where_the_channel_loses_so_much():
    summary = study([("vqgan+r", None, [(1.0, 9.0), (4.0, 9.0)]), ("tokcom", True, [(1.0, 9.0), (4.0, 9.0)])])
    assert gain_at_per(summary, "tokcom", 0.2) == pytest.approx(1.0)
    assert gain_at_per(summary, "tokcom", 0.6) is None


def test_the_label_is_judged_on_the_same_photographs():
    rng = np.random.default_rng(1)
    base, gain = rng.normal(20, 5, 30), rng.normal(0.1, 0.05, 30)
    rows = [row("tokcom", 6.0, str(i), False, psnr_db=b) for i, b in enumerate(base)]
    rows += [row("tokcom", 6.0, str(i), True, psnr_db=b + g) for i, (b, g) in enumerate(zip(base, gain, strict=True))]
    (found,) = cmi_effect(rows, ["psnr_db"])
    expected = stats.ttest_rel(base + gain, base).confidence_interval(0.95)
    np.testing.assert_allclose(found["psnr_db"], [gain.mean(), *expected])
