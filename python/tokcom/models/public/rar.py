"""Layout of RAR, a causal transformer over the tokens of MaskGIT's VQGAN."""

import math
from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers, renamed

SPARE_STEPS = 100
"""Places beyond those of a picture in the table of steps; they are not used."""


def from_rar(tensors: Mapping[str, Tensor], num_classes: int = 1000) -> Converted:
    """Convert the tensors of the file.

    Args:
        tensors: tensors of the file by name.
        num_classes: number of classes; the null class follows them.
    """
    words, width = tensors["lm_head.weight"].shape
    n_tokens, depth = tensors["timesteps_embeddings"].shape[1] - SPARE_STEPS, numbers(tensors, "blocks")
    side = math.isqrt(n_tokens)
    config = {
        "codebook_size": words, "grid": [side, side], "num_classes": num_classes, "width": width, "depth": depth,
        "heads": width // len(tensors["blocks.0.attn.q_norm.weight"]),
        "mlp_width": len(tensors["blocks.0.mlp.fc1.weight"]),
    }  # fmt: skip
    places = n_tokens + 2
    state = {
        "embedding.weight": tensors["embeddings.weight"], "first": tensors["cls_token"][0, 0],
        "positions": tensors["pos_embed"][0, :places],
        "next_positions": tensors["target_aware_pos_embed"][0, 2:places],
        "steps": tensors["timesteps_embeddings"][0, :places],
    }  # fmt: skip
    state |= renamed(tensors, {"adaln_before_head.adaLN_modulation.1.": "last_modulation.", "lm_head.": "head."})
    parts = {
        "norm1.": "norm1.", "norm2.": "norm2.", "attn.qkv.": "qkv.", "attn.q_norm.": "query_norm.",
        "attn.k_norm.": "key_norm.", "attn.proj.": "out.", "mlp.fc1.": "mlp_in.", "mlp.fc2.": "mlp_out.",
        "adaLN_modulation.1.": "modulation.",
    }  # fmt: skip
    for layer in range(depth):
        state |= renamed(tensors, {f"blocks.{layer}.{old}": f"blocks.{layer}.{new}" for old, new in parts.items()})
    return Converted("rar", config, state)
