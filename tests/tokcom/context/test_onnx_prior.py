import numpy as np
import pytest

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.onnx_prior import OnnxPrior
from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.models.onnx_export import export_context
from tokcom.models.zoo import load_context

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_an_exported_model_predicts_the_same(tiny_model, tmp_path):
    export_context(str(tiny_model), tmp_path / "context.onnx")
    ours, theirs = load_context(str(tiny_model), "cpu"), OnnxPrior(tmp_path / "context.onnx")
    assert (theirs.codebook, theirs.codebook_size, theirs.grid, theirs.num_classes) == (ours.codebook, 32, (4, 4), 3)
    rng = np.random.default_rng(0)
    tokens = np.where(rng.random((3, 16)) < 0.5, LOST, rng.integers(0, 32, (3, 16))).astype(np.int32)
    wanted = (tokens == LOST) & (rng.random((3, 16)) < 0.7)
    told = [NOTHING, Condition(0), Condition(2)]
    found = theirs.log_probabilities(tokens, wanted, told)
    np.testing.assert_allclose(found, ours.log_probabilities(tokens, wanted, told), atol=2e-5)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"none")
    with pytest.raises(ModelError, match=r"bad\.onnx: not a context model"):
        OnnxPrior(tmp_path / "bad.onnx")
