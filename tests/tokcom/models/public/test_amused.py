"""aMUSEd's files as they are published: those of diffusers and transformers, whose own computation is the original."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tokcom.context.condition import NOTHING, Condition
from tokcom.frame import LOST, TokenFrame
from tokcom.models.zoo import load_context, load_text_encoder, load_tokenizer

diffusers = pytest.importorskip("diffusers", reason="the packages of requirements/large.txt are not installed")
transformers = pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")
WORDS, SIDE, TEXT = 24, 4, 32
LETTERS = ["a", "b", "c", "a</w>", "b</w>", "c</w>", "ab</w>", "<|startoftext|>", "<|endoftext|>"]


def randomised(network, seed):
    """The network with random weights that half precision represents, and norms near the identity."""
    rng = torch.Generator().manual_seed(seed)
    for name, each in network.named_parameters():
        noise = torch.randn(each.shape, generator=rng)
        scaled = (
            1 + 0.1 * noise if each.ndim == 1 and name.endswith("weight") else noise / max(each[0].numel(), 4) ** 0.5
        )
        each.data = scaled.half().float()
    return network.eval()


def saved(network, path):
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def text():
    shape = transformers.CLIPTextConfig(
        vocab_size=len(LETTERS), hidden_size=TEXT, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
        projection_dim=16, max_position_embeddings=8, eos_token_id=2,
    )  # fmt: skip
    return randomised(transformers.CLIPTextModelWithProjection(shape), 1)


def text_files(text, tmp_path):
    vocabulary, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    vocabulary.write_text(json.dumps({word: number for number, word in enumerate(LETTERS)}), encoding="utf-8")
    merges.write_text("#version: 0.2\na b</w>\n", encoding="utf-8")
    return "clip-text", saved(text, tmp_path / "text.safetensors"), {"head_width": 8}, vocabulary, merges


def ids_of(*words):
    """Ids with the marks of beginning and end; CLIP pads with that of the end."""
    ids = [LETTERS.index(word) for word in ("<|startoftext|>", *words)]
    return torch.tensor([ids + [len(LETTERS) - 1] * (8 - len(ids))])


def test_sentences(bring, text, tmp_path):
    """Lower case, pairs merged, cut at the longest; the features are those before the last block."""
    encoder = load_text_encoder(bring(text=text_files(text, tmp_path)), "cpu")
    assert torch.equal(encoder.ids("AB  c"), ids_of("ab</w>", "c</w>"))
    assert torch.equal(encoder.ids("ca"), ids_of("c", "a</w>"))
    assert encoder.ids("a b c " * 9).shape == (1, 8)
    with torch.no_grad():
        expected = text(ids_of("ab</w>", "c</w>"), output_hidden_states=True)
    found = encoder.encode("AB c")
    assert torch.allclose(found.before_last, expected.hidden_states[-2], atol=1e-4)
    assert torch.allclose(found.last, expected.last_hidden_state, atol=1e-4)
    assert torch.allclose(found.embedding, expected.text_embeds, atol=1e-4)
    assert encoder.embed(["a", "b c"]).norm(dim=1).tolist() == pytest.approx([1, 1])


def test_transformer(bring, text, tmp_path):
    network = diffusers.UVit2DModel(
        hidden_size=32, cond_embed_dim=16, encoder_hidden_size=TEXT, vocab_size=WORDS + 8, codebook_size=WORDS,
        in_channels=16, block_out_channels=16, num_res_blocks=1, block_num_heads=4, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=48, sample_size=SIDE,
    )  # fmt: skip
    network = randomised(network, 2)
    settings = {"heads": 4, "block_heads": 4, "side": SIDE}
    path = saved(network, tmp_path / "diffusion_pytorch_model.safetensors")
    folder = bring(text=text_files(text, tmp_path), context=("amused", path, settings))
    prior = load_context(folder, "cpu")
    rng = np.random.default_rng(0)
    lost = rng.random((1, SIDE**2)) < 0.5
    tokens = np.where(lost, LOST, rng.integers(0, WORDS, lost.shape))
    for condition, words in ((Condition(text="ab c"), ("ab</w>", "c</w>")), (NOTHING, ())):
        prior.require_fit(TokenFrame(tokens[0], prior.codebook, WORDS, (SIDE, SIDE), "image"), condition)
        with torch.no_grad():
            told = text(ids_of(*words), output_hidden_states=True)
            ids = torch.from_numpy(np.where(lost, WORDS + 7, tokens)).view(1, SIDE, SIDE)
            about = torch.tensor([[16.0 * SIDE, 16 * SIDE, 0, 0, 6]])
            logits = network(ids, told.hidden_states[-2], told.text_embeds, about)
        expected = logits.permute(0, 2, 3, 1).reshape(SIDE**2, WORDS)[lost[0]].log_softmax(-1)
        assert expected.std() > 0.1
        assert prior.log_probabilities(tokens, lost, [condition]) == pytest.approx(expected.numpy(), abs=1e-4)


def test_padding(bring, text, tmp_path):
    """open_clip fills up with word 0."""
    layout, path, settings, *others = text_files(text, tmp_path)
    encoder = load_text_encoder(bring(text=(layout, path, settings | {"pad": 0}, *others)), "cpu")
    assert encoder.ids("c").tolist() == [[7, 5, 8, 0, 0, 0, 0, 0]]


def test_tokenizer(bring, tmp_path):
    network = diffusers.VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64), layers_per_block=1, latent_channels=8, num_vq_embeddings=WORDS,
        lookup_from_codebook=True, mid_block_add_attention=False, force_upcast=True,
    )  # fmt: skip
    network = randomised(network, 3)
    path = saved(network, tmp_path / "diffusion_pytorch_model.safetensors")
    tokenizer = load_tokenizer(bring(tokenizer=("amused-vq", path, {"image_size": 8})), device="cpu")
    pictures = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    given = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = network.quantize(network.encode(given).latents)[2][2].view(2, 4, 4)
        assert len(expected.unique()) > 4 and np.array_equal(tokenizer.encode(pictures), expected)
        decoded = network.decode(expected, force_not_quantize=True, shape=(2, 4, 4, 8)).sample
        assert torch.allclose((tokenizer.network.decode(expected) + 1) / 2, decoded, atol=1e-4)
