import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.models.source_coding import load_chooser
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.packets.thinning import Thinning
from tokcom.source.chooser import CHOICES, RULES, TokenChooser


@pytest.fixture
def frame(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model), 0, "cpu")
    size = tokenizer.image_size
    return tokenizer.tokenize(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("choice", CHOICES)
def test_as_many_tokens_stay_as_are_asked_for(frame, tiny_model, choice):
    chooser = load_chooser(str(tiny_model), choice)
    for count in (1, 8, 15):
        thinned = chooser.thin(frame, count)
        kept = ~thinned.lost
        assert kept.sum() == count and (thinned.tokens[kept] == frame.tokens[kept]).all()
        rule = Thinning.from_bytes(thinned.thinning, frame.grid)
        assert rule.rule == RULES[choice] and set(rule.sent(frame.grid)) == set(np.flatnonzero(kept))
    assert chooser.thin(frame, 16) is frame


def test_what_is_refused(tiny_model):
    prior = load_context(str(tiny_model), "cpu")
    for arguments, message in (
        (("best",), "choice is 'best'; it must be one of spread, checkerboard"),
        (("surprise",), "needs a context model"),
        (("distortion", prior), "needs a tokenizer of pictures"),
        (("regions", prior, load_tokenizer(str(tiny_model), 0, "cpu")), "needs a classifier of pictures"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            TokenChooser(*arguments)
    with pytest.raises(ParameterError, match="choice is 'best'"):
        load_chooser("no model", "best")
