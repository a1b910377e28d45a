"""Where training pictures may lie: folders and archives, several of them, divided into splits or not."""

import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image, features

from tokcom.errors import DatasetError
from tokcom_lab.training import dataset
from tokcom_lab.training.dataset import Dataset, load_dataset


def save(path, seed, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(picture).save(path)


@pytest.fixture
def divided(tmp_path):
    for number, name in enumerate(("train/owl/a.png", "train/cat/b.png", "test/owl/c.png")):
        save(tmp_path / "divided" / name, number)
    return tmp_path / "divided"


@pytest.fixture
def undivided(tmp_path):
    for number, name in enumerate(("bee/a.png", "owl/b.png", "owl/c.png"), start=10):
        save(tmp_path / "undivided" / name, number)
    return tmp_path / "undivided"


def load(data, tmp_path, split="train"):
    return load_dataset(data, split, size=16, crops=1, cache=tmp_path / "cache")


def test_a_zip_holds_what_its_folder_does(divided, tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in divided.rglob("*.png"):
            archive.write(path, f"some/where/{path.relative_to(divided)}")
    folder, archive = load(divided, tmp_path), load(tmp_path / "data.zip", tmp_path)
    assert archive.classes == folder.classes == ("cat", "owl")
    assert np.array_equal(archive.pictures, folder.pictures)


def test_several_sources_are_one_data_set(divided, undivided, tmp_path):
    """Classes of one name are one class; what is not divided is all to train on."""
    both = load([divided, undivided], tmp_path)
    assert both.classes == ("bee", "cat", "owl")
    assert [both.classes[label] for label in both.labels] == ["cat", "owl", "bee", "owl", "owl"]
    test = load([divided, undivided], tmp_path, "test")
    assert test.classes == both.classes and len(test.labels) == 1
    alone = load(undivided, tmp_path)
    assert np.array_equal(both.pictures[2:], alone.pictures)


def test_an_undivided_source_alone_has_nothing_to_measure_on(undivided, tmp_path):
    with pytest.raises(DatasetError, match="undivided: no pictures under test/<class>/"):
        load(undivided, tmp_path, "test")


def test_more_pictures_than_are_read_ahead_keep_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "UNDER_WAY", 2)
    shades = range(0, 250, 50)
    for shade in shades:
        (tmp_path / "data/train/grey").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (shade,) * 3).save(tmp_path / f"data/train/grey/{shade:03}.png")
    found = load(tmp_path / "data", tmp_path)
    assert found.pictures.shape == (5, 1, 16, 16, 3)
    assert found.pictures[:, 0, 8, 8, 0].tolist() == list(shades)


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_photographs_come_in_the_usual_formats(ending, tmp_path):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    save(tmp_path / "data" / "train" / "owl" / f"a.{ending}", 0, (48, 64))
    found = load(tmp_path / "data", tmp_path)
    assert found.pictures.shape == (1, 1, 16, 16, 3) and not found.broken


def test_a_torn_zip_is_named(divided, tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in divided.rglob("*.png"):
            archive.write(path, path.relative_to(divided))
    whole = (tmp_path / "data.zip").read_bytes()
    (tmp_path / "data.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"data\.zip: neither a folder nor a whole tar or zip archive"):
        load(tmp_path / "data.zip", tmp_path)
    (tmp_path / "data.zip").write_bytes(whole.replace(b"IDAT", b"IDOT"))
    with pytest.raises(DatasetError, match=r"data\.zip: neither a folder nor a whole tar or zip archive"):
        load(tmp_path / "data.zip", tmp_path)


def test_tar_archives_still_divide(divided, tmp_path):
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(divided, "photos")
    assert load(tmp_path / "data.tar", tmp_path, "test").classes == ("cat", "owl")


def test_links_are_followed_and_do_not_lead_in_circles(divided, tmp_path):
    linked = tmp_path / "linked"
    (linked / "train").mkdir(parents=True)
    (linked / "train" / "owl").symlink_to(divided / "train" / "owl")
    (linked / "train" / "cat").mkdir()
    (linked / "train" / "cat" / "b.png").symlink_to(divided / "train" / "cat" / "b.png")
    (linked / "test").symlink_to(divided / "test")
    (linked / "train" / "cat" / "up").symlink_to(linked)
    (linked / "train" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for split in ("train", "test"):
        straight, found = load(divided, tmp_path, split), load(linked, tmp_path, split)
        assert found.classes == straight.classes and np.array_equal(found.pictures, straight.pictures)


def test_a_class_that_a_model_does_not_know_is_the_null_class():
    data = Dataset(np.zeros((4, 1, 2, 2, 3), np.uint8), np.array([2, 0, 1, 0]), ("cat", "owl", "yak"), ())
    numbered = data.numbered(("owl", "cat"))
    assert numbered.labels.tolist() == [2, 1, 0, 1] and numbered.classes == ("owl", "cat")
