"""Training of a prior of videos, and the pairs of frames that it learns from."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from tokcom.context.following_network import FollowingConfig
from tokcom.context.maskgit_network import MaskGitNetwork
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.training.dataset import load_dataset
from tokcom_lab.training.following import FollowingTask
from tokcom_lab.training.motion import moving_photographs, pairs_of, video_tokens, videos
from tokcom_lab.training.runs import TRAINERS, TrainingRequest, VideoSettings

WORDS, SIDE = 16, 6
CONFIG = FollowingConfig(WORDS, SIDE, SIDE, 2, 24, 1, 2, 3, 2, reach=3)


@pytest.fixture
def clips(tmp_path):
    """Two videos in each split, of 4 and 3 frames."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, count in (("car", 4), ("dog", 3)):
            folder = tmp_path / "clips" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(folder / f"{number:03}.png")
    return tmp_path / "clips"


def test_pairs_are_of_one_video_and_in_order(clips, tmp_path, tiny_model):
    data = load_dataset(clips, "train", size=16, crops=1, cache=tmp_path / "cache")
    assert [list(each) for each in videos(data)] == [[0, 1, 2, 3], [4, 5, 6]]
    tokens = video_tokens(data, load_tokenizer(str(tiny_model), 0, "cpu"), "none", cache=tmp_path / "cache")
    expected = load_tokenizer(str(tiny_model), 0, "cpu").encode(np.array(data.pictures[:, 0])).reshape(7, -1)
    np.testing.assert_array_equal(tokens, expected)
    numbers = pairs_of(data, np.arange(7)[:, None], (1, 2))[..., 0]
    assert sorted(map(tuple, numbers)) == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 6)]


def test_photographs_move_as_much_as_they_should():
    """A photograph whose red is the column and whose green is the row shows where each window was."""
    rows, columns = np.mgrid[0:128, 0:128]
    picture = np.stack([columns, rows, np.full_like(rows, 60)], axis=-1).astype(np.uint8)
    frames = np.stack(list(moving_photographs(np.repeat(picture[None], 60, axis=0), 32, seed=3))).astype(float)
    blue = frames[..., 2].mean((2, 3)) / 60
    place = frames[..., :2].mean((2, 3)) / blue[..., None]
    moved = np.hypot(*(place[:, 1] - place[:, 0]).T)
    assert 0.5 < np.median(moved) < 6 and moved.max() < 30
    again = next(moving_photographs(picture[None], 32, seed=3))
    np.testing.assert_array_equal(again, frames[0].astype(np.uint8))


def test_it_learns_that_a_video_moves():
    """Frames that move by one place: with the frame before, nearly nothing is left to tell."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, WORDS, (400, SIDE, SIDE + 1))
    pairs = np.stack([wide[:, :, :-1], wide[:, :, 1:]], axis=1).reshape(400, 2, SIDE * SIDE)
    torch.manual_seed(0)
    still = MaskGitNetwork(CONFIG).state_dict()
    task = FollowingTask(CONFIG, still, pairs[:360], np.zeros((0, 2, 1), int), pairs[360:], batch=24)
    before = task.measured()
    assert before["bits_at_15_alone"] > 3.5
    for step in range(160):
        task.share = step / 160
        task.set_rates(step)
        loss, _ = task.loss(task.rng(step))
        task.optimizer.zero_grad()
        loss.backward()
        task.optimizer.step()
    after = task.measured()
    assert after["bits_at_15_alone"] > 3.5  # alone, the words are random
    assert after["bits_at_15"] < 0.4 * before["bits_at_15"]


@pytest.mark.parametrize("again", [False, True])
def test_a_prior_of_videos_is_trained_and_exported(clips, tmp_path, tiny_video_model, monkeypatch, again):
    monkeypatch.chdir(tmp_path)
    former = model_card(str(tiny_video_model)).part("following")["sha256"]
    request = TrainingRequest(
        clips, tiny_video_model.parent, "tiny", tmp_path / "work", 2, 2, 0, again, "the command",
        visits=1, videos=VideoSettings((clips,), moving=5),
    )  # fmt: skip
    figures = TRAINERS["following"](request, Console(file=io.StringIO()))
    card = model_card(str(tiny_video_model))
    entry = card.part("following")
    assert entry["sha256"] != former and entry["tokenizer"] == card.part("tokenizer")["sha256"]
    assert entry["training"]["steps"] == 2 and ("continues" in entry["training"]) == again
    assert set(figures) == {f"bits_at_{percent}{how}" for percent in (15, 50) for how in ("", "_alone")}
    assert "before" in load_context(str(tiny_video_model)).takes
