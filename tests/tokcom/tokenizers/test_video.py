"""Frames of videos as tokens: what stays, what changes, where a scene begins; files and cameras."""

import json

import numpy as np
import pytest

from tokcom.errors import ModelError, ParameterError, PictureError
from tokcom.models.zoo import load_tokenizer, load_video_tokenizer
from tokcom.recording.video import VideoWriter
from tokcom.tokenizers.camera import open_camera
from tokcom.tokenizers.panning import SCENE
from tokcom.tokenizers.pictures import square
from tokcom.tokenizers.video_file import is_video, video_frames


@pytest.fixture
def pan():
    camera = open_camera("pan")
    return [camera.read() for _ in range(SCENE + 2)]


def test_the_camera_pans_and_cuts(pan):
    shown = np.stack([square(picture, 32).astype(float) for picture in pan])
    change = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3))
    assert pan[0].shape == (128, 128, 3) and change.argmax() == SCENE - 1
    assert change[: SCENE - 1].max() < change[SCENE - 1] / 2 and change.min() > 0


def test_the_same_frame_again_keeps_its_tokens(tiny_video_model, pan):
    tokenizer = load_video_tokenizer(str(tiny_video_model), visits=0)
    first = tokenizer.tokenize(pan[0], frame_id=4)
    assert first == load_tokenizer(str(tiny_video_model), 0).tokenize(pan[0], frame_id=4) and not first.follows
    # Random weights decode to noise, beside which every picture is a new scene: show what they decode to.
    shown = tokenizer.tokenizer.detokenize(first)
    again = tokenizer.tokenize(shown, first, frame_id=5, cmi=2)
    assert again.follows == 1 and again.frame_id == 5 and again.cmi == 2
    np.testing.assert_array_equal(again.tokens, first.tokens)


def test_a_new_scene_stands_alone(tiny_video_model, pan):
    tokenizer = load_video_tokenizer(str(tiny_video_model), visits=0)
    first = tokenizer.tokenize(pan[0])
    other = 255 - tokenizer.tokenizer.detokenize(first)
    frame = tokenizer.tokenize(other, first, frame_id=1)
    assert not frame.follows and frame == tokenizer.tokenizer.tokenize(other, frame_id=1)


def test_the_search_makes_a_frame_cheaper_or_better(tiny_video_model, pan):
    """Error and rate, weighed as the search weighs them, do not rise; both are computed here anew."""
    import torch

    plain, searching = (load_video_tokenizer(str(tiny_video_model), visits) for visits in (0, 8))
    first = plain.tokenize(pan[0])
    shown = plain.tokenizer.detokenize(first)
    noisy = np.clip(shown + np.random.default_rng(0).normal(0, 20, shown.shape), 0, 255).astype(np.uint8)
    frames = [tokenizer.tokenize(noisy, first, frame_id=1) for tokenizer in (plain, searching)]
    assert all(frame.follows == 1 for frame in frames)

    def cost(frame):
        error = ((plain.tokenizer.detokenize(frame).astype(float) - noisy) ** 2).mean()
        tokens, before = (torch.from_numpy(each.tokens.astype(np.int64))[None] for each in (frame, first))
        bits = 0.0
        for place in range(16):
            masked = torch.zeros(1, 16, dtype=torch.bool)
            masked[0, place] = True
            with torch.no_grad():
                logs = plain.following(before)(tokens, masked)
            bits -= float(logs[0, tokens[0, place]]) / np.log(2)
        return np.log(error) + plain.rate * bits / 16

    assert cost(frames[1]) < cost(frames[0])


def test_what_a_video_tokenizer_refuses(tiny_video_model, tiny_model):
    with pytest.raises(ParameterError, match="visits is -1"):
        load_video_tokenizer(str(tiny_video_model), -1)
    with pytest.raises(PictureError, match="a picture is a uint8 array"):
        load_video_tokenizer(str(tiny_video_model), 0).tokenize(np.zeros((4, 4)))


@pytest.mark.parametrize("search", [{}, {"search": {"by": "latents", "rate": 0.01, "visits": 1}}])
def test_frames_are_searched_for_by_pictures_only(search, tiny_video_model):
    path = tiny_video_model / "card.json"
    card = json.loads(path.read_text())
    del card["tokenizer"]["search"]
    card["tokenizer"] |= search
    path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match="has no search for tokens by pictures"):
        load_video_tokenizer(str(tiny_video_model))


def test_a_video_is_written_and_read(tmp_path, pan):
    pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    small = [square(picture, 33) for picture in pan[:5]]
    path = tmp_path / "deep" / "pan.mp4"
    with VideoWriter(path, fps=25, scale=2) as writer:
        for picture in small:
            writer.write(picture)
        with pytest.raises(PictureError, match="a frame of 32 x 32 in a video of 66 x 66"):
            writer.write(small[0][:16, :16])
    assert is_video(path) and writer.frames == 5
    found = list(video_frames(path))
    assert len(found) == 5 and found[0].shape == (66, 66, 3)
    for picture, frame in zip(small, found, strict=True):
        error = (picture.astype(float) - frame[::2, ::2]) ** 2
        assert error.mean() < 40  # 32 dB: colours are at half the resolution


@pytest.mark.parametrize("fps", [0.5, 12.5, 30000 / 1001])
def test_a_video_plays_at_its_rate(tmp_path, pan, fps):
    av = pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    with VideoWriter(tmp_path / "pan.mp4", fps, 1) as writer:
        for picture in pan[:4]:
            writer.write(square(picture, 32))
    with av.open(str(tmp_path / "pan.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert np.diff(times) == pytest.approx(1 / fps, rel=1e-3)


def test_what_is_not_a_video(tmp_path):
    pytest.importorskip("av", reason="the packages of requirements/video.txt are not installed")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(PictureError, match=r"text.mp4: the video cannot be read"):
        next(video_frames(tmp_path / "text.mp4"))
    with pytest.raises(PictureError, match="no such file"):
        next(video_frames(tmp_path / "none.mkv"))
    with pytest.raises(ParameterError, match="fps is 0"):
        VideoWriter(tmp_path / "x.mp4", fps=0)
    with VideoWriter(tmp_path / "empty.mp4"):
        pass
    assert not (tmp_path / "empty.mp4").exists()


def test_what_is_still_holds_what_is_shown():
    """Weights by hand: a pixel that rests, one that changes by half the limit, and one that moves."""
    import torch

    from tokcom.tokenizers.video import HOLD, STILL, steadied

    grey = np.array([100.0, 100.0, 100.0]) / 127.5 - 1
    earlier = grey - np.array([0, STILL / 2, 2 * STILL]) / 127.5
    shown = np.array([0.5, 0.5, 0.5])
    pictures = [torch.from_numpy(each).reshape(1, 1, 1, 3).repeat(1, 3, 1, 1) for each in (grey, earlier, shown)]
    weights = np.array([HOLD, HOLD / 2, 0])
    found, weighed = (each.numpy() for each in steadied(*pictures))
    np.testing.assert_allclose(found, np.broadcast_to((grey + weights * shown) / (1 + weights), (1, 3, 1, 3)))
    np.testing.assert_allclose(weighed.ravel(), 1 + weights)


def test_a_still_picture_keeps_its_tokens_if_the_one_before_is_known(tiny_video_model, monkeypatch):
    """With a tokenizer that keeps no token for its error's sake, and holds what is still as it is shown."""
    from tokcom.tokenizers import video

    for name, value in (("STAY", 0.0), ("SLACK", 1e-3), ("HOLD", 1e3)):
        monkeypatch.setattr(video, name, value)
    tokenizer = load_video_tokenizer(str(tiny_video_model), visits=0)
    rng = np.random.default_rng(0)
    before = tokenizer.tokenizer.tokenize(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8))
    shown = tokenizer.tokenizer.detokenize(before).astype(int)
    noisy = np.clip(shown + rng.normal(0, 25, shown.shape), 0, 255).astype(np.uint8)
    unknown, still, moving = (
        tokenizer.tokenize(noisy, before, frame_id=1, picture_before=earlier) for earlier in (None, noisy, 255 - noisy)
    )
    assert still.follows == 1 and np.array_equal(still.tokens, before.tokens)
    assert unknown == moving and not np.array_equal(moving.tokens, before.tokens)
