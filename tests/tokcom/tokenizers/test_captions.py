"""Texts beside pictures."""

import pytest

from tokcom.errors import PictureError
from tokcom.tokenizers.captions import MAX_CHARACTERS, load_caption


def test_a_caption_is_one_line(tmp_path):
    assert load_caption(tmp_path / "photo.jpg") == ""
    (tmp_path / "photo.txt").write_text(" A cat\r\n on\ta mat.\n", encoding="utf-8")
    assert load_caption(tmp_path / "photo.jpg") == "A cat on a mat."
    (tmp_path / "photo.txt").write_text("ñ" * MAX_CHARACTERS, encoding="utf-8")
    assert load_caption(tmp_path / "photo.jpg") == "ñ" * MAX_CHARACTERS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ab\xff", "byte 2 of the caption is not UTF-8"),
        (b"a" * (MAX_CHARACTERS + 1), "the caption has 2001 characters; at most 2000"),
        (b"a" * (5 * MAX_CHARACTERS), "at most 2000 characters; shorten it"),
    ],
)
def test_what_is_no_caption_is_refused(tmp_path, content, said):
    (tmp_path / "photo.txt").write_bytes(content)
    with pytest.raises(PictureError, match=said):
        load_caption(tmp_path / "photo.png")


def test_a_folder_is_no_caption(tmp_path):
    (tmp_path / "photo.txt").mkdir()
    with pytest.raises(PictureError, match="the caption cannot be read"):
        load_caption(tmp_path / "photo.png")
