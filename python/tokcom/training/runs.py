"""`tokcom train`: from a folder of pictures to a part of a model, in one call each."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tokcom.context.classifier_network import ClassifierConfig
from tokcom.context.maskgit_network import MaskGitConfig
from tokcom.errors import ParameterError
from tokcom.models.card import file_hash
from tokcom.models.weights import read_weights
from tokcom.models.zoo import load_context, load_tokenizer, model_card
from tokcom.tokenizers.vq_network import VQConfig
from tokcom.training.classifier import ClassifierTask
from tokcom.training.dataset import Dataset, load_dataset
from tokcom.training.decoder import RATE, VISITS, DecoderTask
from tokcom.training.export import Run, export_part, half
from tokcom.training.loop import Task, train
from tokcom.training.maskgit import MaskGitTask
from tokcom.training.tokenizer import TokenizerTask
from tokcom.training.tokens import keep_tokens, kept_tokens, tokenized

CROPS = 8
"""Squares cut from every training picture."""


@dataclass(frozen=True)
class TrainingRequest:
    """What the user asked to train.

    Args:
        data: folder or tar archive of train/<class>/* and test/<class>/*.
        models: folder that holds models.
        model: name of the model whose part is trained.
        work: folder for checkpoints.
        steps: steps in all.
        batch: pictures a step.
        seed: seed of everything random.
        warm_start: begin with the weights in the model's folder instead of random ones.
        command: the command line, for the card.
    """

    data: Path
    models: Path
    model: str
    work: Path
    steps: int
    batch: int
    seed: int
    warm_start: bool
    command: str

    @property
    def folder(self) -> Path:
        return self.models / self.model


def train_tokenizer(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a VQ tokenizer; returns its figures on the test split."""
    data, test = _pictures(request, console)
    config = VQConfig(image_size=data.pictures.shape[2])
    task = TokenizerTask(config, data, test, batch=request.batch, seed=request.seed)
    return _run(request, task, "tokenizer", "vq", data.classes, console)


def train_classifier(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a classifier; returns its figures on the test split."""
    data, test = _pictures(request, console)
    config = ClassifierConfig(image_size=data.pictures.shape[2], num_classes=len(data.classes))
    task = ClassifierTask(config, data, test, batch=request.batch, seed=request.seed)
    return _run(request, task, "classifier", "classifier", data.classes, console)


def train_maskgit(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a MaskGIT over the tokens of the model's tokenizer; returns its figures on the test split."""
    data, test = _pictures(request, console)
    model = str(request.folder)
    tokenizer = load_tokenizer(model)
    console.print(f"tokens of {request.model} (made once and kept)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("pictures", total=len(data.labels) + len(test.labels))
        tokens, test_tokens = (
            tokenized(each, model, split, advance=lambda done: bar.advance(row, done))
            for each, split in ((data, "train"), (test, "test"))
        )
    rows, columns = tokenizer.grid
    config = MaskGitConfig(tokenizer.codebook_size, rows, columns, len(data.classes))
    task = MaskGitTask(
        config, tokens, data.labels, test_tokens, test.labels,
        batch=request.batch, seed=request.seed, codes=model_card(model).part("tokenizer")["sha256"],
    )  # fmt: skip
    return _run(request, task, "context", "maskgit", data.classes, console)


def train_decoder(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train the decoder of the model's tokenizer on, with tokens chosen by rate and distortion under its context model;
    returns its figures on the test split.

    Raises:
        ParameterError: no warm start was asked for.
        ModelError: the model has no tokenizer or no context.
    """
    if not request.warm_start:
        raise ParameterError("the decoder is trained on from its tokenizer's weights: add --warm-start")
    data, test = _pictures(request, console)
    model = str(request.folder)
    prior, card = load_context(model).network.unlabelled, model_card(model)
    task = DecoderTask(
        load_tokenizer(model).network.config, data, test, prior, batch=request.batch, seed=request.seed,
        codes=card.part("context")["sha256"], tokens=kept_tokens(data, model, "train"),
    )  # fmt: skip
    figures = _run(request, task, "tokenizer", "vq", data.classes, console, search={"rate": RATE, "visits": VISITS})
    keep_tokens(task.model.chosen.flatten(1).numpy(), data, model, "train")
    return figures


TRAINERS = {
    "tokenizer": train_tokenizer, "maskgit": train_maskgit, "decoder": train_decoder, "classifier": train_classifier,
}  # fmt: skip


def _pictures(request: TrainingRequest, console: Console, size: int = 64) -> tuple[Dataset, Dataset]:
    console.print(f"pictures of {request.data}, {size} x {size} (prepared once and kept)")
    data = load_dataset(request.data, "train", size=size, crops=CROPS, seed=0)
    test = load_dataset(request.data, "test", size=size, crops=1, seed=0)
    for name in (*data.broken, *test.broken):
        console.print(f"left out, cannot be read: {name}")
    console.print(
        f"{len(data.labels)} pictures to train on, {len(test.labels)} to measure, {len(data.classes)} classes"
    )
    return data, test


def _run(
    request: TrainingRequest, task: Task, part: str, family: str, classes: tuple[str, ...], console: Console,
    search: dict | None = None,
) -> dict[str, float]:  # fmt: skip
    checkpoint = request.work / request.model / f"{task.name}.safetensors"
    if request.warm_start and not checkpoint.exists():
        weights = model_card(str(request.folder)).weights(part)
        console.print(f"starting from {weights}")
        task.warm_start(read_weights(weights))
    hours = train(task, steps=request.steps, checkpoint=checkpoint, console=console)
    task.model.load_state_dict({name: value.float() for name, value in half(task.model).items()}, strict=False)
    figures = task.measured()
    run = Run(request.command, request.data.name, request.seed, request.steps, hours, request.warm_start)
    export_part(request.folder, part, family, task.model, figures, run, classes, search)
    weights = request.folder / f"{part}.safetensors"
    console.print(
        f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, sha256 {file_hash(weights)[:12]}…", soft_wrap=True
    )
    console.print("on the test pictures: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures
