"""Export of trained networks to the model zoo: half-precision weights, and their part of the card."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from torch import nn

from tokcom.adaptation.residual import ResidualModel
from tokcom.context.acceptance import Acceptance
from tokcom.errors import ModelError
from tokcom.models.card import CONCEALING, CONDITIONS, CONTEXT, FORMAT, SMALL_CONTEXT, THINNED, file_hash
from tokcom.models.codebooks import FREQUENCIES
from tokcom.models.networks import TRAINED_BY
from tokcom.models.weights import not_finite
from tokcom.offload.escalation import EscalationPolicy
from tokcom.protocol.repeat_risk import TABLES, RepeatRisk
from tokcom_lab.training.loop import TRAINING_STATE


@dataclass(frozen=True)
class Run:
    """Record of a part's training, for its card."""

    command: str
    data: str
    seed: int
    steps: int
    hours: float
    warm_start: bool = False
    device: str = ""


def export_part(
    folder: Path,
    part: str,
    family: str,
    network: nn.Module,
    figures: dict[str, float],
    run: Run,
    classes: tuple[str, ...],
    search: dict | None = None,
    more: dict | None = None,
    modality: str = "image",
    same_words: bool = False,
) -> None:
    """Write a part's weights (float16) and its entry in the folder's card.json, creating the card if missing.

    Args:
        folder: the model's folder, whose name is the model's.
        part: "tokenizer", "context", "small_context", "following", "conditions", "concealing", "thinned" or
            "classifier".
        family: name of the network's family in `models.families.FAMILIES`.
        network: the trained network; its `config` goes into the card.
        figures: figures measured on the test split with these half-precision weights.
        run: record of the training.
        classes: names of the labels.
        search: settings of a tokenizer's search, `rate` and `visits`; None for none, or with `same_words` the former.
        more: further entries for the part in the card.
        modality: of a model that has no card yet.
        same_words: whether a tokenizer's words mean what they meant, so that what belongs to them remains.

    Raises:
        ModelError: weights are not finite in half precision; nothing is written.
    """
    stored = half(network)
    if names := not_finite(stored):
        raise ModelError(
            f"{folder.name}: the {part}'s weights are not finite in half precision: {', '.join(names[:3])}; the files "
            "in its folder are unchanged"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{part}.safetensors"
    save_file(stored, weights)
    weights.chmod(0o644)
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8")) if path.exists() else _new_card(folder.name, modality)
    card["classes"] = list(classes)
    former_words = card[part]["sha256"] if same_words else ""
    if same_words and search is None:
        search = card[part].get("search")
    if part == "tokenizer" and not same_words:
        for former in ("labels", CONCEALING, THINNED):  # they belong to the previous codebook
            card.pop(former, None)
    if part == CONTEXT:
        card.pop(CONDITIONS, None)
    training = {name: each for name, each in asdict(run).items() if each != ""} | {"hours": round(run.hours, 2)}
    if run.warm_start and part in card:
        training["continues"] = {"sha256": card[part]["sha256"], **card[part]["training"]}
    card[part] = {
        "family": family,
        "config": network.config.as_dict(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": weights.name,
        "sha256": file_hash(weights),
        "figures": {name: round(value, 4) for name, value in figures.items()},
        "training": training,
    } | (more or {})
    if search is not None:
        card[part]["search"] = search
        # Words found by a search with a context are those of that context's codebook.
        if "context" in card:
            card["context"]["tokenizer"] = card["tokenizer"]["sha256"]
    for each in card.values():
        if same_words and isinstance(each, dict) and each.get("tokenizer") == former_words:
            each["tokenizer"] = card[part]["sha256"]
    if part in TRAINED_BY and "tokenizer" in card:
        card[part]["tokenizer"] = card["tokenizer"]["sha256"]
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_figures(folder: Path, part: str, figures: dict[str, float], command: str) -> None:
    """Write figures of one part into a model's card.

    Args:
        folder: the model's folder.
        part: name of the part.
        figures: the figures.
        command: the command line that measured them.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card[part]["figures"] = {name: round(value, 4) for name, value in figures.items()}
    card[part]["measured"] = command
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_acceptance(folder: Path, acceptance: Acceptance, command: str, name: str = "acceptance") -> None:
    """Write a calibration of a model's context into its card.

    Args:
        folder: the model's folder.
        acceptance: the curve.
        command: the command line that fitted it.
        name: "acceptance", of packets, or "certainty", of tokens.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["context"][name] = {
        "log_odds": list(acceptance.log_odds), "calibrated": list(acceptance.calibrated), "command": command,
        "context": card["context"]["sha256"],
    }  # fmt: skip
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_escalation(folder: Path, acceptance: Acceptance, policy: EscalationPolicy, command: str) -> None:
    """Write the calibration of a model's small context into its card, and when a device with it asks an edge server.

    Args:
        folder: the model's folder.
        acceptance: the curve.
        policy: the policy.
        command: the command line that fitted both.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    small = card[SMALL_CONTEXT]
    bound = {"command": command, SMALL_CONTEXT: small["sha256"]}
    curve = {"log_odds": list(acceptance.log_odds), "calibrated": list(acceptance.calibrated)}
    small["acceptance"] = curve | bound
    small["escalation"] = {
        "doubts": list(policy.doubts), "benefits": list(policy.benefits), "least": policy.least,
    } | bound | {CONTEXT: card[CONTEXT]["sha256"]}  # fmt: skip
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_repeats(folder: Path, risk: RepeatRisk, command: str) -> None:
    """Write into a model's card what decides which lost packets are asked for again.

    Args:
        folder: the model's folder.
        risk: the measurement.
        command: the command line that made it.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    # A row of numbers is a string: the card stays one that people can read.
    rounded = {name: [" ".join(f"{each:.5f}" for each in row) for row in getattr(risk, name)] for name in TABLES}
    card["context"]["repeats"] = {
        "frames": list(risk.frames), **rounded, "command": command, "context": card["context"]["sha256"],
    }  # fmt: skip
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_labels(
    folder: Path, labels: dict[str, np.ndarray], config: dict, figures: dict[str, float], command: str,
    frequencies: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Write the semantic labels of a model's codebook beside its weights, and their entry in the card.

    Args:
        folder: the model's folder.
        labels: label of each token, int (codebook_size,), by purpose.
        config: settings of their search.
        figures: their benefit.
        command: the command line that made them.
        frequencies: float (codebook_size,), share of each word among all tokens, all above 0; None if not counted.
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    kind = np.int16 if card["tokenizer"]["config"]["codebook_size"] <= 1 << 15 else np.int32
    weights = folder / "labels.safetensors"
    arrays = {use: each.astype(kind) for use, each in labels.items()}
    if frequencies is not None:
        arrays[FREQUENCIES] = frequencies.astype(np.float32)
    save_arrays(arrays, weights)
    weights.chmod(0o644)
    card["labels"] = {
        "family": "permutation", "config": config, "weights": weights.name, "sha256": file_hash(weights),
        "tokenizer": card["tokenizer"]["sha256"],
        "figures": {name: round(value, 4) for name, value in figures.items()}, "command": command,
    }  # fmt: skip
    # Keep the class names, a long list, last.
    card["classes"] = card.pop("classes")
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def export_residual(folder: Path, residual: ResidualModel, part: str = "context") -> None:
    """Write the residual model of a model's context decoding into its card.

    Args:
        folder: the model's folder.
        residual: the fitted model.
        part: the prior that predicted the tokens, "context" or "following".
    """
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    values = {name: value for name, value in asdict(residual).items() if name != "following"}
    card[part]["residual"] = values | {part: card[part]["sha256"]}
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def half(network: nn.Module) -> dict[str, torch.Tensor]:
    """Convert the network's weights for storage: float16, without entries that only training needs."""
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(TRAINING_STATE)}
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in state.items()
    }


def _new_card(name: str, modality: str) -> dict:
    return {
        "format": FORMAT, "name": name, "modality": modality, "description": "", "licence": "unstated",
        "data": {}, "classes": [],
    }  # fmt: skip
