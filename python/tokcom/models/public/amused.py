"""Layouts of aMUSEd, which are those of diffusers and transformers, and of CLIP's text encoder."""

from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers, renamed

VOCABULARY, MERGES = "vocab.json", "merges.txt"
"""Files of CLIP's vocabulary, whose bytes come with the tensors of its weights."""


def from_diffusers_vq(tensors: Mapping[str, Tensor], image_size: int = 256) -> Converted:
    """Convert the tensors of a VQModel without attention, for pictures in [0, 1].

    Args:
        tensors: tensors of the file by name.
        image_size: side of its pictures in pixels.
    """
    levels = numbers(tensors, "encoder.down_blocks")
    words, code_dim = tensors["quantize.embedding.weight"].shape
    widths = [len(tensors[f"encoder.down_blocks.{each}.resnets.0.conv2.weight"]) for each in range(levels)]
    config = {
        "image_size": image_size, "patch_size": 2 ** (levels - 1), "codebook_size": words, "code_dim": code_dim,
        "latent_dim": len(tensors["encoder.conv_out.weight"]), "widths": widths,
        "layers": numbers(tensors, "encoder.down_blocks.0.resnets"),
        "decoder_layers": numbers(tensors, "decoder.up_blocks.0.resnets"), "attention": False,
        "middle_attention": False, "unit_vectors": False, "unit_range": True,
    }  # fmt: skip
    return Converted("vq-model", config, renamed(tensors, {"": "model."}))


def from_uvit2d(
    tensors: Mapping[str, Tensor], heads: int = 16, block_heads: int = 12, side: int = 16, mask: int | None = None
) -> Converted:
    """Convert the tensors of a UVit2DModel.

    Args:
        tensors: tensors of the file by name.
        heads: heads of its transformer, which the tensors do not tell.
        block_heads: heads of the blocks around it.
        side: rows and columns of tokens.
        mask: number of the mask; None for the last of the vocabulary.
    """
    vocabulary, block_width = tensors["embed.embeddings.weight"].shape
    width = len(tensors["encoder_proj.weight"])
    config = {
        "codebook_size": len(tensors["mlm_layer.conv2.weight"]), "grid": [side, side], "image_size": 16 * side,
        "vocabulary": vocabulary, "mask": vocabulary - 1 if mask is None else mask, "width": width,
        "depth": numbers(tensors, "transformer_layers"), "heads": heads,
        "mlp_width": tensors["transformer_layers.0.ff.net.2.weight"].shape[1], "block_width": block_width,
        "block_heads": block_heads, "res_blocks": numbers(tensors, "down_block.res_blocks"),
        "text_width": tensors["encoder_proj.weight"].shape[1],
        "embedding": tensors["cond_embed.linear_1.weight"].shape[1] - 5 * 256,
    }  # fmt: skip
    return Converted("amused", config, renamed(tensors, {"": "model."}))


def from_clip_text(
    tensors: Mapping[str, Tensor], head_width: int = 64, activation: str = "quick_gelu", pad: int | None = None
) -> Converted:  # fmt: skip
    """Convert the tensors of CLIP's text encoder, with the bytes of its vocabulary's files.

    Args:
        tensors: tensors of the file by name, those of the whole CLIP or of the text encoder alone.
        head_width: width of an attention head.
        activation: its activation function; OpenAI's models have quick_gelu.
        pad: number of the word behind a sentence's end; None for that of the end, the last of the vocabulary.
    """
    embedding, positions = (tensors[f"text_model.embeddings.{name}_embedding.weight"] for name in ("token", "position"))
    width, layer = embedding.shape[1], "text_model.encoder.layers"
    config = {
        "vocabulary": len(embedding), "width": width, "depth": numbers(tensors, layer), "heads": width // head_width,
        "mlp_width": len(tensors[f"{layer}.0.mlp.fc1.weight"]), "embedding": len(tensors["text_projection.weight"]),
        "longest": len(positions), "activation": activation,
        "pad": len(embedding) - 1 if pad is None else pad, "vocabulary_bytes": len(tensors[VOCABULARY]),
        "merges_bytes": len(tensors[MERGES]),
    }  # fmt: skip
    state = renamed(tensors, {"text_model.": "model.text_model.", "text_projection.": "model.text_projection."})
    state.pop("model.text_model.embeddings.position_ids", None)
    return Converted("clip-text", config, state | {"vocabulary": tensors[VOCABULARY], "merges": tensors[MERGES]})
