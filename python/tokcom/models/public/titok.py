"""Layouts of TiTok: its tokenizers, of one and of two stages or told a sentence, and its masked transformers."""

from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers, renamed
from tokcom.models.public.maskgit_vqgan import decoder_of

HEAD_WIDTH = 64
UNUSED = 1002
"""Rows of MaskGen's embedding behind its words: the mask, and rows for classes that it does not have."""
_BLOCK = {
    "ln_1.": "norm1.", "ln_2.": "norm2.", "attn.": "self_attn.", "mlp.c_fc.": "linear1.", "mlp.c_proj.": "linear2.",
}  # fmt: skip


def from_titok(
    tensors: Mapping[str, Tensor], unit_vectors: bool, image_size: int = 256, head_width: int = HEAD_WIDTH
) -> Converted:
    """Convert the tensors of a tokenizer.

    Args:
        tensors: tensors of the file by name.
        unit_vectors: `use_l2_norm` of the file's configuration.
        image_size: side of its pictures in pixels.
        head_width: width of an attention head.
    """
    words, code_dim = tensors["quantize.embedding.weight"].shape
    by_proxy = "pixel_quantize.embedding.weight" in tensors

    def shape(side: str) -> list[int]:
        width = tensors[f"{side}.class_embedding"].shape[1]
        return [width, numbers(tensors, f"{side}.transformer"), width // head_width]

    config = {
        "image_size": image_size, "patch": tensors["encoder.patch_embed.weight"].shape[-1],
        "n_tokens": len(tensors["latent_tokens"]), "codebook_size": words, "code_dim": code_dim,
        "encoder": shape("encoder"), "decoder": shape("decoder"), "unit_vectors": unit_vectors, "by_proxy": by_proxy,
    }  # fmt: skip
    state = {
        "words.weight": tensors["quantize.embedding.weight"],
        "encoder.latents": tensors["latent_tokens"],
        "encoder.latent_positions": tensors["encoder.latent_token_positional_embedding"],
        "encoder.out.weight": tensors["encoder.conv_out.weight"][:, :, 0, 0],
        "encoder.out.bias": tensors["encoder.conv_out.bias"],
        "decoder.mask": tensors["decoder.mask_token"][0],
        "decoder.latent_positions": tensors["decoder.latent_token_positional_embedding"],
    }
    state |= renamed(tensors, {"encoder.patch_embed.": "encoder.patches.", "decoder.decoder_embed.": "decoder.embed."})
    for side in ("encoder", "decoder"):
        names = {"class_embedding": "first", "positional_embedding": "positions"}
        names |= {"ln_pre.": "before.", "ln_post.": "after."}
        state |= renamed(tensors, {f"{side}.{old}": f"{side}.{new}" for old, new in names.items()})
        for layer in range(shape(side)[1]):
            old, new = f"{side}.transformer.{layer}.", f"{side}.layers.layers.{layer}."
            state |= renamed(tensors, {old + each: new + name for each, name in _BLOCK.items()})
    if "decoder.text_guidance_proj.weight" in tensors:
        places = tensors["decoder.text_guidance_positional_embedding"]
        config |= {"text_width": tensors["decoder.text_guidance_proj.weight"].shape[1], "text_places": len(places)}
        state |= {"decoder.text_positions": places} | renamed(tensors, {"decoder.text_guidance_proj.": "decoder.text."})
    if not by_proxy:
        names = {"decoder.ffn.0.": "decoder.head.pixels.", "decoder.conv_out.": "decoder.head.smooth."}
        kind = "tatitok" if "text_width" in config else "titok"
        return Converted(kind, config, state | renamed(tensors, names))
    state |= renamed(tensors, {"decoder.ffn.": "decoder.head.words."})
    state["decoder.head.vectors.weight"] = tensors["pixel_quantize.embedding.weight"]
    pixels = renamed(tensors, {"pixel_decoder.": "decoder."})
    widths, layers, decoder = decoder_of(pixels)
    state |= renamed(decoder, {"decoder.": "decoder.head.pixels."})
    return Converted("titok", config | {"pixel_widths": widths, "pixel_layers": layers}, state)


def from_titok_bert(
    tensors: Mapping[str, Tensor], num_classes: int = 1000, head_width: int = 48
) -> Converted:  # fmt: skip
    """Convert the tensors of a generator that is a BERT.

    Args:
        tensors: tensors of the file by name.
        num_classes: number of classes; the null class follows them.
        head_width: width of an attention head.
    """
    embedding = tensors["model.embeddings.word_embeddings.weight"]
    words, width = len(tensors["model.lm_head.weight"]), embedding.shape[1]
    depth = numbers(tensors, "model.encoder.layer")
    config = {
        "codebook_size": words, "grid": [len(tensors["model.embeddings.position_embeddings.weight"]) - 1],
        "num_classes": num_classes, "width": width, "depth": depth, "heads": width // head_width,
        "mlp_width": len(tensors["model.encoder.layer.0.intermediate.dense.weight"]), "vocabulary": len(embedding),
        "mask": words, "first_class": words + 1, "activation": "gelu", "tied": False, "null_class": True,
    }  # fmt: skip
    if len(embedding) != words + num_classes + 2:
        raise ValueError(f"its vocabulary of {len(embedding)} is not that of {words} words and {num_classes} classes")
    state = renamed(tensors, {"model.embeddings.": "bert.embeddings.", "model.encoder.": "bert.encoder."})
    state |= renamed(tensors, {"model.lm_head.": "head."})
    state.pop("bert.embeddings.position_ids", None)
    kinds = "bert.embeddings.token_type_embeddings.weight"
    state[kinds] = state[kinds][:1]  # the other is never used
    return Converted("bert-maskgit", config, state)


def from_titok_uvit(
    tensors: Mapping[str, Tensor], num_classes: int = 1000, head_width: int = HEAD_WIDTH
) -> Converted:  # fmt: skip
    """Convert the tensors of a generator that is a U-ViT.

    Args:
        tensors: tensors of the file by name.
        num_classes: number of classes; the null class follows them.
        head_width: width of an attention head.
    """
    words, width = tensors["lm_head.weight"].shape
    half = numbers(tensors, "in_blocks")
    config = {
        "codebook_size": words, "grid": [tensors["pos_embed"].shape[1] - 1], "num_classes": num_classes,
        "width": width, "half_depth": half, "heads": width // head_width,
        "mlp_width": len(tensors["mid_block.mlp.fc1.weight"]), "null_class": True,
    }  # fmt: skip
    state = {"embedding.weight": tensors["embeddings.weight"], "positions": tensors["pos_embed"][0]}
    state |= renamed(tensors, {"norm.": "norm.", "lm_head.": "head."})
    for old, new in {"in_blocks.": "down.", "mid_block.": "middle.", "out_blocks.": "up."}.items():
        state |= renamed(tensors, {old: new})
    return Converted("uvit-maskgit", config, state)


def from_maskgen(tensors: Mapping[str, Tensor], embedding: int = 768, head_width: int = HEAD_WIDTH) -> Converted:
    """Convert the tensors of MaskGen for TA-TiTok's words; its last layer is its embedding.

    Args:
        tensors: tensors of the file by name.
        embedding: width of a sentence's embedding.
        head_width: width of an attention head.
    """
    vocabulary, width = tensors["embeddings.weight"].shape
    config = {
        "codebook_size": vocabulary - UNUSED, "grid": [tensors["pos_embed"].shape[1]], "vocabulary": vocabulary,
        "width": width, "depth": numbers(tensors, "blocks"), "heads": width // head_width,
        "text_width": tensors["text_embed_proj.weight"].shape[1], "embedding": embedding,
        "score_width": tensors["cond_pooled_proj.weight"].shape[1] - embedding,
    }  # fmt: skip
    state = {"words.weight": tensors["embeddings.weight"], "positions": tensors["pos_embed"][0]}
    state |= renamed(tensors, {"text_embed_proj.": "text.", "cond_pooled_proj.": "told.", "norm.": "norm."})
    return Converted("maskgen", config, state | renamed(tensors, {"blocks.": "blocks."}))
