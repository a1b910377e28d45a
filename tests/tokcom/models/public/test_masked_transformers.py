"""Public masked transformers: files as they are published, beside the computation that their authors' code does."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tokcom.context.condition import NOTHING, Condition
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame
from tokcom.models.zoo import load_context

msgpack = pytest.importorskip("msgpack", reason="the packages of requirements/large.txt are not installed")
pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")
WORDS, CLASSES, SIDE, WIDTH, DEPTH, HEADS, MLP = 20, 5, 3, 32, 2, 4, 48
PLACES = SIDE**2


def a_frame(places=PLACES):
    """Tokens (1, places) with losses, and where they are."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, WORDS, (1, places))
    lost = rng.random((1, places)) < 0.5
    return np.where(lost, LOST, tokens), lost


def require_same(folder, logits, condition, places=PLACES):
    """Check what a model says of lost tokens against logits (places, WORDS) of the original."""
    prior, (tokens, lost) = load_context(folder, "cpu"), a_frame(places)
    expected = logits[lost[0]].log_softmax(-1)
    assert expected.std() > 0.3
    assert prior.log_probabilities(tokens, lost, [condition]) == pytest.approx(expected.numpy(), abs=1e-4)


def attention(t, x, heads, query, key, value, out):
    """Attention of all places of x, (places, width), by names of its linear layers' (weight, bias)."""
    width = x.shape[1]
    q, k, v = (F.linear(x, *each).view(len(x), heads, width // heads) for each in (query, key, value))
    weights = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(width // heads), -1)
    return F.linear(torch.einsum("hij,jhd->ihd", weights, v).reshape(len(x), width), *out)


def pair(t, name):
    return t[f"{name}.weight"], t[f"{name}.bias"]


def layer_norm(t, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], *pair(t, name), eps)


def valeo_shapes():
    shapes = {"tok_emb.weight": (WORDS + CLASSES + 2, WIDTH), "pos_emb": (1, PLACES + 1, WIDTH)}
    shapes["bias"] = (PLACES + 1, WORDS + CLASSES + 2)
    for layer, numbers in (("first_layer", (0, 4)), ("last_layer", (0, 4))):
        for number in numbers:
            shapes |= {f"{layer}.{number}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    for name in ("first_layer.2", "first_layer.6", "last_layer.2"):
        shapes |= {f"{name}.weight": (WIDTH, WIDTH), f"{name}.bias": (WIDTH,)}
    for layer in range(DEPTH):
        name = f"transformer.layers.{layer}"
        for number in (0, 1):
            shapes |= {f"{name}.{number}.norm.{kind}": (WIDTH,) for kind in ("weight", "bias")}
        shapes |= {f"{name}.0.fn.mha.in_proj_weight": (3 * WIDTH, WIDTH), f"{name}.0.fn.mha.in_proj_bias": (3 * WIDTH,)}
        shapes |= {f"{name}.0.fn.mha.out_proj.weight": (WIDTH, WIDTH), f"{name}.0.fn.mha.out_proj.bias": (WIDTH,)}
        shapes |= {f"{name}.1.fn.net.0.weight": (MLP, WIDTH), f"{name}.1.fn.net.0.bias": (MLP,)}
        shapes |= {f"{name}.1.fn.net.3.weight": (WIDTH, MLP), f"{name}.1.fn.net.3.bias": (WIDTH,)}
    return shapes


def valeo_logits(t, tokens, label):
    """Logits (PLACES, WORDS); tokens with WORDS for the mask, which is its number in the file, too."""
    ids = torch.cat((torch.tensor(tokens), torch.tensor([WORDS + 1 + label])))
    x = t["tok_emb.weight"][ids] + t["pos_emb"][0]
    x = F.gelu(F.linear(layer_norm(t, "first_layer.0", x, 1e-12), *pair(t, "first_layer.2")))
    x = F.linear(layer_norm(t, "first_layer.4", x, 1e-12), *pair(t, "first_layer.6"))
    for layer in range(DEPTH):
        name = f"transformer.layers.{layer}"
        rows = zip(*(t[f"{name}.0.fn.mha.in_proj_{kind}"].chunk(3) for kind in ("weight", "bias")), strict=True)
        h = layer_norm(t, f"{name}.0.norm", x, 1e-5)
        x = x + attention(t, h, HEADS, *rows, pair(t, f"{name}.0.fn.mha.out_proj"))
        h = F.gelu(F.linear(layer_norm(t, f"{name}.1.norm", x, 1e-5), *pair(t, f"{name}.1.fn.net.0")))
        x = x + F.linear(h, *pair(t, f"{name}.1.fn.net.3"))
    x = layer_norm(
        t, "last_layer.4", F.gelu(F.linear(layer_norm(t, "last_layer.0", x, 1e-12), *pair(t, "last_layer.2"))), 1e-12
    )
    return (x @ t["tok_emb.weight"].T + t["bias"])[:PLACES, :WORDS]


def test_valeo_maskgit(bring, random_tensors, tmp_path):
    """A checkpoint of a training, with its optimizer; told by a class, and by the null class."""
    path, t = tmp_path / "MaskGIT.pth", random_tensors(valeo_shapes())
    torch.save({"iter": 1, "global_epoch": 2, "model_state_dict": t, "optimizer_state_dict": {"state": {}}}, path)
    folder = bring(context=("valeo-maskgit", path, {"heads": HEADS, "num_classes": CLASSES}))
    masked = np.where(a_frame()[1], WORDS, a_frame()[0])[0]
    require_same(folder, valeo_logits(t, masked, 3), Condition(3))
    require_same(folder, valeo_logits(t, masked, CLASSES), NOTHING)


def flax_shapes():
    heads = (HEADS, WIDTH // HEADS)
    shapes = {"Embed_0/word_embeddings/embedding": (WORDS + CLASSES + 1, WIDTH)}
    shapes["Embed_0/position_embeddings/embedding"] = (PLACES + 1, WIDTH)
    shapes |= {"MlmLayer_0/mlm_bias/bias": (WORDS + CLASSES + 1,)}
    norms = ["Embed_0/embeddings_ln", "MlmLayer_0/mlm_ln"]
    dense = {"MlmLayer_0/mlm_dense": ((WIDTH, WIDTH), (WIDTH,))}
    for layer in range(DEPTH):
        name = f"TransformerLayer_{layer}"
        norms += [f"{name}/Attention_0/attention_output_ln", f"{name}/Mlp_0/layer_output_ln"]
        for each in ("query", "key", "value"):
            dense[f"{name}/Attention_0/self_attention/{each}"] = (WIDTH, *heads), heads
        dense[f"{name}/Attention_0/self_attention/out"] = (*heads, WIDTH), (WIDTH,)
        dense[f"{name}/Mlp_0/intermediate_output"] = (WIDTH, MLP), (MLP,)
        dense[f"{name}/Mlp_0/layer_output"] = (MLP, WIDTH), (WIDTH,)
    shapes |= {f"{name}/{kind}": (WIDTH,) for name in norms for kind in ("scale", "bias")}
    for name, (kernel, bias) in dense.items():
        shapes |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    return shapes


def flax_logits(t, tokens, label):
    """Logits (PLACES, WORDS); post-norm blocks, kernels with the inputs first, GELU by tanh."""

    def norm(name, x):
        return F.layer_norm(x, (WIDTH,), t[f"{name}/scale"], t[f"{name}/bias"], 1e-12)

    def gelu(x):
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    words = t["Embed_0/word_embeddings/embedding"]
    ids = torch.tensor([WORDS + label, *(len(words) - 1 if token == WORDS else token for token in tokens)])
    x = norm("Embed_0/embeddings_ln", words[ids] + t["Embed_0/position_embeddings/embedding"])
    for layer in range(DEPTH):
        name = f"TransformerLayer_{layer}"
        inside = f"{name}/Attention_0/self_attention"
        q, k, v = (
            torch.einsum("iw,whd->ihd", x, t[f"{inside}/{each}/kernel"]) + t[f"{inside}/{each}/bias"]
            for each in ("query", "key", "value")
        )
        weights = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[-1]), -1)
        mixed = torch.einsum("hij,jhd->ihd", weights, v)
        out = torch.einsum("ihd,hdw->iw", mixed, t[f"{inside}/out/kernel"]) + t[f"{inside}/out/bias"]
        x = norm(f"{name}/Attention_0/attention_output_ln", out + x)
        h = gelu(x @ t[f"{name}/Mlp_0/intermediate_output/kernel"] + t[f"{name}/Mlp_0/intermediate_output/bias"])
        h = h @ t[f"{name}/Mlp_0/layer_output/kernel"] + t[f"{name}/Mlp_0/layer_output/bias"]
        x = norm(f"{name}/Mlp_0/layer_output_ln", h + x)
    x = norm("MlmLayer_0/mlm_ln", gelu(x @ t["MlmLayer_0/mlm_dense/kernel"] + t["MlmLayer_0/mlm_dense/bias"]))
    return (x @ words.T + t["MlmLayer_0/mlm_bias/bias"])[1:, :WORDS]


def packed(array):
    """An array as Flax writes it: MessagePack's extension 1 of shape, type and raw numbers."""
    array = array.numpy()
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True))


