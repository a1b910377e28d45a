import io
import struct
import warnings
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from tokcom.errors import PictureError
from tokcom.tokenizers.pictures import find_pictures, is_hidden, load_picture, sample_pictures, square

RED, WHITE = [255, 0, 0], [255, 255, 255]


def saved(image, path, **options):
    image.save(path, **options)
    return path


def test_grey_palette_and_alpha_become_rgb(tmp_path):
    grey = load_picture(saved(Image.new("L", (5, 3), 77), tmp_path / "grey.png"))
    assert grey.shape == (3, 5, 3) and (grey == 77).all()
    palette = load_picture(saved(Image.new("RGB", (4, 4), tuple(RED)).convert("P"), tmp_path / "palette.gif"))
    assert palette[0, 0].tolist() == RED
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    clear.putpixel((1, 0), (0, 0, 0, 0))
    alpha = load_picture(saved(clear, tmp_path / "alpha.png"))
    assert alpha[0].tolist() == [RED, WHITE]
    grey_alpha = load_picture(saved(Image.new("LA", (1, 1), (0, 0)), tmp_path / "la.png"))
    assert grey_alpha[0, 0].tolist() == WHITE
    key = load_picture(saved(Image.new("P", (1, 1), 0), tmp_path / "key.png", transparency=0))
    assert key[0, 0].tolist() == WHITE


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    picture = load_picture(saved(Image.fromarray(values), tmp_path / "deep.png"))
    assert picture[0, :, 0].tolist() == [0, 128, 255]


def test_a_dark_sixteen_bit_picture_stays_dark(tmp_path):
    picture = load_picture(saved(Image.fromarray(np.full((2, 2), 200, np.uint16)), tmp_path / "dark.png"))
    assert (picture == 1).all()


def test_cmyk_and_floats(tmp_path):
    assert load_picture(saved(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), tmp_path / "c.tif"))[0, 0].tolist() == RED
    assert (load_picture(saved(Image.fromarray(np.full((1, 1), 0.5, np.float32)), tmp_path / "f.tif")) == 128).all()


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (6, 4), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    picture = load_picture(saved(image, tmp_path / "turned.jpg", exif=exif))
    assert picture.shape == (6, 4, 3)


ARROW = np.zeros((4, 6, 3), np.uint8)
ARROW[0, 0] = 255


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_every_orientation_is_turned_upright(tmp_path, orientation, corner):
    """Where the upper left corner of the stored picture goes: EXIF 2.3, table of tag 274."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_picture(saved(Image.fromarray(ARROW), tmp_path / "turned.png", exif=exif))
    assert picture.shape == ((6, 4, 3) if orientation > 4 else (4, 6, 3)) and picture[corner].tolist() == WHITE
    assert picture.sum() == ARROW.sum()


def broken_exif(tag, kind, value):
    """EXIF that says orientation 6, and one entry more."""
    entries = struct.pack("<H", 2) + struct.pack("<HHLHH", 0x112, 3, 1, 6, 0)
    inline = len(value) <= 4
    entries += (
        struct.pack("<HHL", tag, kind, 1) + (value.ljust(4, b"\0") if inline else struct.pack("<L", 38)) + bytes(4)
    )
    return b"Exif\0\0II*\0\x08\0\0\0" + entries + (b"" if inline else value)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    ("tag", "kind", "value"), [(0x11A, 10, struct.pack("<ll", -1, 0)), (0x100, 9, struct.pack("<l", -5))]
)
def test_a_photograph_is_sound_though_its_exif_is_not(tmp_path, ending, tag, kind, value):
    path = tmp_path / f"p.{ending}"
    Image.new("RGB", (60, 40), "red").save(path, exif=broken_exif(tag, kind, value))
    assert load_picture(path).shape == (60, 40, 3)


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"no EXIF at all"])
def test_exif_that_cannot_be_read_turns_nothing(tmp_path, exif):
    path = tmp_path / "p.jpg"
    Image.new("RGB", (60, 40), "red").save(path, exif=exif)
    assert load_picture(path).shape == (40, 60, 3)


def test_whatever_a_decoder_raises_names_the_file(tmp_path, monkeypatch):
    def load(self):
        raise struct.error("argument out of range")

    path = saved(Image.new("RGB", (2, 2)), tmp_path / "odd.png")
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(PictureError, match=r"odd\.png: the picture cannot be read: argument out of range"):
        load_picture(path)


@pytest.mark.parametrize(("ending", "mode"), [("jpg", "RGB"), ("png", "RGB"), ("png", "L"), ("tif", "I;16")])
def test_a_large_picture_is_reduced_and_looks_the_same(tmp_path, ending, mode):
    ramp = np.linspace(0, 65535, 3000)[None, :] * np.ones((2000, 1))
    image = (
        Image.fromarray(ramp.astype(np.uint16)) if mode == "I;16" else Image.fromarray((ramp / 257).astype(np.uint8))
    )
    path = saved(image.convert(mode) if mode != "I;16" else image, tmp_path / f"large.{ending}")
    picture = load_picture(path)
    height, width = picture.shape[:2]
    assert height * width <= 1 << 20 < 1.01 * height * width and width / height == pytest.approx(1.5, rel=0.01)
    whole = square(load_picture(path, None), 64).astype(int)
    assert np.abs(square(picture, 64) - whole).max() <= 2


def test_a_photograph_of_108_megapixels_brings_no_warning(tmp_path):
    path = saved(Image.new("RGB", (12_000, 9_000), tuple(RED)), tmp_path / "phone.jpg", quality=20)
    with warnings.catch_warnings(action="error"):
        picture = load_picture(path)
    assert picture.shape[0] * picture.shape[1] <= 1 << 20 and np.abs(picture.astype(int) - RED).max() < 3


def test_one_pixel_and_slivers_make_squares(tmp_path):
    for size in ((1, 1), (1, 500), (501, 3)):
        picture = load_picture(saved(Image.new("RGB", size, tuple(RED)), tmp_path / "thin.png"))
        cut = square(picture, 64)
        assert cut.shape == (64, 64, 3) and (cut == RED).all()


def test_the_square_is_the_middle():
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255
    assert (square(picture, 10) == 255).all()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"broken\.png"):
        load_picture(path)


def test_a_truncated_file_is_named(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)).save(whole, "png")
    path = tmp_path / "cut.png"
    path.write_bytes(whole.getvalue()[:2000])
    with pytest.raises(PictureError, match=r"cut\.png: the picture cannot be read"):
        load_picture(path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(PictureError, match=r"none\.png: no such file"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match="a folder, not a picture"):
        load_picture(tmp_path)
    with pytest.raises(PictureError, match="no such folder"):
        find_pictures(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="no pictures in this folder"):
        find_pictures(tmp_path)


def test_pictures_of_a_folder_come_by_name(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.jpg", "b.PNG"]


def test_hidden_files_are_not_the_users_pictures(tmp_path):
    for name in ("a.png", "._a.png", ".b.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.png"]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("train/cat/a.png", False), ("./cat/a.b.png", False), ("../cat/a.png", False), ("train/.cache/a.png", True),
        ("@eaDir/a.png", True), ("__MACOSX/train/cat/a.png", True), ("train/cat/._a.png", True),
    ],
)  # fmt: skip
def test_what_counts_as_hidden(path, hidden):
    assert is_hidden(PurePosixPath(path)) is hidden


def test_the_sample_pictures_are_photographs():
    assert len(sample_pictures()) == 4
    assert all(min(load_picture(path).shape[:2]) >= 300 for path in sample_pictures())


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(PictureError, match="uint8 array"):
        square(bad, 8)
