"""Language models of transformers as models of text, with random weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

transformers = pytest.importorskip("transformers", reason="the packages of requirements/large.txt are not installed")

from tokcom.cli.main import main  # noqa: E402
from tokcom.context.condition import NOTHING  # noqa: E402
from tokcom.context.prior import ANY, CAUSAL  # noqa: E402
from tokcom.errors import ModelError, ParameterError  # noqa: E402
from tokcom.frame import LOST  # noqa: E402
from tokcom.link.recovery import FrameRecovery  # noqa: E402
from tokcom.models.codebooks import word_frequencies  # noqa: E402
from tokcom.models.text import load_text_link  # noqa: E402
from tokcom.models.text_import import import_text_model  # noqa: E402
from tokcom.models.zoo import load_context  # noqa: E402

TEXT = "the rain on the other train"
WORDS, ENDS = 300, {"bos_token_id": 0, "eos_token_id": 0}
SHAPE = {
    "vocab_size": WORDS, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 64,
}  # fmt: skip
QWEN = SHAPE | {**ENDS, "vocab_size": WORDS + 4, "num_key_value_heads": 1, "tie_word_embeddings": True}
"""Its tokenizer names no token that begins a text and has fewer words than its network."""
NEVER = {"qwen2": [0, 1, *range(WORDS + 1, WORDS + 4)], "qwen3": [0, *range(WORDS, WORDS + 4)]}
"""Control words and unused ones, where there are more than one; the tokenizer of qwen2 adds a word of its own."""
CONFIGS = {
    "gpt2": lambda: transformers.GPT2Config(vocab_size=WORDS, n_positions=64, n_embd=24, n_layer=2, n_head=2, **ENDS),
    "llama": lambda: transformers.LlamaConfig(**SHAPE, **ENDS),
    "qwen2": lambda: transformers.Qwen2Config(**QWEN),
    "qwen3": lambda: transformers.Qwen3Config(**QWEN, head_dim=16),
    "bert": lambda: transformers.BertConfig(**SHAPE),
    "roberta": lambda: transformers.RobertaConfig(**SHAPE, pad_token_id=1),
}
MASKED = ("bert", "roberta")


@pytest.fixture(scope="module")
def folders(tiny_text_model, tmp_path_factory):
    """Folders as transformers saves them, by type of model, and the models."""
    made = {}
    for kind, config in CONFIGS.items():
        folder = tmp_path_factory.mktemp("transformers") / kind
        torch.manual_seed(1)
        auto = transformers.AutoModelForMaskedLM if kind in MASKED else transformers.AutoModelForCausalLM
        model = auto.from_config(config()).eval()
        for each in model.parameters():
            each.data = torch.randn_like(each) * 0.3
        model.save_pretrained(folder)
        special = {"mask_token": "<|none|>", "cls_token": "<|end|>", "sep_token": "<|end|>"}
        if kind not in MASKED:
            special = dict.fromkeys(["eos_token"] if "qwen" in kind else ["bos_token", "eos_token"], "<|end|>")
        file = str(tiny_text_model / "tokenizer.json")
        transformers.PreTrainedTokenizerFast(tokenizer_file=file, **special).save_pretrained(folder)
        made[kind] = folder, model
    return made


@pytest.fixture(scope="module")
def imported(folders, tmp_path_factory):
    """Folders of the imported models by type."""
    to = tmp_path_factory.mktemp("imported")
    for kind, (folder, _) in folders.items():
        import_text_model(folder, to / kind, "none")
    return {kind: str(to / kind) for kind in folders}


@pytest.mark.parametrize("kind", CONFIGS)
def test_probabilities_are_those_of_the_model_that_was_imported(folders, imported, kind):
    prior, model = load_context(imported[kind], "cpu"), folders[kind][1]
    rng = np.random.default_rng(0)
    tokens = rng.integers(2, WORDS, (2, 9)).astype(np.int32)
    wanted = np.zeros(tokens.shape, bool)
    wanted[0, [2, 5]] = wanted[1, 7] = True
    assert prior.order == (ANY if kind in MASKED else CAUSAL)
    found = prior.log_probabilities(tokens, wanted, [NOTHING, NOTHING])
    if kind in MASKED:
        asked = np.pad(np.where(wanted, 1, tokens), ((0, 0), (1, 1)))
        places = np.nonzero(np.pad(wanted, ((0, 0), (1, 1))))
    else:
        asked, places = np.pad(tokens, ((0, 0), (1, 0))), np.nonzero(wanted)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(asked, dtype=torch.int64)).logits[places]
    never = NEVER.get(kind, [0])
    logits[:, never] = -torch.inf
    expected = np.delete(logits.log_softmax(-1).numpy(), never, 1)
    assert np.allclose(np.delete(found, never, 1), expected, atol=0.05)
    assert (found[:, never] == -np.inf).all()
    assert word_frequencies(imported[kind]).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3"])
def test_paths_that_change_places_are_read_like_whole_texts(imported, kind):
    prior, rng = load_context(imported[kind], "cpu"), np.random.default_rng(1)
    paths, texts = prior.paths(NOTHING), np.zeros((1, 0), np.int64)
    for n in (3, 2, 4):
        parents, words = rng.integers(len(texts), size=n), rng.integers(2, WORDS, n)
        paths.branch(parents, words)
        texts = np.c_[texts[parents], words]
    paths.select(np.array([2, 0]))
    more = rng.integers(2, WORDS, 3)
    weight, before = paths.follow(more), texts[[2, 0]]
    for text, told, predicted in zip(before, weight, paths.log_probabilities, strict=True):
        line = np.r_[text, more, LOST][None].astype(np.int32)
        wanted = np.zeros(line.shape, bool)
        wanted[0, len(text) :] = True
        alone = prior.log_probabilities(line, wanted, [NOTHING])
        assert told == pytest.approx(sum(alone[place, word] for place, word in enumerate(more)), abs=1e-3)
        assert np.allclose(alone[-1][1:], predicted[1:], atol=1e-3)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3"])
def test_what_follows_a_fork_leaves_the_other_alone(imported, kind):
    paths = load_context(imported[kind], "cpu").paths(NOTHING)
    paths.follow(np.array([5, 6]))
    forks = [paths.fork() for _ in range(2)]
    weights = [fork.follow(np.array([7, 8, 9])) for fork in forks]
    assert weights[0] == weights[1] == paths.follow(np.array([7, 8, 9]))


@pytest.mark.parametrize("kind", CONFIGS)
def test_texts_are_received_with_it(imported, kind):
    link = load_text_link(imported[kind])
    sent = link.send(TEXT, 30.0, np.random.default_rng(0))
    assert all(sent.received(name).text == TEXT for name in ("keep", "context"))
    noisy = link.send(TEXT, 3.0, np.random.default_rng(3))
    assert not noisy.arrival.packets_ok.all()
    assert len(noisy.received("context").tokens) == len(noisy.tokens)
    with pytest.raises(ModelError, match="this model reads at most 6"):
        link.send(TEXT * 5, 2.0, np.random.default_rng(0)).received("context")


def test_a_masked_model_knows_a_text_by_both_sides(imported):
    prior = load_context(imported["bert"], "cpu")
    line = np.array([[5, 6, LOST, 8, 9]], np.int32)
    other = line.copy()
    other[0, 4] = 10
    wanted = line == LOST
    first, second = (prior.log_probabilities(each, wanted, [NOTHING]) for each in (line, other))
    assert not np.allclose(first[:, 1:], second[:, 1:])
    with pytest.raises(ParameterError):
        FrameRecovery("context", None)


def broken(folder, to, **changes):
    """A copy of a folder whose config.json says something else."""
    shutil.copytree(folder, to)
    content = json.loads((to / "config.json").read_text(encoding="utf-8"))
    (to / "config.json").write_text(json.dumps(content | changes), encoding="utf-8")
    return to


def test_folders_that_are_no_model_are_named(folders, tmp_path):
    folder, to = folders["gpt2"][0], tmp_path / "model"

    def refused(source, message):
        with pytest.raises(ModelError, match=message):
            import_text_model(source, to)
        assert not to.exists()

    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "a folder of transformers holds a config.json")
    refused(broken(folder, tmp_path / "a", model_type=None), "names no model_type")
    refused(
        broken(folder, tmp_path / "b", architectures=["ViTModel"]), "ViTModel is no causal or masked language model"
    )
    refused(broken(folder, tmp_path / "c", vocab_size=200), "has 300 words, and its network 200|do not fit")
    refused(broken(folder, tmp_path / "d", quantization_config={}), "weights are quantized")
    for name, message in (("tokenizer.json", "holds no tokenizer"), ("model.safetensors", "must be safetensors")):
        without = broken(folder, tmp_path / name)
        (without / name).unlink()
        refused(without, message)
    (without / "model.safetensors").write_bytes(b"pickle")
    refused(without, "must be safetensors")
    (without / "tokenizer.json").write_text("{}")
    refused(without, "tokenizer cannot be read")


def test_the_command_imports_once(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["models", "import-text", str(folders["gpt2"][0]), "--name", "mine"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0 and "./run text --model mine" in done.output
    card = json.loads((tmp_path / ".cache/published/mine/card.json").read_text(encoding="utf-8"))
    assert card["context"]["family"] == "causal-transformer" and card["modality"] == "text"
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code != 0 and "is there already" in again.output
