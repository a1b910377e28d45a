import numpy as np
import pytest

from tokcom.errors import ParameterError, TokcomError
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom_lab.multiple_access.picture import draw_scenes
from tokcom_lab.multiple_access.receivers import NAMES, require_receiver
from tokcom_lab.multiple_access.report import CASES, TodmaBench
from tokcom_lab.photographs import Photographs


def bench_of(model, kept, seed=0, pictures_seed=0):
    rng = np.random.default_rng(pictures_seed)
    pictures = rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    photographs = Photographs(pictures, (0, 0, 1, 1, 2, 2), tuple("abcdef"), "noise")
    return TodmaBench(photographs, model, load_tokenizer(model, device="cpu"), seed, "cpu", kept)


@pytest.fixture
def bench(tiny_model, tmp_path):
    load_classifier(str(tiny_model))
    return bench_of(str(tiny_model), tmp_path)


@pytest.mark.parametrize("receiver", [*NAMES, "tdma viterbi qpsk-1/2", "tdma context qpsk-1/2"])
def test_every_receiver_is_right_where_there_is_hardly_noise(bench, receiver):
    point = bench.point("usual", 2, 8, 35.0, receiver, 2)
    # Greedy ones err without noise, too: among correlations, and between 16-QAM of equal power.
    assert point.ter <= {"omp": 0.6, "omp fill": 0.6, "sic": 1}.get(receiver, 0.05)
    assert point.scenes == 2 and point.headers_lost == 0
    assert point.airtime_ms > 1 and np.isfinite(point.psnr_db)


def test_three_and_four_transmitters_are_separated(bench):
    bench.frames = [f.with_tokens((f.tokens + 5 * i) % 32) for i, f in enumerate(bench.frames)]
    for users in (3, 4):
        chosen = bench.scene("same-class", 2, 16, 30.0, 0)
        assert len({frame.cmi for frame in chosen.frames}) == 1
        if users == 3:
            assert bench.point("usual", users, 16, 30.0, "todma", 1).ter <= 0.05
        else:
            with pytest.raises(TokcomError, match="no 4 of 6 photographs"):
                bench.scene("usual", users, 16, 30.0, 0)


def test_what_was_measured_is_kept_and_taken_up_again(bench, tiny_model, tmp_path):
    first = bench.point("usual", 2, 8, 10.0, "todma", 2)
    again = bench_of(str(tiny_model), tmp_path)
    again.receivers = None
    assert again.point("usual", 2, 8, 10.0, "todma", 2) == first
    others = [bench_of(str(tiny_model), tmp_path, **other) for other in ({"seed": 1}, {"pictures_seed": 1})]
    for asked, name in ((again, "fading"), *((other, "usual") for other in others)):
        asked.receivers = None
        with pytest.raises(AttributeError, match="receive"):
            asked.point(name, 2, 8, 10.0, "todma", 2)


def test_scenes_share_frames_and_channels_over_receivers_and_esn0(bench):
    one, other = bench.scene("fading", 2, 8, 3.0, 1), bench.scene("fading", 2, 8, 9.0, 1)
    assert np.array_equal(one.tokens, other.tokens)
    np.testing.assert_allclose(one.carrier_esn0_db + 6, other.carrier_esn0_db)


def test_power_is_controlled_or_not(bench):
    mean = [10 ** (bench.scene(case, 2, 8, 3.0, 1).carrier_esn0_db / 10) for case in ("usual", "fading", "near-far")]
    usual, fading, near_far = (each.mean(axis=1) for each in mean)
    np.testing.assert_allclose(10 * np.log10(usual), 3)
    assert np.abs(10 * np.log10(fading) - 3).max() > 0.1
    np.testing.assert_allclose(10 * np.log10(near_far), [13, 3])
    assert CASES["alike"].alike


def test_the_figure_is_drawn(bench, tmp_path):
    draw_scenes(bench, 8, 20.0, tmp_path / "scenes.png")
    assert (tmp_path / "scenes.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["best", "tdma guess qpsk-1/2", "tdma viterbi 8psk"])
def test_unknown_receivers_are_named(name):
    with pytest.raises(ParameterError):
        require_receiver(name)
