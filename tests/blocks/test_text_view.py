"""Received texts in a window."""

import os
import subprocess
import sys

import numpy as np
import pytest
from gnuradio import tokcom
from PyQt5.QtGui import QTextCursor

from tokcom.errors import ParameterError

TEXT = "the rain on <b>the</b> other train"


def encoded(text):
    return np.frombuffer(text.encode(), np.uint8)


def underlined(window):
    """The characters of the window that are marked."""
    cursor, found = window.page.textCursor(), ""
    cursor.movePosition(QTextCursor.Start)
    while cursor.movePosition(QTextCursor.NextCharacter, QTextCursor.KeepAnchor):
        found += cursor.selectedText() if cursor.charFormat().fontUnderline() else ""
        cursor.clearSelection()
    return found


def test_texts_stand_below_each_other_and_unsure_words_are_marked(qt, pdu):
    view = tokcom.text_view()
    view._on_text(pdu(encoded(TEXT), frame_id=1, unsure=np.array([4, 4, 12, 3], np.int32)))
    view._on_text(pdu(encoded("two\nlines"), frame_id=2, unsure=np.array([4, 5], np.int32)))
    view.widget.show_next()
    assert view.widget.page.toPlainText().strip() == f"{TEXT}\ntwo lines"
    assert underlined(view.widget) == "rain<b>lines" and view.texts_received == 2
    picture = view.widget.grab()
    assert picture.width() >= 480
    view.widget.show_next()
    assert view.widget.page.toPlainText().count("two") == 1


def test_what_waits_and_what_is_shown_are_bounded(qt, pdu):
    view = tokcom.text_view(lines=3)
    for number in range(5):
        view._on_text(pdu(encoded(f"text {number}"), frame_id=number))
    view._on_text(pdu(encoded("a"), frame_id=9, unsure=np.array([0, 9], np.int32)))
    assert (view.texts_received, view.texts_dropped, view.texts_refused) == (5, 2, 1)
    view.widget.show_next()
    view._on_text(pdu(encoded("the last"), frame_id=9))
    view.widget.show_next()
    assert view.widget.page.toPlainText().split("\n") == ["text 3", "text 4", "the last"]
    with pytest.raises(ParameterError, match="lines is 0"):
        tokcom.text_view(lines=0)


def test_without_a_display_it_says_so():
    script = "from gnuradio import tokcom; tokcom.text_view()"
    without = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "QT_QPA_PLATFORM")}
    done = subprocess.run([sys.executable, "-c", script], env=without, capture_output=True, text=True, check=False)
    assert "Text View needs a display" in done.stderr
