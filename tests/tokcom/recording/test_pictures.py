"""Received frames as picture files."""

import numpy as np
from PIL import Image

from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.recording.pictures import PictureFolder
from tokcom.source.chooser import TokenChooser
from tokcom.source.filling import filled_picture


def test_tokens_that_were_not_sent_are_shown_as_the_model_expects_them(tiny_model, tmp_path):
    name = str(tiny_model)
    tokenizer, prior = load_tokenizer(name, 0, "cpu"), load_context(name, "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    thinned = TokenChooser("spread").thin(tokenizer.tokenize(picture), 8)
    folder = PictureFolder(tmp_path / "out", name, "cpu")
    for number, tokens in enumerate((thinned.tokens, np.where(thinned.lost, 3, thinned.tokens))):
        frame = thinned.with_tokens(tokens)
        wanted = filled_picture(thinned, prior, tokenizer) if number else tokenizer.detokenize(thinned)
        with Image.open(tmp_path / "out" / folder.save(frame, number)) as saved:
            np.testing.assert_array_equal(np.asarray(saved), wanted)
