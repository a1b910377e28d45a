"""Pictures as tokens, and back, by networks that ONNX Runtime computes, from files of `models.onnx_export`."""

from pathlib import Path

import numpy as np

from tokcom.errors import ModelError
from tokcom.onnx_runtime import open_graph
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

ENCODER, DECODER = "encoder of pictures", "decoder of pictures"
"""Value of the files' metadata that names what they compute."""


class OnnxTokenizer(PictureTokenizer):
    """A tokenizer from ONNX files, which takes one picture at a time. It does not search for better tokens.

    Args:
        encoder: the file with the way from pictures to tokens.
        decoder: the file with the way back.
        codebook: name of its codebook.
        threads: of ONNX Runtime; None: one per processor.

    Raises:
        ModelError: the files are no such networks or not of one tokenizer, or onnxruntime is not installed.
    """

    visits = 0

    def __init__(self, encoder: str | Path, decoder: str | Path, codebook: str, threads: int | None = None):
        self._encoder, told = open_graph(encoder, ENCODER, threads)
        self._decoder, outline = open_graph(decoder, DECODER, threads)
        try:
            self.codebook, self.codebook_size = codebook, int(outline["codebook_size"])
            self.image_size, self.grid = int(outline["image_size"]), tuple(map(int, outline["grid"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{decoder}: the outline of its decoder lacks something: {error!r}") from None
        if {name: told.get(name) for name in ("codebook_size", "image_size", "grid")} != {
            name: outline[name] for name in ("codebook_size", "image_size", "grid")
        }:
            raise ModelError(f"{encoder} and {decoder.name} are not of one tokenizer; export the model again")
        self.n_bytes = sum(Path(path).stat().st_size for path in (encoder, decoder))

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        self.require_pictures(pictures)
        values = pictures.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(127.5) - 1
        found = [self._encoder.run(["tokens"], {"pictures": each[None]})[0] for each in values]
        return np.concatenate(found).astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        grids = tokens.astype(np.int64)
        found = np.concatenate([self._decoder.run(["pictures"], {"tokens": each[None]})[0] for each in grids])
        pixels = ((found.clip(-1, 1) + 1) * np.float32(127.5)).round().astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
