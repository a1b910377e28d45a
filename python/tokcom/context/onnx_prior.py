"""Context model in ONNX Runtime, from a file written by `models.onnx_export`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.onnx_runtime import open_graph

WHAT = "context model"
"""Value of the file's metadata that names what it computes."""


class OnnxPrior(Prior):
    """Prior from an ONNX file.

    Args:
        path: the file.
        codebook: name of the codebook whose tokens it predicts.
        threads: of ONNX Runtime; None: one per processor.

    Raises:
        ModelError: the file is not a context model, or onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, codebook: str, threads: int | None = None):
        self._session, outline = open_graph(path, WHAT, threads)
        try:
            self.codebook, self.codebook_size = codebook, int(outline["codebook_size"])
            self.grid, self.num_classes = tuple(map(int, outline["grid"])), int(outline["num_classes"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: the outline of its context model lacks something: {error!r}") from None
        self.n_bytes = Path(path).stat().st_size

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        found = [
            self._logits(np.where(chosen, LOST, each), condition.label)[chosen]
            for each, chosen, condition in zip(tokens, wanted, conditions, strict=True)
        ]
        logits = np.concatenate(found)
        peak = logits.max(axis=1, keepdims=True)
        return logits - peak - np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))

    def _logits(self, tokens: np.ndarray, label: int | None) -> np.ndarray:
        masked = np.where(tokens == LOST, self.codebook_size, tokens).astype(np.int64)[None]
        told = np.array([self.num_classes if label is None else label])
        return self._session.run(["logits"], {"tokens": masked, "label": told})[0][0]
