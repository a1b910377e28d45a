"""RAR's file as it is published, beside the computation that its authors' code does: the whole sequence at once."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tokcom.context.condition import NOTHING, Condition
from tokcom.frame import LOST, TokenFrame
from tokcom.link.recovery import FrameRecovery
from tokcom.models.zoo import load_context

WORDS, CLASSES, SIDE, WIDTH, DEPTH, HEADS = 20, 5, 3, 32, 2, 4
N = SIDE**2


def shapes():
    found = {"cls_token": (1, 1, WIDTH), "embeddings.weight": (WORDS + CLASSES + 2, WIDTH)}
    found |= {"pos_embed": (1, N + 1024, WIDTH), "target_aware_pos_embed": (1, N + 1024, WIDTH)}
    found |= {"timesteps_embeddings": (1, N + 100, WIDTH)}
    linear = {"lm_head": (WORDS, WIDTH), "adaln_before_head.adaLN_modulation.1": (2 * WIDTH, WIDTH)}
    norms = {}
    for layer in range(DEPTH):
        name = f"blocks.{layer}"
        norms |= {f"{name}.norm1": WIDTH, f"{name}.norm2": WIDTH}
        norms |= {f"{name}.attn.q_norm": WIDTH // HEADS, f"{name}.attn.k_norm": WIDTH // HEADS}
        linear |= {f"{name}.attn.qkv": (3 * WIDTH, WIDTH), f"{name}.attn.proj": (WIDTH, WIDTH)}
        linear |= {f"{name}.mlp.fc1": (48, WIDTH), f"{name}.mlp.fc2": (WIDTH, 48)}
        linear |= {f"{name}.adaLN_modulation.1": (6 * WIDTH, WIDTH)}
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found | {f"{name}.{kind}": (size,) for name, size in norms.items() for kind in ("weight", "bias")}


def pair(t, name):
    return t[f"{name}.weight"], t[f"{name}.bias"]


def norm(t, name, x):
    return F.layer_norm(x, x.shape[-1:], *pair(t, name), 1e-6)


def logits_of(t, tokens, label):
    """Logits (N, WORDS) of each token from those before it, with the sequence's mask and all places in one pass."""
    told = t["embeddings.weight"][WORDS + 1 + label]
    x = torch.cat((t["cls_token"][0], told[None], t["embeddings.weight"][torch.tensor(tokens)]))
    x = x + t["pos_embed"][0, : N + 2]
    x = x + torch.cat((torch.zeros(1, WIDTH), t["target_aware_pos_embed"][0, 2 : N + 2], torch.zeros(1, WIDTH)))
    told = F.silu(told + t["timesteps_embeddings"][0, : N + 2])
    mask = torch.full((N + 2, N + 2), -torch.inf).triu(1)
    for layer in range(DEPTH):
        name = f"blocks.{layer}"
        parts = F.linear(told, *pair(t, f"{name}.adaLN_modulation.1")).chunk(6, -1)
        h = norm(t, f"{name}.norm1", x) * (1 + parts[1]) + parts[0]
        q, k, v = F.linear(h, *pair(t, f"{name}.attn.qkv")).view(N + 2, 3, HEADS, -1).unbind(1)
        q, k = norm(t, f"{name}.attn.q_norm", q), norm(t, f"{name}.attn.k_norm", k)
        weights = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(WIDTH // HEADS) + mask, -1)
        mixed = torch.einsum("hij,jhd->ihd", weights, v).reshape(N + 2, WIDTH)
        x = x + parts[2] * F.linear(mixed, *pair(t, f"{name}.attn.proj"))
        h = norm(t, f"{name}.norm2", x) * (1 + parts[4]) + parts[3]
        x = x + parts[5] * F.linear(F.gelu(F.linear(h, *pair(t, f"{name}.mlp.fc1"))), *pair(t, f"{name}.mlp.fc2"))
    scale, shift = F.linear(told, *pair(t, "adaln_before_head.adaLN_modulation.1")).chunk(2, -1)
    x = F.layer_norm(x, (WIDTH,), eps=1e-6) * (1 + scale) + shift
    return F.linear(x[1 : N + 1], *pair(t, "lm_head"))


@pytest.fixture
def rar(bring, random_tensors, tmp_path):
    t, path = random_tensors(shapes()), tmp_path / "rar_b.safetensors"
    save_file(t, path)
    return t, load_context(bring(context=("rar", path, {"num_classes": CLASSES})), "cpu")


@pytest.mark.parametrize(("label", "condition"), [(3, Condition(3)), (CLASSES, NOTHING)], ids=["class", "null class"])
def test_each_token_is_predicted_from_those_before(rar, label, condition):
    t, prior = rar
    tokens = np.random.default_rng(0).integers(0, WORDS, N)
    prior.require_fit(TokenFrame(tokens, prior.codebook, WORDS, prior.grid, "image"), condition)
    expected = logits_of(t, tokens, label).log_softmax(-1).numpy()
    assert expected.std() > 0.3
    wanted = np.ones((1, N), bool)
    assert prior.log_probabilities(tokens[None], wanted, [condition]) == pytest.approx(expected, abs=1e-4)
    last = np.where(np.arange(N) < N - 1, tokens, LOST)[None]
    only = prior.log_probabilities(last, last == LOST, [condition])
    assert only == pytest.approx(expected[-1:], abs=1e-4)


def test_paths_branch_and_follow(rar):
    """Side by side they say what they say alone, to the last token of a frame."""
    t, prior = rar
    rng = np.random.default_rng(1)
    ways = rng.integers(0, WORDS, (3, N))
    ways[:, 4:] = ways[0, 4:]  # the same tokens behind each
    paths = prior.paths(Condition(1))
    paths.branch(np.zeros(3, int), ways[:, 0])
    for place in range(1, 4):
        paths.branch(np.arange(3), ways[:, place])
    paths.select(np.array([2, 0]))
    followed = paths.follow(ways[0, 4:])
    for row, way in enumerate((ways[2], ways[0])):
        logs = logits_of(t, way, 1).log_softmax(-1).numpy()
        assert followed[row] == pytest.approx(logs[np.arange(4, N), way[4:]].sum(), abs=1e-3)


def test_a_lost_token_is_filled_in_by_what_precedes_and_what_follows(rar):
    t, prior = rar
    tokens, place = np.random.default_rng(2).integers(0, WORDS, N), 3
    frame = TokenFrame(np.where(np.arange(N) == place, LOST, tokens), prior.codebook, WORDS, prior.grid, cmi=2)
    scores = []
    for word in range(WORDS):
        tokens[place] = word
        scores.append(logits_of(t, tokens, 2).log_softmax(-1).numpy()[np.arange(N), tokens].sum())
    found = FrameRecovery("mask", prior).recover(frame)
    assert np.ptp(scores) > 1 and found.frame.tokens[place] == np.argmax(scores)
    assert np.array_equal(np.delete(found.frame.tokens, place), np.delete(frame.tokens, place))
