"""TA-TiTok's and MaskGen's files as they are published, beside the computation that their authors' code does."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.description import sentence_of
from tokcom.context.recovery import Recovery
from tokcom.frame import LOST, TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.descriptions import describe_for
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context, load_tokenizer

pytest.importorskip("diffusers", reason="the packages of requirements/large.txt are not installed")
transformers = pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")
WORDS, N, WIDTH, HEADS, DEPTH, TEXT, PLACES, SCORE = 24, 6, 32, 4, 2, 16, 8, 8
PATCH, SIDE, DIM = 2, 8, 8
LETTERS = ["a", "b", "a</w>", "b</w>", "<|startoftext|>", "<|endoftext|>"]


def linear(t, name, x):
    return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])


def shapes_of(layers):
    """Shapes of linear layers by name: (outputs, inputs)."""
    found = {}
    for name, shape in layers.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def attend(q, k, v):
    """Attention of (places, heads, width)."""
    weights = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[-1]), -1)
    return torch.einsum("hij,jhd->ihd", weights, v).flatten(1)


@pytest.fixture
def text():
    """A text encoder whose sentences are filled up with word 0."""
    shape = transformers.CLIPTextConfig(
        vocab_size=len(LETTERS), hidden_size=TEXT, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        projection_dim=TEXT, max_position_embeddings=PLACES, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.CLIPTextModelWithProjection(shape).eval()
    for each in network.parameters():
        each.data = (each.data * 10 if each.ndim > 1 else each.data).half().float()
    return network


@pytest.fixture
def encoded(text):
    """Encodes the sentence of a word, or the empty one, with the stock network."""

    def encode(*words):
        ids = [LETTERS.index(word) for word in ("<|startoftext|>", *words, "<|endoftext|>")]
        with torch.no_grad():
            return text(torch.tensor([ids + [0] * (PLACES - len(ids))]), output_hidden_states=True)

    return encode


@pytest.fixture
def text_part(text, tmp_path):
    vocabulary, merges, path = tmp_path / "vocab.json", tmp_path / "merges.txt", tmp_path / "clip.safetensors"
    vocabulary.write_text(json.dumps({word: number for number, word in enumerate(LETTERS)}), encoding="utf-8")
    merges.write_text("#version: 0.2\n", encoding="utf-8")
    save_file({name: each.contiguous() for name, each in text.state_dict().items()}, path)
    return "clip-text", path, {"head_width": TEXT // 2, "pad": 0}, vocabulary, merges


def block_shapes(name, last):
    layers = {f"{name}.norm1.linear": (6 * WIDTH, WIDTH)}
    layers[f"{name}.norm1_context.linear"] = (2 * WIDTH if last else 6 * WIDTH, WIDTH)
    for each in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj"):
        layers[f"{name}.attn.{each}"] = (WIDTH, WIDTH)
    feeds = ["ff"] if last else ["ff", "ff_context"]
    if not last:
        layers[f"{name}.attn.to_add_out"] = (WIDTH, WIDTH)
    for each in feeds:
        layers |= {f"{name}.{each}.net.0.proj": (4 * WIDTH, WIDTH), f"{name}.{each}.net.2": (WIDTH, 4 * WIDTH)}
    return shapes_of(layers)


def maskgen_logits(t, ids, features, embedding):
    """Logits (N, WORDS): joint blocks of Stable Diffusion 3 over tokens and words, the last for tokens alone."""

    def norm(x):
        return F.layer_norm(x, (WIDTH,), eps=1e-6)

    def heads(name, x):
        return linear(t, name, x).view(len(x), HEADS, -1)

    def feed(name, x):
        return linear(t, f"{name}.net.2", F.gelu(linear(t, f"{name}.net.0.proj", x), approximate="tanh"))

    angles = 650 * torch.exp(-math.log(1000) * torch.arange(SCORE // 2) / (SCORE // 2))
    told = linear(t, "cond_pooled_proj", torch.cat((embedding, angles.sin(), angles.cos())))
    x, text = t["embeddings.weight"][ids] + t["pos_embed"][0], linear(t, "text_embed_proj", features)
    for layer in range(DEPTH):
        name, last = f"blocks.{layer}", layer == DEPTH - 1
        mine = linear(t, f"{name}.norm1.linear", F.silu(told)).chunk(6)
        theirs = linear(t, f"{name}.norm1_context.linear", F.silu(told)).chunk(2 if last else 6)
        h = norm(x) * (1 + mine[1]) + mine[0]
        # The last one scales first.
        g = norm(text) * (1 + theirs[0 if last else 1]) + theirs[1 if last else 0]
        q, k, v = (
            torch.cat((heads(f"{name}.attn.to_{each}", h), heads(f"{name}.attn.add_{each}_proj", g))) for each in "qkv"
        )
        mixed = attend(q, k, v)
        x = x + mine[2] * linear(t, f"{name}.attn.to_out.0", mixed[:N])
        x = x + mine[5] * feed(f"{name}.ff", norm(x) * (1 + mine[4]) + mine[3])
        if not last:
            text = text + theirs[2] * linear(t, f"{name}.attn.to_add_out", mixed[N:])
            text = text + theirs[5] * feed(f"{name}.ff_context", norm(text) * (1 + theirs[4]) + theirs[3])
    scale, shift = linear(t, "norm.linear", F.silu(told)).chunk(2)
    return (norm(x) * (1 + scale) + shift) @ t["embeddings.weight"][:WORDS].T


@pytest.fixture
def context_part(random_tensors, tmp_path):
    """MaskGen's file, and its tensors."""
    shapes = {"embeddings.weight": (WORDS + 1002, WIDTH), "pos_embed": (1, N, WIDTH)}
    layers = {"text_embed_proj": (WIDTH, TEXT), "cond_pooled_proj": (WIDTH, TEXT + SCORE)}
    shapes |= shapes_of(layers | {"norm.linear": (2 * WIDTH, WIDTH)})
    for layer in range(DEPTH):
        shapes |= block_shapes(f"blocks.{layer}", layer == DEPTH - 1)
    t, path = random_tensors(shapes), tmp_path / "maskgen.safetensors"
    save_file(t | {"lm_head.weight": t["embeddings.weight"].clone()}, path)
    return ("maskgen", path, {"embedding": TEXT, "head_width": WIDTH // HEADS}), t


def test_maskgen(bring, text_part, context_part, encoded):
    part, t = context_part
    prior = load_context(bring(text=text_part, context=part), "cpu")
    tokens = np.array([[3, LOST, 20, LOST, LOST, 7]])
    lost = tokens == LOST
    for condition, words in ((Condition(text="B"), ["b</w>"]), (NOTHING, [])):
        prior.require_fit(TokenFrame(tokens[0], prior.codebook, WORDS, (N,), "image"), condition)
        told = encoded(*words)
        ids = torch.from_numpy(np.where(lost, WORDS, tokens)[0])
        logits = maskgen_logits(t, ids, told.hidden_states[-2][0], told.text_embeds[0])
        expected = logits[torch.from_numpy(lost[0])].log_softmax(-1)
        assert expected.std() > 0.3
        assert prior.log_probabilities(tokens, lost, [condition]) == pytest.approx(expected.detach().numpy(), abs=1e-4)


def tatitok_shapes():
    places = (SIDE // PATCH) ** 2
    shapes = {"latent_tokens": (N, WIDTH), "quantize.embedding.weight": (WORDS, DIM), "quantize.embed_prob": (WORDS,)}
    shapes |= {"encoder.patch_embed.weight": (WIDTH, 3, PATCH, PATCH), "encoder.patch_embed.bias": (WIDTH,)}
    shapes |= {"encoder.conv_out.weight": (DIM, WIDTH, 1, 1), "encoder.conv_out.bias": (DIM,)}
    shapes |= {"decoder.mask_token": (1, 1, WIDTH), "decoder.text_guidance_positional_embedding": (PLACES, WIDTH)}
    shapes |= {"decoder.ffn.0.weight": (3 * PATCH**2, WIDTH, 1, 1), "decoder.ffn.0.bias": (3 * PATCH**2,)}
    shapes |= {"decoder.conv_out.weight": (3, 3, 3, 3), "decoder.conv_out.bias": (3,)}
    layers = {"decoder.decoder_embed": (WIDTH, DIM), "decoder.text_guidance_proj": (WIDTH, TEXT)}
    for side in ("encoder", "decoder"):
        shapes |= {f"{side}.class_embedding": (1, WIDTH), f"{side}.positional_embedding": (places + 1, WIDTH)}
        shapes |= {f"{side}.latent_token_positional_embedding": (N, WIDTH)}
        for name in ("ln_pre", "ln_post", "transformer.0.ln_1", "transformer.0.ln_2"):
            shapes |= {f"{side}.{name}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
        inside = f"{side}.transformer.0"
        shapes |= {f"{inside}.attn.in_proj_weight": (3 * WIDTH, WIDTH), f"{inside}.attn.in_proj_bias": (3 * WIDTH,)}
        layers |= {f"{inside}.attn.out_proj": (WIDTH, WIDTH), f"{inside}.mlp.c_fc": (4 * WIDTH, WIDTH)}
        layers |= {f"{inside}.mlp.c_proj": (WIDTH, 4 * WIDTH)}
    return shapes | shapes_of(layers)


def tatitok_decoded(t, tokens, told):
    """Pictures in [0, 1] of tokens (N,): patches' masks, then latents, then words."""

    def norm(name, x):
        return F.layer_norm(x, (WIDTH,), t[f"decoder.{name}.weight"], t[f"decoder.{name}.bias"])

    places, name = (SIDE // PATCH) ** 2, "transformer.0"
    masks = torch.cat((t["decoder.class_embedding"], t["decoder.mask_token"][0].expand(places, -1)))
    latents = linear(t, "decoder.decoder_embed", t["quantize.embedding.weight"][tokens])
    words = linear(t, "decoder.text_guidance_proj", told) + t["decoder.text_guidance_positional_embedding"]
    x = torch.cat((masks + t["decoder.positional_embedding"], latents + t["decoder.latent_token_positional_embedding"]))
    x = norm("ln_pre", torch.cat((x, words)))
    weight, bias = (t[f"decoder.{name}.attn.in_proj_{kind}"] for kind in ("weight", "bias"))
    qkv = F.linear(norm(f"{name}.ln_1", x), weight, bias).view(len(x), 3, HEADS, -1).unbind(1)
    x = x + linear(t, f"decoder.{name}.attn.out_proj", attend(*qkv))
    x = x + linear(
        t, f"decoder.{name}.mlp.c_proj", F.gelu(linear(t, f"decoder.{name}.mlp.c_fc", norm(f"{name}.ln_2", x)))
    )
    side = SIDE // PATCH
    x = norm("ln_post", x[1 : 1 + places]).T.reshape(1, WIDTH, side, side)
    x = F.conv2d(x, t["decoder.ffn.0.weight"], t["decoder.ffn.0.bias"])
    x = x.reshape(1, PATCH, PATCH, 3, side, side).permute(0, 3, 4, 1, 5, 2).reshape(1, 3, SIDE, SIDE)
    return F.conv2d(x, t["decoder.conv_out.weight"], t["decoder.conv_out.bias"], padding=1)


@pytest.fixture
def tokenizer_part(random_tensors, tmp_path):
    """TA-TiTok's file, and its tensors."""
    t, path = random_tensors(tatitok_shapes()), tmp_path / "tatitok.safetensors"
    save_file(t, path)
    return ("titok", path, {"unit_vectors": False, "image_size": SIDE, "head_width": WIDTH // HEADS}), t


def test_a_decoder_that_is_told_a_sentence(bring, tokenizer_part, text_part, encoded):
    part, t = tokenizer_part
    tokenizer = load_tokenizer(bring(tokenizer=part, text=text_part), device="cpu")
    tokens = np.random.default_rng(0).integers(0, WORDS, N)
    pictures = {}
    for text, words in (("", []), ("a", ["a</w>"])):
        told = tokenizer.described(text)
        expected = tatitok_decoded(t, torch.from_numpy(tokens), encoded(*words).last_hidden_state[0])
        shown = (expected.clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy()
        pictures[text] = told.decode(tokens[None])[0]
        assert np.abs(pictures[text].astype(int) - shown).max() <= 1 and shown.std() > 5
    assert np.array_equal(tokenizer.decode(tokens[None])[0], pictures[""])
    assert not np.array_equal(pictures[""], pictures["a"])
    frame = tokenizer.tokenize(pictures["a"])
    assert frame.grid == (N,) and tokenizer.detokenize(frame).shape == (SIDE, SIDE, 3)


def test_a_sentence_reaches_context_model_and_decoder_over_the_air(bring, tokenizer_part, context_part, text_part):
    """Half of the packets are not sent; the receiver fills in and shows what one told the sentence otherwise does."""
    folder = bring(tokenizer=tokenizer_part[0], context=context_part[0], text=text_part)
    tokenizer, book = load_tokenizer(folder, device="cpu"), codebook(folder)
    sent = TokenFrame(np.arange(N), book.name, WORDS, (N,), description=describe_for(folder, "a b"))
    transmitter = Transmitter(TransmitConfig("qpsk-1/2", tokens_per_packet=1))
    mcs = transmitter.choose_mcs(N, N // 2)
    with torch.inference_mode():
        recovery = load_recovery(folder, "mask", "cpu")
        (found,) = Receiver([book], recovery).receive(np.pad(transmitter.transmit(sent, mcs=mcs), 500))
        assert sentence_of(found.frame.description) == "a b" and found.frame.lost.sum() == N // 2
        prior = Recovery(recovery.prior)
        plain = replace(found.frame, description=b"")
        told, _ = prior.recover(plain, condition=Condition(text="a b"))
        untold, _ = prior.recover(plain)
    got = found.recovered.frame
    assert np.array_equal(got.tokens, told.tokens) and not np.array_equal(got.tokens, untold.tokens)
    shown = tokenizer.detokenize(got)
    assert np.array_equal(shown, tokenizer.described("a b").detokenize(replace(got, description=b"")))
    assert not np.array_equal(shown, tokenizer.detokenize(replace(got, description=b"")))
    other = tokenizer.described("b")
    assert np.array_equal(shown, other.detokenize(got)) and other.text == "b"
