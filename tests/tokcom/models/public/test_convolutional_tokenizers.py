"""Public convolutional tokenizers: files as they are published, beside the computation that their papers' code does."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tokcom.errors import ModelError
from tokcom.models.zoo import load_tokenizer

pytest.importorskip("diffusers", reason="the packages of requirements/large.txt are not installed")
CHANNELS, WORDS, DIM, SIDE = (32, 64), 24, 8, 16


def norm(t, name, x):
    return F.group_norm(x, 32, t[f"{name}.weight"], t[f"{name}.bias"], 1e-6)


def conv(t, name, x, **how):
    return F.conv2d(x, t[f"{name}.weight"], t.get(f"{name}.bias"), **how)


def block(t, name, x):
    h = conv(t, f"{name}.conv1", F.silu(norm(t, f"{name}.norm1", x)), padding=1)
    h = conv(t, f"{name}.conv2", F.silu(norm(t, f"{name}.norm2", h)), padding=1)
    return h + (conv(t, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in t else x)


def odd_block(t, name, x):
    """As in MaskGIT's code: where the width changes, the shortcut takes the block's own output."""
    h = conv(t, f"{name}.conv1", F.silu(norm(t, f"{name}.norm1", x)), padding=1)
    h = conv(t, f"{name}.conv2", F.silu(norm(t, f"{name}.norm2", h)), padding=1)
    return h + (conv(t, f"{name}.nin_shortcut", h) if f"{name}.nin_shortcut.weight" in t else x)


def attend(t, name, x):
    h = norm(t, f"{name}.norm", x)
    q, k, v = (conv(t, f"{name}.{each}", h).flatten(2) for each in "qkv")
    weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k) * x.shape[1] ** -0.5, -1)
    return x + conv(t, f"{name}.proj_out", torch.einsum("bij,bcj->bci", weights, v).view_as(x))


def encode_taming(t, x):
    h = conv(t, "encoder.conv_in", x, padding=1)
    for level in range(2):
        h = block(t, f"encoder.down.{level}.block.0", h)
        if level == 1:
            h = attend(t, "encoder.down.1.attn.0", h)
        else:
            h = conv(t, "encoder.down.0.downsample.conv", F.pad(h, (0, 1, 0, 1)), stride=2)
    h = block(t, "encoder.mid.block_2", attend(t, "encoder.mid.attn_1", block(t, "encoder.mid.block_1", h)))
    h = conv(t, "encoder.conv_out", F.silu(norm(t, "encoder.norm_out", h)), padding=1)
    return conv(t, "quant_conv", h)


def decode_taming(t, tokens, codebook):
    h = conv(t, "post_quant_conv", codebook[tokens].permute(0, 3, 1, 2))
    h = conv(t, "decoder.conv_in", h, padding=1)
    h = block(t, "decoder.mid.block_2", attend(t, "decoder.mid.attn_1", block(t, "decoder.mid.block_1", h)))
    for level in (1, 0):
        for number in range(2):
            h = block(t, f"decoder.up.{level}.block.{number}", h)
            if level == 1:
                h = attend(t, f"decoder.up.1.attn.{number}", h)
        if level:
            h = conv(t, "decoder.up.1.upsample.conv", F.interpolate(h, scale_factor=2), padding=1)
    return conv(t, "decoder.conv_out", F.silu(norm(t, "decoder.norm_out", h)), padding=1)


def nearest(latents, codebook):
    """Number of the nearest word at each place, by squared distances in double precision."""
    vectors = latents.permute(0, 2, 3, 1).double()
    return (vectors[..., None, :] - codebook.double()).square().sum(-1).argmin(-1)


def block_shapes(name, before, width, shortcut=True):
    shapes = {
        f"{name}.norm1.weight": (before,), f"{name}.norm1.bias": (before,),
        f"{name}.conv1.weight": (width, before, 3, 3), f"{name}.conv1.bias": (width,),
        f"{name}.norm2.weight": (width,), f"{name}.norm2.bias": (width,),
        f"{name}.conv2.weight": (width, width, 3, 3), f"{name}.conv2.bias": (width,),
    }  # fmt: skip
    if before != width and shortcut:
        shapes |= {f"{name}.nin_shortcut.weight": (width, before, 1, 1), f"{name}.nin_shortcut.bias": (width,)}
    return shapes


def attention_shapes(name, width):
    shapes = {f"{name}.norm.weight": (width,), f"{name}.norm.bias": (width,)}
    for each in ("q", "k", "v", "proj_out"):
        shapes |= {f"{name}.{each}.weight": (width, width, 1, 1), f"{name}.{each}.bias": (width,)}
    return shapes


def conv_shapes(name, before, width, size=3):
    return {f"{name}.weight": (width, before, size, size), f"{name}.bias": (width,)}


def taming_shapes():
    small, large = CHANNELS
    shapes = conv_shapes("encoder.conv_in", 3, small) | block_shapes("encoder.down.0.block.0", small, small)
    shapes |= conv_shapes("encoder.down.0.downsample.conv", small, small)
    shapes |= block_shapes("encoder.down.1.block.0", small, large) | attention_shapes("encoder.down.1.attn.0", large)
    for side in ("encoder", "decoder"):
        shapes |= block_shapes(f"{side}.mid.block_1", large, large) | block_shapes(f"{side}.mid.block_2", large, large)
        shapes |= attention_shapes(f"{side}.mid.attn_1", large)
        width = large if side == "encoder" else small
        shapes |= {f"{side}.norm_out.weight": (width,), f"{side}.norm_out.bias": (width,)}
    shapes |= conv_shapes("encoder.conv_out", large, DIM) | conv_shapes("decoder.conv_in", DIM, large)
    for number in range(2):
        shapes |= block_shapes(f"decoder.up.1.block.{number}", large, large)
        shapes |= attention_shapes(f"decoder.up.1.attn.{number}", large)
        shapes |= block_shapes(f"decoder.up.0.block.{number}", small if number else large, small)
    shapes |= conv_shapes("decoder.up.1.upsample.conv", large, large) | conv_shapes("decoder.conv_out", small, 3)
    shapes |= conv_shapes("quant_conv", DIM, DIM, 1) | conv_shapes("post_quant_conv", DIM, DIM, 1)
    return shapes | {"quantize.embedding.weight": (WORDS, DIM)}


def pictures(count=2):
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def as_floats(pictures, low):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 * (1 - low) + low


def as_bytes(values, low):
    return ((values.clamp(low, 1) - low) / (1 - low) * 255).round().byte().permute(0, 2, 3, 1).numpy().astype(int)


def require_same(folder, tokens, decode, low):
    """Check tokens and pictures of a model against those of the original."""
    tokenizer, given = load_tokenizer(folder, device="cpu"), pictures()
    assert len(np.unique(tokens)) > WORDS / 4  # they would show a wrong order of words or places
    assert np.array_equal(tokenizer.encode(given), tokens)
    any_tokens = np.random.default_rng(2).integers(0, WORDS, (2, *tokenizer.grid))
    expected = decode(torch.from_numpy(any_tokens))
    with torch.inference_mode():
        found = tokenizer.network.decode(torch.from_numpy(any_tokens))
    found = found if low == -1 else (found + 1) / 2
    assert expected.std() > 0.05 and found.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert np.abs(tokenizer.decode(any_tokens) - as_bytes(expected, low)).max() <= 1


@pytest.fixture
def vqgan(random_tensors):
    tensors = random_tensors(taming_shapes())
    tensors["quantize.embedding.weight"] *= 2
    return tensors


def test_vqgan(bring, vqgan, tmp_path):
    """A Lightning checkpoint, which holds the losses' networks as well."""
    path = tmp_path / "last.ckpt"
    content = {"epoch": 3, "state_dict": vqgan | {"loss.discriminator.main.0.weight": torch.zeros(3)}}
    torch.save(content, path)
    folder = bring(tokenizer=("taming-vqgan", path, {"image_size": SIDE}))
    latents = encode_taming(vqgan, as_floats(pictures(), -1))
    codebook = vqgan["quantize.embedding.weight"]
    require_same(folder, nearest(latents, codebook).numpy(), lambda ids: decode_taming(vqgan, ids, codebook), -1)


