"""The Open Inference Protocol (KServe V2) as far as a prior needs it: a server's answers.

A model has two inputs, `tokens`, INT64 [frames, places], the number of words where a token is not known, and `label`,
INT64 [frames], the number of classes where there is no label; and one output, `logits`, FP32 [frames, places, words].
These are the inputs and outputs of a context model as an ONNX file (`tokcom models export`), which Triton, OpenVINO
Model Server and others serve by themselves. Only logits of tokens that are not known count.

Numbers travel as JSON or in binary behind it (Triton's extension for binary tensor data).
"""

import json
import math
from collections.abc import Sequence

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import ANY, Prior
from tokcom.errors import MessageError, ModelError
from tokcom.frame import LOST
from tokcom.offload.messages import MAX_FRAMES

HEADER = "Inference-Header-Content-Length"
"""HTTP header that tells the bytes of the JSON; binary numbers follow it."""
MAX_BODY = 4 << 20
"""Limit on the bytes of a request: 64 frames of 4096 tokens fit, with room to spare."""
TOKENS, LABEL, LOGITS = "tokens", "label", "logits"
_SIZE = "binary_data_size"


def metadata(name: str, prior: Prior) -> dict:
    """Describe a model to clients.

    Raises:
        ModelError: the prior has no shape, or predicts tokens in their order alone.
    """
    if prior.order != ANY or prior.grid is None:
        raise ModelError(
            f"{name} cannot be served by the Open Inference Protocol: it needs a prior of a grid of tokens"
        )
    places = math.prod(prior.grid)
    return {
        "name": name, "versions": ["1"], "platform": "tokcom", "parameters": {"codebook": prior.codebook},
        "inputs": [
            {"name": TOKENS, "datatype": "INT64", "shape": [-1, places]},
            {"name": LABEL, "datatype": "INT64", "shape": [-1]},
        ],
        "outputs": [{"name": LOGITS, "datatype": "FP32", "shape": [-1, places, prior.codebook_size]}],
    }  # fmt: skip


def read_infer(body: bytes, header: str | None, prior: Prior) -> tuple[np.ndarray, list[Condition], bool]:
    """Read a request.

    Args:
        body: its body, at most MAX_BODY bytes.
        header: value of HEADER; None if there is only JSON.
        prior: the model.

    Returns:
        Tokens int32 (frames, places), LOST where unknown; conditions, one per frame; whether the answer is binary.

    Raises:
        MessageError: it is invalid.
    """
    if header is not None and not (header.isascii() and header.isdigit() and int(header) <= len(body)):
        raise MessageError(f"{HEADER} is {header[:20]!r}; the body has {len(body)} bytes")
    end = len(body) if header is None else int(header)
    try:
        content = json.loads(body[:end])
        inputs, rest, found = content["inputs"], body[end:], {}
        for each in inputs:
            shape = [int(side) for side in each["shape"]]
            if each["name"] not in (TOKENS, LABEL) or each["datatype"] != "INT64" or each["name"] in found:
                raise MessageError(f"input {each['name']!r} of type {each['datatype']!r}; there are tokens and label")
            if any(side < 0 for side in shape) or math.prod(shape) * 8 > MAX_BODY:
                raise MessageError(f"an input is of shape {shape}")
            size = (each.get("parameters") or {}).get(_SIZE)
            if size is None:
                values = np.array(each["data"], np.int64).reshape(shape)
            elif size != math.prod(shape) * 8 or size > len(rest):
                raise MessageError(f"an input of shape {shape} has {size} bytes, of {len(rest)}")
            else:
                values, rest = np.frombuffer(rest, "<i8", size // 8).reshape(shape), rest[size:]
            found[each["name"]] = values
        tokens, labels = found[TOKENS], found[LABEL]
        asked = [(each.get("parameters") or {}).get("binary_data", False) for each in content.get("outputs") or []]
        binary = any(asked) or bool((content.get("parameters") or {}).get("binary_data_output", False))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError(f"a request is not of the Open Inference Protocol: {error!r}"[:300]) from None
    if rest:
        raise MessageError(f"{len(rest)} bytes follow the inputs")
    return *_checked(tokens, labels, prior), binary


def _checked(tokens: np.ndarray, labels: np.ndarray, prior: Prior) -> tuple[np.ndarray, list[Condition]]:
    places, classes = math.prod(prior.grid), prior.num_classes
    if tokens.ndim != 2 or tokens.shape[1] != places or not 1 <= len(tokens) <= MAX_FRAMES:
        raise MessageError(f"tokens are of shape {tokens.shape}; at most {MAX_FRAMES} frames of {places} can be asked")
    if labels.size != len(tokens):
        raise MessageError(f"there are {labels.size} labels for {len(tokens)} frames")
    if (tokens < 0).any() or (tokens > prior.codebook_size).any():
        raise MessageError(f"a token is beyond the {prior.codebook_size} words of the codebook")
    if (labels < 0).any() or (labels > classes).any():
        raise MessageError(f"a label is beyond the {classes} classes")
    conditions = [NOTHING if label == classes else Condition(label=int(label)) for label in labels.ravel()]
    return np.where(tokens == prior.codebook_size, LOST, tokens).astype(np.int32), conditions


def logits_of(prior: Prior, tokens: np.ndarray, conditions: Sequence[Condition]) -> np.ndarray:
    """Compute an answer: log-probabilities of unknown tokens, zeros of others, float32 (frames, places, words)."""
    lost = tokens == LOST
    found = np.zeros((*tokens.shape, prior.codebook_size), np.float32)
    if lost.any():
        found[lost] = prior.log_probabilities(tokens, lost, conditions)
    return found


def answer(name: str, logits: np.ndarray, binary: bool) -> tuple[bytes, dict[str, str]]:
    """Write an answer; return its body and its HTTP headers."""
    output = {"name": LOGITS, "datatype": "FP32", "shape": list(logits.shape)}
    rest = logits.astype("<f4").tobytes() if binary else b""
    output |= {"parameters": {_SIZE: len(rest)}} if binary else {"data": logits.ravel().tolist()}
    head = json.dumps({"model_name": name, "outputs": [output]}).encode()
    kind = "application/octet-stream" if binary else "application/json"
    return head + rest, {"Content-Type": kind} | ({HEADER: str(len(head))} if binary else {})
