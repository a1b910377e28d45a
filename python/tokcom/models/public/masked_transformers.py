"""Layouts of the transformers that predict masked image tokens: valeo.ai's two MaskGITs, and Google's."""

import math
from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers, renamed


def from_valeo(tensors: Mapping[str, Tensor], heads: int, num_classes: int = 1000) -> Converted:
    """Convert the tensors of the MaskGIT of valeo.ai's "Maskgit-pytorch".

    Args:
        tensors: tensors of the file by name.
        heads: heads of its attention, which the tensors do not tell.
        num_classes: number of classes; the null class follows them.
    """
    embedding, positions = tensors["tok_emb.weight"], tensors["pos_emb"]
    words, side = len(embedding) - num_classes - 2, math.isqrt(positions.shape[1] - 1)
    depth = numbers(tensors, "transformer.layers")
    config = {
        "codebook_size": words, "grid": [side, side], "num_classes": num_classes, "width": embedding.shape[1],
        "depth": depth, "heads": heads, "mlp_width": len(tensors["transformer.layers.0.1.fn.net.0.weight"]),
        "null_class": True,
    }  # fmt: skip
    state = {
        "embedding.weight": embedding, "positions": positions[0], "bias": tensors["bias"][: side**2, :words],
    }  # fmt: skip
    first, last = {0: 0, 2: 1, 4: 3, 6: 4}, {0: 0, 2: 1, 4: 3}
    state |= renamed(tensors, {f"first_layer.{old}.": f"first.{new}." for old, new in first.items()})
    state |= renamed(tensors, {f"last_layer.{old}.": f"last.{new}." for old, new in last.items()})
    for layer in range(depth):
        old, new = f"transformer.layers.{layer}.", f"encoder.layers.{layer}."
        parts = {"0.norm.": "norm1.", "0.fn.mha.": "self_attn.", "1.norm.": "norm2.", "1.fn.net.0.": "linear1."}
        parts["1.fn.net.3."] = "linear2."
        state |= renamed(tensors, {old + each: new + name for each, name in parts.items()})
    return Converted("encoder-maskgit", config, state)


def from_halton(tensors: Mapping[str, Tensor], heads: int) -> Converted:
    """Convert the tensors of the MaskGIT of valeo.ai's "Halton-MaskGIT", for pictures of 256 pixels.

    Args:
        tensors: tensors of the file by name; those of a compiled or distributed network have more in front.
        heads: heads of its attention, which the tensors do not tell.
    """
    tensors = {name.replace("module.", "").replace("_orig_mod.", ""): each for name, each in tensors.items()}
    if "in_proj.weight" in tensors:
        raise ValueError("it halves the grid of tokens on the way in, which this network does not do")
    words, width = tensors["tok_emb.weight"].shape
    side, depth = math.isqrt(len(tensors["pos_emb.weight"])), numbers(tensors, "transformer.layers")
    registers = tensors.get("reg_tokens.weight", tensors["pos_emb.weight"][:0])
    config = {
        "codebook_size": words - 1, "grid": [side, side], "num_classes": len(tensors["cls_emb.weight"]) - 1,
        "width": width, "depth": depth, "heads": heads,
        "head_width": len(tensors["transformer.layers.0.attn.wq.weight"]) // heads,
        "mlp_width": len(tensors["transformer.layers.0.ff.w1.weight"]), "registers": len(registers),
        "null_class": True,
    }  # fmt: skip
    state = {
        "words.weight": tensors["tok_emb.weight"], "classes.weight": tensors["cls_emb.weight"],
        "positions": tensors["pos_emb.weight"], "registers": registers, "bias": tensors["head.bias"][: words - 1],
        "last_norm.weight": tensors["last_norm.norm_final.weight"],
        "last_shift": tensors["last_norm.norm_final.bias"],
    }  # fmt: skip
    state |= renamed(tensors, {"last_norm.mlp.1.": "last_modulation."})
    parts = {
        "mlp.1.": "modulation.", "ln1.": "attention_norm.", "ln2.": "mlp_norm.", "attn.wq.": "query.",
        "attn.wk.": "key.", "attn.wv.": "value.", "attn.wo.": "out.", "ff.w1.": "gate.", "ff.w3.": "up.",
        "ff.w2.": "down.",
    }  # fmt: skip
    for layer in range(depth):
        state |= renamed(
            tensors, {f"transformer.layers.{layer}.{old}": f"blocks.{layer}.{new}" for old, new in parts.items()}
        )
    return Converted("halton-maskgit", config, state)