def muse_shapes():
    small, large = CHANNELS
    shapes = {"encoder.conv_in.weight": (small, 3, 3, 3), "quantize.embedding.weight": (WORDS, DIM)}
    blocks = {"encoder.down.0.block.0": (small, small), "encoder.down.1.block.0": (small, large)}
    blocks |= {"decoder.up.1.block.0": (large, large), "decoder.up.0.block.0": (large, small)}
    for side in ("encoder", "decoder"):
        blocks |= {f"{side}.mid.{number}": (large, large) for number in (0, 1)}
        width = large if side == "encoder" else small
        shapes |= {f"{side}.norm_out.weight": (width,), f"{side}.norm_out.bias": (width,)}
    for name, (before, width) in blocks.items():
        unbiased = block_shapes(name, before, width, shortcut=False)
        shapes |= {each: shape for each, shape in unbiased.items() if "conv" not in each or "weight" in each}
        if before != width:
            shapes[f"{name}.nin_shortcut.weight"] = (width, width, 1, 1)
    shapes |= conv_shapes("encoder.conv_out", large, DIM, 1) | conv_shapes("decoder.conv_in", DIM, large)
    return shapes | conv_shapes("decoder.up.1.upsample_conv", large, large) | conv_shapes("decoder.conv_out", small, 3)


