"""Context model in ONNX Runtime, from a file written by `models.onnx_export`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST

METADATA = "tokcom"
"""Key of the file's metadata that describes its predictions."""


class OnnxPrior(Prior):
    """Prior from an ONNX file.

    Args:
        path: the file.
        threads: number of threads of ONNX Runtime.

    Raises:
        ModelError: the file is not a context model, or onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int = 1):
        try:
            import onnxruntime
        except ImportError:
            raise ModelError("onnxruntime is not installed: pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            outline = json.loads(self._session.get_modelmeta().custom_metadata_map[METADATA])
            self.codebook, self.codebook_size = str(outline["codebook"]), int(outline["codebook_size"])
            self.grid, self.num_classes = tuple(map(int, outline["grid"])), int(outline["num_classes"])
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise ModelError(f"{path}: not a context model: {str(error).splitlines()[0]}") from None

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