def tree_of(tensors, chunked):
    """Flax's tree of arrays; one of them in pieces, as large ones are."""
    tree = {}
    for name, tensor in tensors.items():
        *path, last = name.split("/")
        inner = tree
        for each in path:
            inner = inner.setdefault(each, {})
        inner[last] = packed(tensor)
        if name == chunked:
            pieces = tensor.flatten().split(100)
            inner[last] = {
                "__msgpack_chunked_array__": True,
                "shape": {str(axis): size for axis, size in enumerate(tensor.shape)},
                "chunks": {str(number): packed(piece) for number, piece in enumerate(pieces)},
            }
    return tree


def test_google_maskgit(bring, random_tensors, tmp_path):
    path, t = tmp_path / "maskgit_checkpoint", random_tensors(flax_shapes())
    t["MlmLayer_0/mlm_bias/bias"] = torch.linspace(-1, 1, WORDS + CLASSES + 1).half().float()
    path.write_bytes(msgpack.packb({"step": 7, "params": tree_of(t, "Embed_0/word_embeddings/embedding")}))
    folder = bring(context=("flax-maskgit", path, {"num_classes": CLASSES}))
    masked = np.where(a_frame()[1], WORDS, a_frame()[0])[0]
    require_same(folder, flax_logits(t, masked, 2), Condition(2))
    # It was never trained without a class.
    prior = load_context(folder, "cpu")
    frame = TokenFrame(a_frame()[0][0], prior.codebook, WORDS, (SIDE, SIDE), "image")
    with pytest.raises(ModelError, match=r"comes without a label.* 0 to 4"):
        prior.require_fit(frame, NOTHING)


