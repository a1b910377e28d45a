"""Folders of models of text, made from folders of the package transformers: a causal or a masked language model."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from tokcom.context.condition import NOTHING
from tokcom.context.transformer_networks import CausalNetwork, MaskedNetwork, TransformerConfig
from tokcom.context.transformer_priors import CausalTransformer, MaskedTransformer
from tokcom.errors import ModelError
from tokcom.models.text_export import write_text_model
from tokcom.models.word_frequencies import expected_frequencies
from tokcom.tokenizers.text import TextTokenizer

KINDS = {
    "causal-transformer": (CausalNetwork, CausalTransformer),
    "masked-transformer": (MaskedNetwork, MaskedTransformer),
}
"""Network and prior by family."""
LONGEST = 65536
"""Context of models that do not tell theirs."""
AGREE = 0.05
"""Nepers by which a causal model, read word by word, may differ from itself read at once."""


def import_text_model(
    folder: Path, to: Path, licence: str = "see the model's own card",
    progress: Callable[[float], None] = lambda share: None,
) -> None:  # fmt: skip
    """Make a model's folder.

    Args:
        folder: config.json, weights as safetensors, and the tokenizer's files, as `save_pretrained` of transformers
            writes them.
        to: the model's folder, which is not there yet; its name is the model's.
        licence: of the weights.
        progress: called with the share that is done, 0 to 1.

    Raises:
        ModelError: a file is missing, they do not belong together, or it is no language model.
    """
    if to.exists():
        raise ModelError(f"{to} is there already; delete it, or choose another name")
    content = _configuration(folder)
    if find_spec("transformers") is None:
        raise ModelError(
            "transformers is not installed: pip install --no-deps -r requirements/large.txt, as ./run does when it is "
            "needed"
        )
    kind = _family(folder, content)
    vocabulary, tokenizer, control = _vocabulary(folder, to.name)
    network = _network(folder, kind, _config(folder, content, kind, tokenizer, control))
    progress(0.1)
    prior = KINDS[kind][1](network, to.name)
    if kind == "causal-transformer":
        _require_steps(folder, prior)
    frequencies = expected_frequencies(prior, lambda share: progress(0.1 + 0.9 * share))
    about = {
        "name": to.name,
        "description": f"{content['model_type']} of transformers, imported",
        "licence": licence,
        "data": "see the model's own card",
    }
    write_text_model(to, about, vocabulary, network, frequencies, kind)


def _configuration(folder: Path) -> dict:
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; a folder of transformers holds a config.json") from None
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise ModelError(f"{path}: it names no model_type; a folder of transformers does")
    if "quantization_config" in content:
        raise ModelError(f"{path}: its weights are quantized; import the original model")
    return content


def _family(folder: Path, content: dict) -> str:
    """Whether a model is causal or masked, by its architecture or else its type."""
    from transformers.models.auto import modeling_auto as auto

    masked, causal = auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    kind, built = content["model_type"], content.get("architectures") or [None]
    if built[0] == masked.get(kind, "") or (built[0] is None and kind in masked and not content.get("is_decoder")):
        return "masked-transformer"
    if built[0] == causal.get(kind, "") or (built[0] is None and kind in causal):
        return "causal-transformer"
    raise ModelError(
        f"{folder / 'config.json'}: {built[0] or kind} is no causal or masked language model of transformers"
    )


def _vocabulary(folder: Path, name: str) -> tuple[str, object, tuple[int, ...]]:
    """The content of tokenizer.json, the tokenizer of transformers, and its control words."""
    from transformers import AutoTokenizer

    known = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")
    if not any((folder / each).is_file() for each in known):
        raise ModelError(f"{folder} holds no tokenizer ({', '.join(known[:3])}); save the model's own beside it")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        vocabulary = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # of its many causes none has a class of its own
        raise ModelError(f"{folder}: its tokenizer cannot be read: {str(error).splitlines()[0]}") from None
    return vocabulary, tokenizer, TextTokenizer(vocabulary.encode(), name).control


def _network(folder: Path, kind: str, config: TransformerConfig) -> CausalNetwork | MaskedNetwork:
    """The network with its weights."""
    import transformers

    transformers.logging.disable_progress_bar()
    network_class, _ = KINDS[kind]
    auto = getattr(transformers, network_class.kind)
    try:
        model, report = auto.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # of its many causes none has a class of its own
        told = str(error).splitlines()[0]
        raise ModelError(
            f"{folder}: its weights cannot be read: {told} (they must be safetensors: `save_pretrained` writes them)"
        ) from None
    missing = sorted(report["missing_keys"]) + sorted(str(each[0]) for each in report["mismatched_keys"])
    if missing:
        raise ModelError(f"{folder}: its weights do not fit its config.json: {', '.join(missing[:3])} …")
    network = network_class(config)
    network.model.load_state_dict(model.state_dict())
    return network.eval().requires_grad_(False)


def _config(
    folder: Path, content: dict, kind: str, tokenizer: object, control: tuple[int, ...]
) -> TransformerConfig:  # fmt: skip
    words, size = len(tokenizer), int(content.get("vocab_size") or 0)
    highest = max(tokenizer.get_vocab().values()) + 1
    if max(words, highest) > size:
        raise ModelError(
            f"{folder}: its tokenizer has {max(words, highest)} words, and its network {size}: they do not belong "
            "together"
        )
    begin, end = [], []
    if kind == "masked-transformer":
        if tokenizer.mask_token_id is None:
            raise ModelError(f"{folder}: its tokenizer has no mask token, which a masked language model needs")
        begin, end = ([] if each is None else [each] for each in (tokenizer.cls_token_id, tokenizer.sep_token_id))
    else:
        found = [tokenizer.bos_token_id, content.get("bos_token_id"), tokenizer.eos_token_id]
        begin = [each for each in found if isinstance(each, int) and 0 <= each < size][:1]
        if not begin:
            raise ModelError(f"{folder}: its tokenizer has no token that begins a text (bos_token, or eos_token)")
    named = (content.get(each) for each in ("max_position_embeddings", "n_positions", "n_ctx"))
    context = next((each for each in named if isinstance(each, int) and each > 0), LONGEST)
    if content["model_type"] in ("roberta", "xlm-roberta", "camembert"):
        context -= int(content.get("pad_token_id") or 0) + 1  # their positions begin behind that of padding
    # The last control word spells what the vocabulary cannot: see `tokenizers.text`.
    unused = [*control[:-1], *range(highest, size)]
    left_out = ("dtype", "torch_dtype", "transformers_version", "architectures", "_name_or_path", "auto_map")
    model = {name: value for name, value in content.items() if name not in left_out}
    mask = tokenizer.mask_token_id if kind == "masked-transformer" else None
    return TransformerConfig(size, min(context, LONGEST), model, tuple(begin), tuple(end), mask, tuple(unused))


def _require_steps(folder: Path, prior: CausalTransformer) -> None:
    """Raise ModelError unless the model, read word by word in paths that change places, predicts what it does at
    once."""
    possible = np.flatnonzero(np.isfinite(prior.paths(NOTHING).log_probabilities[0]))
    first, second = possible[np.linspace(0, len(possible) - 1, 6).astype(int)].reshape(2, 3)
    try:
        stepped, whole = prior.paths(NOTHING), prior.paths(NOTHING)
        stepped.branch(np.array([0, 0]), np.array([first[0], second[0]]))
        stepped.branch(np.array([1, 0]), np.array([second[1], first[1]]))
        stepped.branch(np.array([1, 0]), np.array([first[2], second[2]]))
        whole.follow(first)
    except (AttributeError, TypeError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{folder}: this kind of model cannot be read word by word: {error}") from None
    off = np.abs(stepped.log_probabilities[0, possible] - whole.log_probabilities[0, possible]).max()
    if not off < AGREE:
        raise ModelError(
            f"{folder}: read word by word, this model differs from itself by {off:.3g} nepers; it cannot be used"
        )