def from_flax(tensors: Mapping[str, Tensor], num_classes: int = 1000) -> Converted:
    """Convert the tensors of Google's MaskGIT, written by Flax.

    Args:
        tensors: tensors of the file by name, the levels of Flax's tree joined by "/".
        num_classes: number of classes.
    """
    if any("embedding_hidden_mapping" in name for name in tensors):
        raise ValueError("its embedding has a further layer, which this network does not have")
    embedding, positions = (tensors[f"Embed_0/{name}_embeddings/embedding"] for name in ("word", "position"))
    words, width = len(embedding) - num_classes - 1, embedding.shape[1]
    side = math.isqrt(len(positions) - 1)
    depth = len({name.split("/")[0] for name in tensors if name.startswith("TransformerLayer_")})
    query = tensors["TransformerLayer_0/Attention_0/self_attention/query/kernel"]
    config = {
        "codebook_size": words, "grid": [side, side], "num_classes": num_classes, "width": width, "depth": depth,
        "heads": query.shape[1], "mlp_width": len(tensors["TransformerLayer_0/Mlp_0/intermediate_output/bias"]),
        "vocabulary": len(embedding), "mask": len(embedding) - 1, "first_class": words, "activation": "gelu_new",
        "tied": True, "null_class": False,
    }  # fmt: skip
    state = {
        "bert.embeddings.word_embeddings.weight": embedding,
        "bert.embeddings.position_embeddings.weight": positions,
        "bert.embeddings.token_type_embeddings.weight": embedding.new_zeros(1, width),
        "bias": tensors["MlmLayer_0/mlm_bias/bias"][:words],
    }
    state |= _norm(tensors, "Embed_0/embeddings_ln", "bert.embeddings.LayerNorm")
    state |= _dense(tensors, "MlmLayer_0/mlm_dense", "transform.0", width)
    state |= _norm(tensors, "MlmLayer_0/mlm_ln", "transform.2")
    for layer in range(depth):
        old, new = f"TransformerLayer_{layer}", f"bert.encoder.layer.{layer}"
        attention, mlp = f"{old}/Attention_0", f"{old}/Mlp_0"
        for name in ("query", "key", "value"):
            state |= _dense(tensors, f"{attention}/self_attention/{name}", f"{new}.attention.self.{name}", width)
        state |= _dense(tensors, f"{attention}/self_attention/out", f"{new}.attention.output.dense", width)
        state |= _norm(tensors, f"{attention}/attention_output_ln", f"{new}.attention.output.LayerNorm")
        state |= _dense(tensors, f"{mlp}/intermediate_output", f"{new}.intermediate.dense", width)
        state |= _dense(tensors, f"{mlp}/layer_output", f"{new}.output.dense", config["mlp_width"])
        state |= _norm(tensors, f"{mlp}/layer_output_ln", f"{new}.output.LayerNorm")
    return Converted("bert-maskgit", config, state)


def _dense(tensors: Mapping[str, Tensor], old: str, new: str, inputs: int) -> dict[str, Tensor]:
    """A linear layer, whose kernel Flax keeps with the inputs first and the heads apart."""
    kernel = tensors[f"{old}/kernel"].reshape(inputs, -1)
    return {f"{new}.weight": kernel.T.contiguous(), f"{new}.bias": tensors[f"{old}/bias"].reshape(-1)}


def _norm(tensors: Mapping[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.weight": tensors[f"{old}/scale"], f"{new}.bias": tensors[f"{old}/bias"]}
