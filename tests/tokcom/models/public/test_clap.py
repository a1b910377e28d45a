"""CLAP's file as it is published, that of transformers, whose own computation is the original."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tokcom.errors import ParameterError
from tokcom.models.zoo import load_text_encoder

transformers = pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "Ġb", "ab", "Ġ"]
SMALL = {
    "text_config": {
        "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 40, "projection_dim": 8,
    },
    "audio_config": {
        "patch_embeds_hidden_size": 8, "hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
        "num_hidden_layers": 2, "projection_dim": 8, "enable_fusion": False,
    },
    "projection_dim": 8,
}  # fmt: skip


@pytest.fixture
def clap(bring, tmp_path):
    """A network with random weights, and its encoder as imported."""
    network = transformers.ClapModel(transformers.ClapConfig(**SMALL)).eval()
    rng = torch.Generator().manual_seed(0)
    for name, each in network.state_dict().items():
        if each.is_floating_point() and "running" not in name:
            inputs = each[0].numel() if each.ndim else 1
            each.copy_((torch.randn(each.shape, generator=rng) / inputs**0.5).half().float())
    names = ("model.safetensors", "config.json", "vocab.json", "merges.txt")
    weights, config, vocabulary, merges = (tmp_path / name for name in names)
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, weights)
    config.write_text(json.dumps(SMALL | {"model_type": "clap", "torch_dtype": "float32"}), encoding="utf-8")
    vocabulary.write_text(json.dumps({word: number for number, word in enumerate(WORDS)}), encoding="utf-8")
    merges.write_text("#version: 0.2\na b\nĠ b\n", encoding="utf-8")
    folder = bring(text=("clap", weights, {}, config, vocabulary, merges))
    return network, load_text_encoder(folder, "cpu")


def test_sounds_and_sentences(clap):
    network, encoder = clap
    rng = np.random.default_rng(0)
    sounds = [rng.uniform(-1, 1, 30_000).astype(np.float32), rng.uniform(-1, 1, 600_000).astype(np.float32)]
    listen = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    with torch.no_grad():
        for sound, found in zip(sounds, encoder.embed_sounds(sounds), strict=True):
            heard = listen(sound[:480_000], sampling_rate=48_000, return_tensors="pt")
            expected = network.get_audio_features(**heard).pooler_output[0]
            assert torch.allclose(found, expected / expected.norm(), atol=1e-4)
        for text, ids in (("ab b", [0, 7, 6, 2]), ("b", [0, 5, 2])):
            expected = network.get_text_features(torch.tensor([ids]), torch.ones(1, len(ids))).pooler_output[0]
            assert torch.allclose(encoder.embed([text])[0], expected / expected.norm(), atol=1e-4)


def test_what_is_no_sound_is_named(clap):
    for bad in (np.zeros(0, np.float32), np.zeros((2, 9), np.float32), np.zeros(9, np.int16)):
        with pytest.raises(ParameterError, match="a sound must be a 1-D array of floats, not"):
            clap[1].embed_sounds([bad])
    with pytest.raises(ParameterError, match="not finite"):
        clap[1].embed_sounds([np.full(9, np.inf, np.float32)])
