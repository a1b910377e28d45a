"""Pictures and their captions, in either order and within bounds."""

from tokcom.protocol import caption_pairs
from tokcom.protocol.caption_pairs import CaptionPairs


def test_each_picture_gets_the_text_of_its_own_session_once():
    pairs, told = CaptionPairs(), []
    pairs.add_text("a", 4, "early")
    pairs.add_picture("a", 5, 1, told.append)
    pairs.add_picture("b", 5, 1, lambda text: told.append("b " + text))
    pairs.add_picture("a", 9, 0, told.append)
    assert told == ["early"]
    for text in ("late", "again"):
        pairs.add_text("b", 4, text)
    assert told == ["early", "b late"]


def test_what_is_remembered_is_bounded():
    texts, pictures, told = CaptionPairs(), CaptionPairs(), []
    for number in range(caption_pairs.REMEMBERED + 1):
        texts.add_text("a", number, str(number))
        pictures.add_picture("a", number + 1, 1, told.append)
    texts.add_text("a", 1000, "x" * (caption_pairs.LONGEST + 1))
    for number in (0, 1, 1000):
        texts.add_picture("a", number + 1, 1, told.append)
    for number in (0, 1):
        pictures.add_text("a", number, f"late {number}")
    assert told == ["1", "late 1"]
