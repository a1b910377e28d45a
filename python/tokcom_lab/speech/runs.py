"""Training runs of `tokcom speech train`: from a folder of recordings to a part of a model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from tokcom.context.speech_prior_network import SpeechPriorConfig
from tokcom.models.card import file_hash
from tokcom.models.installed import model_card
from tokcom.models.speech import load_speech_tokenizer
from tokcom.models.weights import read_weights
from tokcom.tokenizers.speech import MODALITY
from tokcom.tokenizers.speech_network import SpeechConfig
from tokcom_lab.cache import FOLDER, keep_array, key_of
from tokcom_lab.speech.dataset import Speech, load_speech
from tokcom_lab.speech.prior import SpeechPriorTask, speech_tokens
from tokcom_lab.speech.tokenizer import SpeechTokenizerTask
from tokcom_lab.training.export import Run, export_part, half
from tokcom_lab.training.loop import Task, train


@dataclass(frozen=True)
class SpeechRequest:
    """Request of the user for a training.

    Args:
        data: folder of train/SPEAKER/*.wav and test/SPEAKER/*.wav.
        folder: the model's folder.
        work: folder for checkpoints.
        minutes: total number of minutes.
        batch: segments per step.
        seed: seed of everything random.
        command: the command line, for the card.
        warm_start: whether a new run starts from the weights in the model's folder.
    """

    data: Path
    folder: Path
    work: Path
    minutes: float
    batch: int
    seed: int
    command: str
    warm_start: bool = False


def train_tokenizer(request: SpeechRequest, console: Console) -> dict[str, float]:
    """Train and export a speech tokenizer; return its figures on the test split."""
    config = SpeechConfig()
    speech = _speech(request, config.codebook_size, console)
    task = SpeechTokenizerTask(config, *speech, batch=request.batch, seed=request.seed)
    return _run(request, task, "tokenizer", "speech", console)


def train_context(request: SpeechRequest, console: Console) -> dict[str, float]:
    """Train and export a prior over the tokens of the model's tokenizer; return its figures on the test split."""
    tokenizer, codes = load_speech_tokenizer(str(request.folder)), model_card(str(request.folder)).part("tokenizer")
    speech = _speech(request, tokenizer.codebook_size, console)
    console.print("tokens (computed once and cached)")
    tokens = []
    for each in speech:
        path = Path(FOLDER) / f"speech-tokens-{key_of([codes['sha256'], each.names])}.npy"
        if not path.exists():
            keep_array(speech_tokens(each, tokenizer), path)
        tokens.append(np.load(path))
    config = SpeechPriorConfig(tokenizer.codebook_size, tokenizer.quantizers)
    task = SpeechPriorTask(config, *tokens, batch=request.batch, seed=request.seed, codes=codes["sha256"])
    return _run(request, task, "context", "speech-prior", console)


TRAINERS = {"tokenizer": train_tokenizer, "context": train_context}


def _speech(request: SpeechRequest, n_words: int, console: Console) -> tuple[Speech, Speech]:
    found = tuple(load_speech(request.data, split, n_words) for split in ("train", "test"))
    for name, each in zip(("train on", "measure"), found, strict=True):
        speakers = {recording.partition("/")[0] for recording in each.names}
        console.print(f"{each.hours:.2f} h of {len(speakers)} speakers to {name}")
    return found


def _run(request: SpeechRequest, task: Task, part: str, family: str, console: Console) -> dict[str, float]:
    checkpoint = request.work / request.folder.name / f"{part}.safetensors"
    if request.warm_start and not checkpoint.exists():
        task.warm_start(read_weights(model_card(str(request.folder)).weights(part)))
    progress = train(task, minutes=request.minutes, checkpoint=checkpoint, console=console)
    network = task.exported
    network.load_state_dict({name: value.float() for name, value in half(network).items()}, strict=False)
    figures = task.measured()
    run = Run(
        request.command, request.data.name, request.seed, progress.step, progress.seconds / 3600, request.warm_start
    )
    export_part(request.folder, part, family, network, figures, run, (), modality=MODALITY)
    weights = request.folder / f"{part}.safetensors"
    console.print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, sha256 {file_hash(weights)[:12]}…")
    console.print("on the test speakers: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures
