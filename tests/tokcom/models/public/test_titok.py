"""TiTok's files as they are published, beside the computation that its authors' code does."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tokcom.context.condition import NOTHING, Condition
from tokcom.frame import LOST, TokenFrame
from tokcom.models.zoo import load_context, load_tokenizer

pytest.importorskip("diffusers", reason="the packages of requirements/large.txt are not installed")
pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")
N, WORDS, DIM, WIDTH, DEPTH, HEADS, CLASSES = 6, 24, 8, 32, 2, 4, 5
PATCH, SIDE = 2, 8
PLACES = (SIDE // PATCH) ** 2
PROXY, PROXY_DIM, SMALL = 1024, 256, 32


def pair(t, name):
    return t[f"{name}.weight"], t[f"{name}.bias"]


def norm(t, name, x, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], *pair(t, name), eps)


def linear_shapes(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm_shapes(*names, width=WIDTH):
    return {f"{name}.{kind}": (width,) for name in names for kind in ("weight", "bias")}


def multi_head(x, qkv, heads):
    """Attention of x, (batch, places, width), from its queries, keys and values side by side."""
    q, k, v = (each.unflatten(-1, (heads, -1)) for each in qkv.chunk(3, -1))
    weights = torch.softmax(torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1]), -1)
    return torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2)


def block_shapes(name):
    shapes = norm_shapes(f"{name}.ln_1", f"{name}.ln_2")
    shapes |= {f"{name}.attn.in_proj_weight": (3 * WIDTH, WIDTH), f"{name}.attn.in_proj_bias": (3 * WIDTH,)}
    shapes |= linear_shapes(f"{name}.attn.out_proj", WIDTH, WIDTH)
    return (
        shapes
        | linear_shapes(f"{name}.mlp.c_fc", WIDTH, 4 * WIDTH)
        | linear_shapes(f"{name}.mlp.c_proj", 4 * WIDTH, WIDTH)
    )


def transform(t, side, x):
    x = norm(t, f"{side}.ln_pre", x)
    for layer in range(DEPTH):
        name = f"{side}.transformer.{layer}"
        qkv = F.linear(norm(t, f"{name}.ln_1", x), t[f"{name}.attn.in_proj_weight"], t[f"{name}.attn.in_proj_bias"])
        x = x + F.linear(multi_head(x, qkv, HEADS), *pair(t, f"{name}.attn.out_proj"))
        h = F.gelu(F.linear(norm(t, f"{name}.ln_2", x), *pair(t, f"{name}.mlp.c_fc")))
        x = x + F.linear(h, *pair(t, f"{name}.mlp.c_proj"))
    return x


def tokenizer_shapes():
    shapes = {"latent_tokens": (N, WIDTH), "quantize.embedding.weight": (WORDS, DIM)}
    shapes |= {"encoder.patch_embed.weight": (WIDTH, 3, PATCH, PATCH), "encoder.patch_embed.bias": (WIDTH,)}
    shapes |= {"encoder.conv_out.weight": (DIM, WIDTH, 1, 1), "encoder.conv_out.bias": (DIM,)}
    shapes |= linear_shapes("decoder.decoder_embed", DIM, WIDTH) | {"decoder.mask_token": (1, 1, WIDTH)}
    for side in ("encoder", "decoder"):
        shapes |= {f"{side}.class_embedding": (1, WIDTH), f"{side}.positional_embedding": (PLACES + 1, WIDTH)}
        shapes |= {f"{side}.latent_token_positional_embedding": (N, WIDTH)}
        shapes |= norm_shapes(f"{side}.ln_pre", f"{side}.ln_post")
        for layer in range(DEPTH):
            shapes |= block_shapes(f"{side}.transformer.{layer}")
    return shapes


def latents_of(t, pictures, legacy):
    """Latents (batch, N, DIM) of pictures in [0, 1]."""
    x = F.conv2d(pictures, *pair(t, "encoder.patch_embed"), stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat((t["encoder.class_embedding"].expand(len(x), 1, WIDTH), x), 1) + t["encoder.positional_embedding"]
    own = (t["latent_tokens"] + t["encoder.latent_token_positional_embedding"]).expand(len(x), N, WIDTH)
    x = norm(t, "encoder.ln_post", transform(t, "encoder", torch.cat((x, own), 1))[:, 1 + PLACES :])
    x = x.reshape(len(x), WIDTH, N, 1) if legacy else x.reshape(len(x), N, WIDTH, 1).permute(0, 2, 1, 3)
    return F.conv2d(x, *pair(t, "encoder.conv_out")).reshape(len(x), DIM, N).transpose(1, 2)


def features_of(t, vectors):
    """What the decoder makes of words' vectors (batch, N, DIM), (batch, WIDTH, rows, columns)."""
    count = len(vectors)
    x = F.linear(vectors, *pair(t, "decoder.decoder_embed")) + t["decoder.latent_token_positional_embedding"]
    masks = torch.cat((t["decoder.class_embedding"][None], t["decoder.mask_token"].expand(1, PLACES, WIDTH)), 1)
    masks = (masks + t["decoder.positional_embedding"]).expand(count, -1, -1)
    x = norm(t, "decoder.ln_post", transform(t, "decoder", torch.cat((masks, x), 1))[:, 1 : 1 + PLACES])
    return x.transpose(1, 2).reshape(count, WIDTH, SIDE // PATCH, SIDE // PATCH)


def require_same(folder, tokens, decode):
    tokenizer = load_tokenizer(folder, device="cpu")
    assert tokenizer.grid == (N,) and len(np.unique(tokens)) > 2
    assert np.array_equal(tokenizer.encode(pictures()), tokens)
    any_tokens = torch.from_numpy(np.random.default_rng(2).integers(0, WORDS, (2, N)))
    with torch.inference_mode():
        found = (tokenizer.network.decode(any_tokens) + 1) / 2
    expected = decode(any_tokens)
    assert expected.std() > 0.05 and found.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    return tokenizer


def pictures():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)


def nearest(latents, words):
    return (latents[:, :, None].double() - words.double()).square().sum(-1).argmin(-1).numpy()


def one_stage(random_tensors):
    shapes = tokenizer_shapes() | {"decoder.ffn.0.weight": (3 * PATCH**2, WIDTH, 1, 1)}
    shapes |= {"decoder.ffn.0.bias": (3 * PATCH**2,), "decoder.conv_out.weight": (3, 3, 3, 3)}
    tensors = random_tensors(shapes | {"decoder.conv_out.bias": (3,)})
    tensors["latent_tokens"] *= 8  # which differ more than patches do
    return tensors


def save(tmp_path, tensors):
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    return path


def test_a_tokenizer_of_one_stage(bring, random_tensors, tmp_path):
    """Its words are not of length 1, and each patch's pixels come rows first, colours last."""
    t = one_stage(random_tensors)
    settings = {"unit_vectors": False, "image_size": SIDE, "head_width": WIDTH // HEADS}
    folder = bring(tokenizer=("titok", save(tmp_path, t), settings))
    given = torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255
    words = t["quantize.embedding.weight"]

    def decode(tokens):
        x = F.conv2d(features_of(t, words[tokens]), *pair(t, "decoder.ffn.0"))
        side = SIDE // PATCH
        x = x.reshape(len(x), PATCH, PATCH, 3, side, side).permute(0, 3, 4, 1, 5, 2).reshape(len(x), 3, SIDE, SIDE)
        return F.conv2d(x, *pair(t, "decoder.conv_out"), padding=1)

    require_same(folder, nearest(latents_of(t, given, legacy=False), words), decode)


def residual_shapes(name, before, width):
    shapes = norm_shapes(f"{name}.norm1", width=before) | norm_shapes(f"{name}.norm2", width=width)
    return shapes | {f"{name}.conv1.weight": (width, before, 3, 3), f"{name}.conv2.weight": (width, width, 3, 3)}


def residual(t, name, x):
    for number in (1, 2):
        h = F.group_norm(x if number == 1 else h, 32, *pair(t, f"{name}.norm{number}"), 1e-6)  # noqa: F821
        h = F.conv2d(F.silu(h), t[f"{name}.conv{number}.weight"], padding=1)
    return x + h


def test_a_tokenizer_of_two_stages(bring, random_tensors, tmp_path):
    """Words of length 1; the encoder reads its latents' array in the other order; MaskGIT's decoder makes pixels."""
    shapes = tokenizer_shapes() | {"decoder.ffn.0.weight": (2 * WIDTH, WIDTH, 1, 1), "decoder.ffn.0.bias": (2 * WIDTH,)}
    shapes |= {"decoder.ffn.2.weight": (PROXY, 2 * WIDTH, 1, 1), "decoder.ffn.2.bias": (PROXY,)}
    shapes |= {"pixel_quantize.embedding.weight": (PROXY, PROXY_DIM)}
    shapes |= {"pixel_decoder.conv_in.weight": (SMALL, PROXY_DIM, 3, 3), "pixel_decoder.conv_in.bias": (SMALL,)}
    blocks = ("mid.0", "mid.1", "up.1.block.0", "up.0.block.0")
    for name in blocks:
        shapes |= residual_shapes(f"pixel_decoder.{name}", SMALL, SMALL)
    shapes |= {"pixel_decoder.up.1.upsample_conv.weight": (SMALL, SMALL, 3, 3)}
    shapes |= {"pixel_decoder.up.1.upsample_conv.bias": (SMALL,), "pixel_decoder.conv_out.weight": (3, SMALL, 3, 3)}
    shapes |= norm_shapes("pixel_decoder.norm_out", width=SMALL) | {"pixel_decoder.conv_out.bias": (3,)}
    t = random_tensors(shapes)
    t["pixel_quantize.embedding.weight"] *= 16
    settings = {"unit_vectors": True, "image_size": SIDE, "head_width": WIDTH // HEADS}
    folder = bring(tokenizer=("titok", save(tmp_path, t), settings))
    given = torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255
    words = F.normalize(t["quantize.embedding.weight"], dim=1)

    def decode(tokens):
        x = torch.tanh(F.conv2d(features_of(t, words[tokens]), *pair(t, "decoder.ffn.0")))
        shares = F.conv2d(x, *pair(t, "decoder.ffn.2")).softmax(1)
        h = torch.einsum("nchw,cd->ndhw", shares, t["pixel_quantize.embedding.weight"])
        h = F.conv2d(h, *pair(t, "pixel_decoder.conv_in"), padding=1)
        h = residual(t, "pixel_decoder.mid.1", residual(t, "pixel_decoder.mid.0", h))
        h = F.interpolate(residual(t, "pixel_decoder.up.1.block.0", h), scale_factor=2)
        h = F.conv2d(h, *pair(t, "pixel_decoder.up.1.upsample_conv"), padding=1)
        h = residual(t, "pixel_decoder.up.0.block.0", h)
        h = F.silu(F.group_norm(h, 32, *pair(t, "pixel_decoder.norm_out"), 1e-6))
        return F.conv2d(h, *pair(t, "pixel_decoder.conv_out"), padding=1)

    latents = F.normalize(latents_of(t, given, legacy=True), dim=-1)
    require_same(folder, nearest(latents, words), decode)


def test_losses_fade_to_grey(bring, random_tensors, tmp_path):
    """A token has no patch: the more are lost, the nearer the picture is to grey; with none known it is grey."""
    settings = {"unit_vectors": False, "image_size": SIDE, "head_width": WIDTH // HEADS}
    tokenizer = load_tokenizer(
        bring(tokenizer=("titok", save(tmp_path, one_stage(random_tensors)), settings)), device="cpu"
    )
    tokens = np.random.default_rng(4).integers(0, WORDS, N)
    distances = []
    for lost in (0, 2, 4, N):
        frame = TokenFrame(np.where(np.arange(N) < lost, LOST, tokens), tokenizer.codebook, WORDS, (N,), "image")
        picture = tokenizer.detokenize(frame)
        assert np.array_equal(picture, tokenizer.detokenize(frame)) and picture.shape == (SIDE, SIDE, 3)
        distances.append(np.abs(picture.astype(int) - 128).mean())
    assert distances == sorted(distances, reverse=True) and distances[-1] == 0
    whole = TokenFrame(tokens, tokenizer.codebook, WORDS, (N,), "image")
    assert np.array_equal(tokenizer.detokenize(whole), tokenizer.decode(tokens[None])[0])


def a_frame():
    """Tokens (1, N) of which some are lost, and where; and the tokens with the mask's number, WORDS."""
    tokens, lost = np.array([[3, LOST, 20, LOST, LOST, 7]]), np.array([[0, 1, 0, 1, 1, 0]], bool)
    return tokens, lost, np.where(lost, WORDS, tokens)[0]


def require_same_logits(folder, logits_of):
    tokens, lost, masked = a_frame()
    prior = load_context(folder, "cpu")
    assert prior.grid == (N,) and prior.num_classes == CLASSES
    for label, condition in ((2, Condition(2)), (CLASSES, NOTHING)):
        ids = torch.tensor([WORDS + 1 + label, *masked])
        expected = logits_of(ids)[1:][lost[0]].log_softmax(-1)
        assert expected.std() > 0.3
        assert prior.log_probabilities(tokens, lost, [condition]) == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_generator_that_is_a_bert(bring, random_tensors, tmp_path):
    inside = "model.embeddings"
    shapes = {f"{inside}.word_embeddings.weight": (WORDS + CLASSES + 2, WIDTH)}
    shapes |= {f"{inside}.position_embeddings.weight": (N + 1, WIDTH)}
    shapes |= {f"{inside}.token_type_embeddings.weight": (2, WIDTH)} | norm_shapes(f"{inside}.LayerNorm")
    shapes |= linear_shapes("model.lm_head", WIDTH, WORDS)
    for layer in range(DEPTH):
        name = f"model.encoder.layer.{layer}"
        for each in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= linear_shapes(f"{name}.{each}", WIDTH, WIDTH)
        shapes |= norm_shapes(f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm")
        shapes |= linear_shapes(f"{name}.intermediate.dense", WIDTH, 48) | linear_shapes(
            f"{name}.output.dense", 48, WIDTH
        )
    t = random_tensors(shapes)
    path = save(tmp_path, t | {f"{inside}.position_ids": torch.arange(N + 1)[None]})
    settings = {"num_classes": CLASSES, "head_width": WIDTH // HEADS}

    def logits_of(ids):
        x = t[f"{inside}.word_embeddings.weight"][ids] + t[f"{inside}.position_embeddings.weight"]
        x = norm(t, f"{inside}.LayerNorm", x + t[f"{inside}.token_type_embeddings.weight"][0], 1e-12)[None]
        for layer in range(DEPTH):
            name = f"model.encoder.layer.{layer}"
            parts = [F.linear(x, *pair(t, f"{name}.attention.self.{each}")) for each in ("query", "key", "value")]
            h = F.linear(multi_head(x, torch.cat(parts, -1), HEADS), *pair(t, f"{name}.attention.output.dense"))
            x = norm(t, f"{name}.attention.output.LayerNorm", h + x, 1e-12)
            h = F.linear(F.gelu(F.linear(x, *pair(t, f"{name}.intermediate.dense"))), *pair(t, f"{name}.output.dense"))
            x = norm(t, f"{name}.output.LayerNorm", h + x, 1e-12)
        return F.linear(x[0], *pair(t, "model.lm_head"))

    require_same_logits(bring(context=("titok-bert", path, settings)), logits_of)


def test_a_generator_that_is_a_uvit(bring, random_tensors, tmp_path):
    shapes = {"embeddings.weight": (WORDS + CLASSES + 2, WIDTH), "pos_embed": (1, N + 1, WIDTH)}
    shapes |= norm_shapes("norm") | linear_shapes("lm_head", WIDTH, WORDS)
    names = ["in_blocks.0", "in_blocks.1", "mid_block", "out_blocks.0", "out_blocks.1"]
    for name in names:
        shapes |= norm_shapes(f"{name}.norm1", f"{name}.norm2") | {f"{name}.attn.qkv.weight": (3 * WIDTH, WIDTH)}
        shapes |= linear_shapes(f"{name}.attn.proj", WIDTH, WIDTH)
        shapes |= linear_shapes(f"{name}.mlp.fc1", WIDTH, 48) | linear_shapes(f"{name}.mlp.fc2", 48, WIDTH)
        if name.startswith("out"):
            shapes |= linear_shapes(f"{name}.skip_linear", 2 * WIDTH, WIDTH)
    t = random_tensors(shapes)
    settings = {"num_classes": CLASSES, "head_width": WIDTH // HEADS}

    def block(name, x):
        qkv = norm(t, f"{name}.norm1", x) @ t[f"{name}.attn.qkv.weight"].T
        x = x + F.linear(multi_head(x, qkv, HEADS), *pair(t, f"{name}.attn.proj"))
        h = F.gelu(F.linear(norm(t, f"{name}.norm2", x), *pair(t, f"{name}.mlp.fc1")))
        return x + F.linear(h, *pair(t, f"{name}.mlp.fc2"))

    def logits_of(ids):
        first = block("in_blocks.0", (t["embeddings.weight"][ids] + t["pos_embed"][0])[None])
        second = block("in_blocks.1", first)
        x = block("mid_block", second)
        for name, skip in (("out_blocks.0", second), ("out_blocks.1", first)):
            x = block(name, F.linear(torch.cat((x, skip), -1), *pair(t, f"{name}.skip_linear")))
        return F.linear(norm(t, "norm", x[0]), *pair(t, "lm_head"))

    require_same_logits(bring(context=("titok-uvit", save(tmp_path, t), settings)), logits_of)
