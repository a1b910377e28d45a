"""Measurements of videos: what they count, on clips whose answers are known."""

import numpy as np
import pytest

from tokcom.context.condition import NOTHING
from tokcom.models.zoo import load_tokenizer, load_video_tokenizer
from tokcom_lab.curves import video_curve as curves
from tokcom_lab.curves.video_codecs import best_within, coded
from tokcom_lab.curves.video_speed import speed


@pytest.fixture
def clip(tiny_video_model):
    """A still video, whose every frame follows the one before, and its tokenizer."""
    tokenizer = load_tokenizer(str(tiny_video_model), 0)
    first = tokenizer.tokenize(np.full((16, 16, 3), 90, np.uint8))
    picture = tokenizer.detokenize(first)

    def again(picture, before, number):
        tokens = first.tokens if before is None else before.tokens
        return type(first)(
            tokens, first.codebook, first.codebook_size, first.grid, frame_id=number, follows=int(number > 0)
        )

    return curves.tokenized("still", np.repeat(picture[None], 11, axis=0), again), tokenizer


def test_the_receiver_of_a_clip_knows_the_frame_before(clip):
    conditions = clip[0].conditions
    assert conditions[0] == NOTHING
    assert [each.before.frame_id for each in conditions[1:]] == list(range(10))
    assert all(each == NOTHING for each in curves.alone([clip[0]])[0].conditions)


def test_a_still_video_is_the_same_by_both_ways_where_nothing_is_lost(clip, tiny_video_model):
    """At 30 dB no packet fails: PER 0, and the PSNR of the tokens, which is infinite here."""
    for clips in ([clip[0]], curves.alone([clip[0]])):
        (point,) = curves.curve("still", clips, str(tiny_video_model), clip[1], [30.0], device="cpu")
        assert (point.per, point.ter, point.undetected, point.frames) == (0, 0, 0, 10)


def test_losses_of_a_still_video_are_repeated_exactly(clip, tiny_video_model):
    point = curves.losses(curves.REPEATED, [clip[0]], str(tiny_video_model), clip[1], 0.5, device="cpu")
    assert point.ter == 0 and point.lost == 0.5
    point = curves.losses(curves.FOLLOWING, [clip[0]], str(tiny_video_model), clip[1], 0.0, device="cpu")
    assert point.ter == 0


def test_damage_ends_with_the_first_whole_frame(clip, tiny_video_model):
    rng = np.random.default_rng(0)
    frames = [frame.with_tokens(rng.integers(0, 32, 16)) for frame in clip[0].frames]
    shown = np.stack([clip[1].detokenize(frame) for frame in frames]).astype(int)
    noisy = np.clip(shown + rng.integers(-9, 9, shown.shape), 0, 255).astype(np.uint8)
    shown = curves.Clip("noisy", noisy, tuple(frames))
    missing = curves.spread_of_damage(shown, str(tiny_video_model), clip[1], "cpu")
    assert len(missing) == 11 and missing[0] == 0 and missing[9:] == [0, 0]
    assert max(map(abs, missing[1:9])) > 0


def test_a_bit_may_weigh_more_in_the_search(tiny_video_model):
    usual = load_tokenizer(str(tiny_video_model), 1)
    dearer = curves.weighed(usual, 3.0)
    assert dearer.search.rate == pytest.approx(3 * usual.search.rate) and dearer.visits == usual.visits
    picture = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert curves.alone_way(dearer)(picture, None, 4).frame_id == 4
    assert curves.weighed(usual, 1) is usual


def test_the_slower_end_sets_the_speed(clip, tiny_video_model):
    moving = load_video_tokenizer(str(tiny_video_model), 0)
    found = speed(clip[0].pictures, str(tiny_video_model), moving, clip[1], 30.0, device="cpu")
    stages = found.core_ms
    assert list(stages) == ["tokenize", "transmit", "receive", "recover", "detokenize"] and min(stages.values()) >= 0
    ends = stages["tokenize"] + stages["transmit"], stages["receive"] + stages["recover"] + stages["detokenize"]
    assert found.frames_per_s == pytest.approx(1000 / max(ends))
    assert (found.frames, found.visits, found.ter) == (10, 0, 0)


def test_video_codecs_get_better_with_their_budget():
    pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    rows, columns = np.mgrid[0:64, 0:64]
    wave = [np.sin((columns + 3 * number) / 5) * 60 + np.cos(rows / 7) * 40 + 128 for number in range(6)]
    pictures = np.stack([np.repeat(each[..., None], 3, axis=-1) for each in wave]).astype(np.uint8)
    size, decoded = coded(pictures, "h264", 30)
    assert decoded.shape == pictures.shape and 0 < size < pictures.size / 10
    small, large = (best_within(pictures, "h264", budget) for budget in (1200, 5000))
    assert small[0] <= 1200 and large[0] <= 5000 and large[1] > small[1] + 3
