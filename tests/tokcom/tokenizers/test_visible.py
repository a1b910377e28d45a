"""What a terminal gets to see of received texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.tokenizers.visible import visible


@given(st.text(max_size=80))
def test_nothing_is_left_that_a_terminal_would_obey(text):
    shown = visible(text)
    assert {each for each in shown if unicodedata.category(each) == "Cc"} <= {"\t"}
    bidirectional = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    assert not any(unicodedata.bidirectional(each) in bidirectional for each in shown)
    assert len(shown.splitlines()) <= 1 and visible(shown) == shown
    assert shown.encode("ascii", "backslashreplace").decode("unicode_escape") == text or "\\" in text


@pytest.mark.parametrize("text", ["plain words", "naïve\tcafé", "日本語 😀", "a\u200db", "a\u00a0b", "C:\\new"])
def test_other_texts_stay_as_they_are(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31m", r"\x1b[31m"), ("a\r\nb\x00", r"a\r\nb\x00"), ("\u202eabc\u2069", r"\u202eabc\u2069")],
)
def test_steering_characters_are_spelled_out(text, shown):
    assert visible(text) == shown
