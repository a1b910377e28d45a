import numpy as np
import pytest

from tokcom.errors import PictureError
from tokcom.metrics.overlays import LOSS, doubt_strip, enlarge, heat_map, heat_scale, loss_strip, outline_tokens

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 255, (32, 48, 3)).astype(np.uint8)


def test_an_enlarged_picture_has_the_same_pixels_more_often():
    large = enlarge(PICTURE, 150)
    assert large.shape == (96, 144, 3) and np.array_equal(large[1::3, 2::3], PICTURE)
    assert np.array_equal(enlarge(PICTURE, 10), PICTURE)


def test_lines_run_around_regions_and_inside_of_them():
    marked = np.zeros((4, 6), bool)
    marked[1, 1:3] = True
    outlined = outline_tokens(PICTURE, marked, 2)
    wanted = np.zeros((32, 48), bool)
    wanted[8:16, 8:24] = True
    wanted[10:14, 10:22] = False
    assert (outlined[wanted] == LOSS).all() and np.array_equal(outlined[~wanted], PICTURE[~wanted])


def test_the_edge_of_the_picture_closes_a_region():
    outlined = outline_tokens(PICTURE, np.ones((4, 6), bool), 1)
    edge = np.ones((32, 48), bool)
    edge[1:-1, 1:-1] = False
    assert (outlined[edge] == LOSS).all() and np.array_equal(outlined[~edge], PICTURE[~edge])
    assert np.array_equal(outline_tokens(PICTURE, np.zeros((4, 6), bool)), PICTURE)


def test_the_surest_tokens_are_grey_and_doubt_glows():
    flat = np.full((32, 32, 3), 100, np.uint8)
    confidence = np.array([[1.0, 0.99], [0.5, 0.0]])
    warm = heat_map(flat, confidence)
    means = [warm[8 * r, 8 * c] for r, c in ((0, 0), (0, 2), (2, 0), (2, 2))]
    assert len(set(means[0].tolist())) == 1 and all(len(set(mean.tolist())) > 1 for mean in means[1:])
    brightness = [int(mean.sum()) for mean in means[1:]]
    assert brightness == sorted(brightness) and brightness[-1] > 2 * brightness[0]
    assert np.array_equal(warm[31, 31], heat_scale(9)[0, -1])


def test_tokens_without_a_place_have_a_strip():
    """One cell per token, in rows where they are many."""
    lost = np.zeros(6, bool)
    lost[[0, 4]] = True
    shown = loss_strip(PICTURE, lost)
    assert shown.shape == (44, 48, 3) and np.array_equal(shown[:32], PICTURE)
    assert [(shown[40, 8 * place + 4] == LOSS).all() for place in range(6)] == lost.tolist()
    many = doubt_strip(PICTURE, np.linspace(0, 1, 25))
    assert many.shape == (32 + 3 * 10, 48, 3)
    assert np.array_equal(many[32, 0], heat_scale(9)[0, -1]) and not many[-1, -1].any()
    assert len(doubt_strip(PICTURE, np.ones(5000))) <= 32 + 5000 // 12 + 1


@pytest.mark.parametrize("shape", [(5, 6), (4, 7), (4,), (0, 0)])
def test_grids_that_do_not_fit_are_refused(shape):
    with pytest.raises(PictureError, match="evenly"):
        outline_tokens(PICTURE, np.zeros(shape, bool))
    with pytest.raises(PictureError, match="evenly"):
        heat_map(PICTURE, np.ones(shape))


def test_doubt_has_the_colours_of_inferno():
    matplotlib = pytest.importorskip("matplotlib")
    wanted = matplotlib.colormaps["inferno"](np.linspace(0.25, 1, 100))[:, :3] * 255
    assert np.abs(heat_scale(100)[0] - wanted).max() < 17
