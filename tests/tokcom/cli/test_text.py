"""`tokcom text`, on a model of random weights."""

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.link.text import RECEIVERS


@pytest.fixture
def call(tiny_text_model):
    def run(*arguments, **settings):
        return CliRunner().invoke(main, ["text", *arguments, "--model", str(tiny_text_model)], **settings)

    return run


def test_four_receivers_stand_side_by_side(call):
    done = call("the rain", "--esn0-db", "30")
    assert done.exit_code == 0, done.output
    assert all(f"{name} ({weighs}): 0 of 2 words wrong\nthe rain" in done.output for name, weighs in RECEIVERS.items())


def test_words_that_are_not_sure_are_marked(call):
    done = call("the rain on the train", "--esn0-db", "-20")
    assert done.exit_code == 0 and "?]" in done.output


def test_text_comes_from_standard_input(call):
    assert "the other" in call("-", "--esn0-db", "30", input="the other").output


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("", None, "is empty"),
        ("-", b"ab\xff", "byte 2 of standard input is not UTF-8"),
        ("-", b"a" * (4 * 65536 + 1), "longer than 65536 characters"),
    ],
)
def test_what_is_no_text_is_refused(call, text, given, said):
    done = call(text, input=given)
    assert done.exit_code == 1 and said in done.output and "Traceback" not in done.output