HEAD = WIDTH // 3
"""Width of a head where three heads do not fill the network's width."""


def halton_shapes():
    inside = 3 * HEAD
    shapes = {"tok_emb.weight": (WORDS + 1, WIDTH), "cls_emb.weight": (CLASSES + 1, WIDTH)}
    shapes |= {"pos_emb.weight": (PLACES, WIDTH), "reg_tokens.weight": (1, WIDTH), "head.bias": (WORDS + 1,)}
    shapes |= {"last_norm.norm_final.weight": (WIDTH,), "last_norm.norm_final.bias": (WIDTH,)}
    shapes |= {"last_norm.mlp.1.weight": (2 * WIDTH, WIDTH), "last_norm.mlp.1.bias": (2 * WIDTH,)}
    for layer in range(DEPTH):
        name = f"transformer.layers.{layer}"
        shapes |= {f"{name}.mlp.1.weight": (6 * WIDTH, WIDTH), f"{name}.mlp.1.bias": (6 * WIDTH,)}
        shapes |= {f"{name}.ln1.weight": (WIDTH,), f"{name}.ln2.weight": (WIDTH,)}
        shapes |= {f"{name}.attn.{each}.weight": (inside, WIDTH) for each in ("wq", "wk", "wv")}
        shapes |= {f"{name}.attn.wo.weight": (WIDTH, inside), f"{name}.ff.w2.weight": (WIDTH, MLP)}
        shapes |= {f"{name}.ff.{each}.weight": (MLP, WIDTH) for each in ("w1", "w3")}
    return shapes


def halton_logits(t, tokens, label):
    """Logits (PLACES, WORDS); the mask's number is WORDS, the null class's CLASSES."""

    def rms(x):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    told = F.silu(t["cls_emb.weight"][label])
    x = torch.cat((t["tok_emb.weight"][torch.tensor(tokens)] + t["pos_emb.weight"], t["reg_tokens.weight"]))
    for layer in range(DEPTH):
        name = f"transformer.layers.{layer}"
        first, second = F.linear(told, *pair(t, f"{name}.mlp.1")).view(2, 3, WIDTH)
        h = t[f"{name}.ln1.weight"] * rms(x) * (1 + first[1]) + first[0]
        q, k, v = (h @ t[f"{name}.attn.{each}.weight"].T for each in ("wq", "wk", "wv"))
        q, k, v = (each.view(-1, 3, HEAD) for each in (rms(q), rms(k), v))
        weights = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(HEAD), -1)
        mixed = torch.einsum("hij,jhd->ihd", weights, v).reshape(len(x), 3 * HEAD)
        x = x + first[2] * (mixed @ t[f"{name}.attn.wo.weight"].T)
        h = t[f"{name}.ln2.weight"] * rms(x) * (1 + second[1]) + second[0]
        gated = F.silu(h @ t[f"{name}.ff.w1.weight"].T) * (h @ t[f"{name}.ff.w3.weight"].T)
        x = x + second[2] * (gated @ t[f"{name}.ff.w2.weight"].T)
    shift, scale = F.linear(told, *pair(t, "last_norm.mlp.1")).view(2, WIDTH)
    x = (t["last_norm.norm_final.weight"] * rms(x) + t["last_norm.norm_final.bias"]) * (1 + scale) + shift
    return (x[:PLACES] @ t["tok_emb.weight"].T + t["head.bias"])[:, :WORDS]


def test_halton_maskgit(bring, random_tensors, tmp_path):
    """From a compiled and distributed training; the head's weights are those of the embedding, kept twice."""
    path, t = tmp_path / "ImageNet_256_small.pth", random_tensors(halton_shapes())
    named = {f"module._orig_mod.{name}": each for name, each in (t | {"head.weight": t["tok_emb.weight"]}).items()}
    torch.save({"iter": 1, "model_state_dict": named, "optimizer_state_dict": {}}, path)
    folder = bring(context=("halton-maskgit", path, {"heads": 3}))
    masked = np.where(a_frame()[1], WORDS, a_frame()[0])[0]
    require_same(folder, halton_logits(t, masked, 1), Condition(1))
    require_same(folder, halton_logits(t, masked, CLASSES), NOTHING)
