"""ONNX Runtime, which computes networks where PyTorch is not installed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tokcom.errors import ModelError
from tokcom.processors import usable_processors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

METADATA = "tokcom"
"""Key of a file's metadata under which it says, in JSON, what it computes."""


def open_graph(path: str | Path, what: str, threads: int | None = None) -> "tuple[InferenceSession, dict]":
    """A file that `models.onnx_export` has written, to be run on the processors, and what it says of itself.

    Args:
        path: the file.
        what: what it should compute; its metadata say so under "what".
        threads: of ONNX Runtime, which sleep while they wait; None: one per processor.

    Raises:
        ModelError: the file is no such graph, or onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ModelError("onnxruntime is not installed: pip install onnxruntime, or tokcom[onnx]") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_processors()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outline = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
        if outline["what"] != what:
            raise ValueError(f"it is a {outline['what']}")
    except Exception as error:  # what onnxruntime raises has no common base of its own
        raise ModelError(f"{path}: no {what} that this version wrote: {str(error).splitlines()[0]}") from None
    return session, outline