def encode_muse(t, x):
    h = odd_block(t, "encoder.down.0.block.0", conv(t, "encoder.conv_in", x, padding=1))
    h = odd_block(t, "encoder.down.1.block.0", F.avg_pool2d(h, 2))
    h = odd_block(t, "encoder.mid.1", odd_block(t, "encoder.mid.0", h))
    return conv(t, "encoder.conv_out", F.silu(norm(t, "encoder.norm_out", h)))


def decode_muse(t, tokens):
    h = t["quantize.embedding.weight"][tokens].permute(0, 3, 1, 2)
    h = conv(t, "decoder.conv_in", h, padding=1)
    h = odd_block(t, "decoder.mid.1", odd_block(t, "decoder.mid.0", h))
    h = F.interpolate(odd_block(t, "decoder.up.1.block.0", h), scale_factor=2)
    h = odd_block(t, "decoder.up.0.block.0", conv(t, "decoder.up.1.upsample_conv", h, padding=1))
    return conv(t, "decoder.conv_out", F.silu(norm(t, "decoder.norm_out", h)), padding=1)


@pytest.fixture
def maskgit_vqgan(random_tensors):
    tensors = random_tensors(muse_shapes())
    # Of few bits, so that half precision represents their products as well.
    rng = torch.Generator().manual_seed(1)
    for name, tensor in tensors.items():
        if "nin_shortcut" in name:
            tensors[name] = torch.where(torch.rand(tensor.shape, generator=rng) < 0.1, (4 * tensor).sign() / 2, 0.0)
            second = name.replace("nin_shortcut", "conv2")
            tensors[second] = (tensors[second] * 64).round() / 64
    return tensors


def test_maskgit_vqgan(bring, maskgit_vqgan, tmp_path):
    path, t = tmp_path / "weights.safetensors", maskgit_vqgan
    save_file(t, path)
    folder = bring(tokenizer=("maskgit-vqgan", path, {"image_size": SIDE}))
    latents = encode_muse(t, as_floats(pictures(), 0))
    tokens = nearest(latents, t["quantize.embedding.weight"]).numpy()
    require_same(folder, tokens, lambda ids: decode_muse(t, ids), 0)


