"""Context models as ONNX files, for receivers without PyTorch."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from tokcom.context.onnx_prior import METADATA
from tokcom.errors import ModelError
from tokcom.models.zoo import load_context


class _Everywhere(nn.Module):
    """Network with logits at all positions: a graph of fixed shape."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        return self.network.everywhere(tokens, labels)


def export_context(model: str, path: Path) -> None:
    """Export a model's context model, for one frame at a time, for `context.onnx_prior.OnnxPrior`.

    Inputs `tokens`, int64 (1, places), [MASK] where unknown, and `label`, int64 (1,); output `logits`, float32 (1,
    places, words).

    Args:
        model: name or folder of the model.
        path: the file.

    Raises:
        ModelError: the model is missing or broken, or the packages onnx and onnxscript are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it, and its own message is less clear
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed: pip install onnx onnxscript") from None
    prior = load_context(model, "cpu")
    places = prior.grid[0] * prior.grid[1]
    example = torch.full((1, places), prior.codebook_size), torch.tensor([prior.num_classes])
    program = torch.onnx.export(
        _Everywhere(prior.network).eval(), example, input_names=["tokens", "label"], output_names=["logits"],
        dynamo=True, verbose=False,
    )  # fmt: skip
    graph = program.model_proto
    outline = {
        "codebook": prior.codebook, "codebook_size": prior.codebook_size, "grid": prior.grid,
        "num_classes": prior.num_classes,
    }  # fmt: skip
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(outline)})
    path.write_bytes(graph.SerializeToString())