def test_a_vqgan_is_not_taken_for_maskgits(bring, vqgan, maskgit_vqgan, tmp_path):
    """Its shortcuts have the same names, and another shape."""
    path = tmp_path / "weights.safetensors"
    save_file(vqgan, path)
    with pytest.raises(
        ModelError, match=r"weights\.safetensors: not a checkpoint of layout maskgit-vqgan: it lacks decoder"
    ):
        bring(tokenizer=("maskgit-vqgan", path, {}))
    name = "encoder.down.1.block.0.nin_shortcut.weight"
    maskgit_vqgan[name] = vqgan[name]
    save_file(maskgit_vqgan, path)
    with pytest.raises(ModelError, match=r"nin_shortcut.weight is \(64, 32, 1, 1\); it must be applied to 64 channels"):
        bring(tokenizer=("maskgit-vqgan", path, {}))


def llamagen_name(name):
    """Name that LlamaGen's file gives to a tensor of a VQGAN; its decoder's levels are not counted from the end."""
    middle = {"block_1": "0", "attn_1": "1", "block_2": "2"}
    parts = name.split(".")
    if parts[1] == "mid":
        parts[2] = middle[parts[2]]
    elif parts[1] in ("down", "up"):
        level = int(parts[2])
        parts[1:3] = ["conv_blocks", str(level if parts[1] == "down" else 1 - level)]
        parts = ["res" if each == "block" else each for each in parts]
    return ".".join(parts)


def test_llamagen_vq(bring, random_tensors, tmp_path):
    """Words and latents are compared as unit vectors, and the words' unit vectors are decoded."""
    path, t = tmp_path / "vq_ds16_c2i.pt", random_tensors(taming_shapes(), seed=5)
    t["quantize.embedding.weight"] *= torch.linspace(0.5, 4, WORDS)[:, None]  # lengths that would decide otherwise
    t["quantize.embedding.weight"] = t["quantize.embedding.weight"].half().float()
    named = {llamagen_name(name): each for name, each in t.items()}
    torch.save({"model": named | {"quantize.codebook_used": torch.zeros(65536)}}, path)
    folder = bring(tokenizer=("llamagen-vq", path, {"image_size": SIDE}))
    codebook = F.normalize(t["quantize.embedding.weight"], dim=1)
    latents = F.normalize(encode_taming(t, as_floats(pictures(), -1)), dim=1)
    require_same(folder, nearest(latents, codebook).numpy(), lambda ids: decode_taming(t, ids, codebook), -1)


def test_janus_vq(bring, random_tensors, tmp_path):
    """Transformers' own computation, but for unit vectors in its search, as in the code of Janus's authors."""
    transformers = pytest.importorskip("transformers", reason="requirements/large.txt is not installed")
    shape = transformers.models.janus.configuration_janus.JanusVQVAEConfig(
        base_channels=32, channel_multiplier=(1, 2), num_res_blocks=1, latent_channels=DIM, embed_dim=DIM,
        num_embeddings=WORDS, num_patches=SIDE // 2,
    )  # fmt: skip
    network = transformers.JanusVQVAE(shape).eval()
    t = random_tensors({name: tuple(each.shape) for name, each in network.state_dict().items()}, seed=6)
    t["quantize.embedding.weight"] = (t["quantize.embedding.weight"] * torch.linspace(0.5, 4, WORDS)[:, None]).half()
    network.load_state_dict(t)
    path = tmp_path / "model.safetensors"
    others = {"model.language_model.norm.weight": torch.ones(3), "model.vision_model.down.0": torch.ones(3)}
    save_file({f"model.vqmodel.{name}": each for name, each in t.items()} | others, path)
    folder = bring(tokenizer=("janus-vq", path, {"image_size": SIDE}))
    with torch.no_grad():
        latents = F.normalize(network.quant_conv(network.encoder(as_floats(pictures(), -1))), dim=1)
        tokens = nearest(latents, F.normalize(t["quantize.embedding.weight"].float(), dim=1)).numpy()
        require_same(folder, tokens, lambda ids: network.decode(ids.flatten(1)), -1)
