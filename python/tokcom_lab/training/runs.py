"""Training runs of `tokcom train`: from a folder of pictures to a part of a model, in one call each."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from tokcom.context.classifier_network import ClassifierConfig
from tokcom.context.following_network import FollowingConfig
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.context.sound_encoder import SoundEncoderConfig
from tokcom.device import device_name
from tokcom.errors import ModelError, ParameterError
from tokcom.models.card import CONCEALING, CONDITIONS, CONTEXT, FOLLOWING, SMALL_CONTEXT, THINNED, Card, file_hash
from tokcom.models.installed import model_card
from tokcom.models.networks import load_network
from tokcom.models.published import load_efficientnet_lite, load_sentences
from tokcom.models.weights import read_weights
from tokcom.models.zoo import load_context, load_tokenizer, load_video_tokenizer
from tokcom.tokenizers.concealing import ConcealingConfig
from tokcom.tokenizers.pyramid_network import PyramidConfig
from tokcom.tokenizers.vq_network import VQConfig
from tokcom_lab.cache import code_of, key_of, tokens_content
from tokcom_lab.training.classifier import ClassifierTask
from tokcom_lab.training.concealing import ConcealingTask
from tokcom_lab.training.conditions import ClassSentences, ConditionsTask
from tokcom_lab.training.dataset import Dataset, load_dataset
from tokcom_lab.training.decoder import RATE, VISITS, DecoderTask
from tokcom_lab.training.export import Run, export_part, half
from tokcom_lab.training.following import FollowingTask
from tokcom_lab.training.loop import Task, train
from tokcom_lab.training.maskgit import MaskGitTask
from tokcom_lab.training.motion import pairs_of, photograph_pairs, video_tokens
from tokcom_lab.training.picture_feed import class_weights
from tokcom_lab.training.private import Privacy, PrivateMaskGitTask
from tokcom_lab.training.pyramid import PERCEPTUAL, SEMANTIC, SHARPNESS, PyramidTask
from tokcom_lab.training.pyramid_decoder import PyramidDecoderTask
from tokcom_lab.training.sentence_maskgit import SentenceMaskGitTask
from tokcom_lab.training.sentences import class_phrasings, embedded, phrasings, read_phrasings
from tokcom_lab.training.sounds import SoundsTask, load_sounds_of, sentences_about
from tokcom_lab.training.thinned import ThinnedTask
from tokcom_lab.training.tokenizer import TokenizerTask
from tokcom_lab.training.tokens import enlarged_tokens, keep_tokens, kept_tokens, tokenized

CROPS = 8
"""Squares cropped from every training picture."""
SMALL_CROPS = 1
"""Squares cropped from every training picture for a small MaskGIT or a decoder of thinned pictures, which see each only
a few times."""
SMALL_MASKGIT = (96, 2, 3)
"""Width, depth and heads of a MaskGIT for a device: 0.46 million parameters at 1024 words."""
TOLD_PICTURES, MEASURED = 1000, 100
"""Pictures on which a map of sentences, which is small, is trained and measured."""
LOSSY_SEARCHED, LOSSY_VISITS, LOSSY_MEASURED = 800, 8, 200
"""Pictures whose tokens are searched for a decoder of pictures that lack tokens, search passes of each, and pictures
that it is measured on."""
PHOTOGRAPH_CONCEALING = 40
"""Features per token within the decoder of lossy photographs: the weights of all parts stay below 64 MB."""
THINNED_MEASURED = 100
"""Pictures that the decoder of thinned pictures is measured on."""
VIDEO_VISITS = 4
"""Search passes per frame of a video."""
PHOTOGRAPH_MASKGIT = (320, 8, 5)
"""Width, depth and heads of the MaskGIT for photographs."""


@dataclass(frozen=True)
class PhotographSettings:
    """Settings for training a model for photographs: a `PyramidVQNetwork`, and a MaskGIT conditioned on sentences.

    Args:
        config: shape of the tokenizer.
        device: device of the training.
        perceptual: weight of the features' distance.
        semantic: weight of the pooled features' distance.
        sharpness: target sharpness of decoded pictures; 0 for no critic.
        compiled: whether to compile the residual blocks.
        views: views of every picture for MaskGIT.
        sentences: JSON file of sentences about each class; None for phrasings made from its name.
    """

    config: PyramidConfig
    device: torch.device
    perceptual: float = PERCEPTUAL
    semantic: float = SEMANTIC
    sharpness: float = SHARPNESS
    compiled: bool = False
    views: int = 4
    sentences: Path | None = None


@dataclass(frozen=True)
class VideoSettings:
    """Settings for training a prior of videos.

    Args:
        photographs: folders or archives of photographs that are moved about, beside the videos.
        moving: photographs of them at most.
    """

    photographs: tuple[Path, ...] = ()
    moving: int = 3000


@dataclass(frozen=True)
class TrainingRequest:
    """Request of the user for a training.

    Args:
        data: one or more folders, tar or zip archives of train/<class>/* and test/<class>/*.
        models: folder of models.
        model: name of the model.
        work: folder for checkpoints.
        steps: total number of steps; None if `minutes` counts.
        batch: pictures per step.
        seed: seed of everything random.
        warm_start: start from the weights in the model's folder instead of random ones.
        command: the command line, for the card.
        minutes: total number of minutes; None if `steps` counts.
        photographs: settings of a model for photographs; None for a model for thumbnails of 64 pixels.
        small: train a MaskGIT of device size, which the model holds beside its own.
        visits: search passes per picture for MaskGIT's tokens; None for the value in the model's card, and for
            VIDEO_VISITS per frame of a video.
        videos: settings of a prior of videos; None for the usual ones.
        sentences: JSON file of sentences about each class, for a map of conditions.
        privacy: demands on a private training of MaskGIT, which then has `steps`; None for none.
    """

    data: Path | tuple[Path, ...]
    models: Path
    model: str
    work: Path
    steps: int | None
    batch: int
    seed: int
    warm_start: bool
    command: str
    minutes: float | None = None
    photographs: PhotographSettings | None = None
    small: bool = False
    visits: int | None = None
    videos: VideoSettings | None = None
    sentences: Path | None = None
    privacy: Privacy | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
        """Folders and archives of the pictures."""
        return self.data if isinstance(self.data, tuple) else (self.data,)

    @property
    def data_name(self) -> str:
        """Names of the data without their folders."""
        return ", ".join(source.name for source in self.sources)

    @property
    def folder(self) -> Path:
        return self.models / self.model


def train_tokenizer(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a VQ tokenizer; return its figures on the test split."""
    data, test = _pictures(request, console)
    config = VQConfig(image_size=data.pictures.shape[2])
    task = TokenizerTask(config, data, test, batch=request.batch, seed=request.seed)
    return _run(request, task, "tokenizer", "vq", data.classes, console)


def train_classifier(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a classifier; return its figures on the test split."""
    data, test = _pictures(request, console)
    config = ClassifierConfig(image_size=data.pictures.shape[2], num_classes=len(data.classes))
    task = ClassifierTask(config, data, test, batch=request.batch, seed=request.seed)
    return _run(request, task, "classifier", "classifier", data.classes, console)


def train_maskgit(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a MaskGIT over the tokens of the model's tokenizer; return its figures on the test split."""
    data, test = _pictures(request, console, crops=SMALL_CROPS if request.small else CROPS)
    model = str(request.folder)
    tokenizer = load_tokenizer(model, request.visits)
    console.print(f"tokens of {request.model} (computed once and cached)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("pictures", total=len(data.labels) + len(test.labels))
        tokens, test_tokens = (
            tokenized(each, model, split, visits=request.visits, advance=lambda done: bar.advance(row, done))
            for each, split in ((data, "train"), (test, "test"))
        )
    rows, columns = tokenizer.grid
    shape = SMALL_MASKGIT if request.small else ()
    config = MaskGitConfig(tokenizer.codebook_size, rows, columns, len(data.classes), *shape)
    codes, part = model_card(model).part("tokenizer")["sha256"], SMALL_CONTEXT if request.small else CONTEXT
    arrays = tokens, data.labels, test_tokens, test.labels
    if request.privacy is not None:
        task = PrivateMaskGitTask(
            config, *arrays, batch=request.batch, privacy=request.privacy, steps=request.steps, seed=request.seed,
            codes=codes,
        )  # fmt: skip
        task.name = "maskgit-small-private" if request.small else "maskgit-private"
        spent = task.spent(request.steps)
        return _run(request, task, part, "maskgit", data.classes, console, more={"privacy": spent})
    task = MaskGitTask(config, *arrays, batch=request.batch, seed=request.seed, codes=codes)
    if request.small:
        task.name = "maskgit-small"
        if CONTEXT in model_card(model).content:
            task.begin_like(load_context(model, "cpu").network)
    return _run(request, task, part, "maskgit", data.classes, console)


def train_following(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a prior of videos, from the model's MaskGIT on; return its figures on the test split.

    The data are videos, a folder of frames each, and, with `photographs`, archives of photographs that are moved about.
    With a warm start, tokens are those that the model so far chooses in view of the frame before; otherwise each frame
    has those of the encoder.

    Raises:
        ModelError: the model has no tokenizer or no context.
    """
    model, settings = str(request.folder), request.videos or VideoSettings()
    visits = VIDEO_VISITS if request.visits is None else request.visits
    data, test = _pictures(request, console, crops=1)
    card, alone = model_card(model), load_tokenizer(model, 0, "cpu")
    tokenizer = load_video_tokenizer(model, visits, "cpu") if request.warm_start else alone
    chosen_by = [card.part(FOLLOWING)["sha256"], visits] if request.warm_start else []
    content = [tokens_content(model, 0), chosen_by]
    photographs, moving = None, 0
    if settings.photographs:
        photographs = load_dataset(settings.photographs, "train", size=2 * alone.image_size, crops=1)
        moving = min(settings.moving, len(photographs.labels))
    console.print(f"tokens of {request.model} (computed once and cached)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("frames", total=len(data.labels) + len(test.labels) + moving)
        advance = partial(bar.advance, row)
        tokens, test_tokens = (video_tokens(each, tokenizer, content, advance=advance) for each in (data, test))
        moved = np.zeros((0, 2, 1), np.int32)
        if photographs is not None:
            moved = photograph_pairs(photographs, alone, content[0], moving, advance=advance)
    still = load_context(model, "cpu").network
    config = FollowingConfig(**still.config.as_dict())
    task = FollowingTask(
        config, still.state_dict(), pairs_of(data, tokens), moved, pairs_of(test, test_tokens, (1,)),
        batch=request.batch, seed=request.seed, codes=key_of(content),
    )  # fmt: skip
    return _run(request, task, FOLLOWING, "following", card.classes, console)


def train_decoder(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Continue training the decoder of the model's tokenizer on tokens chosen by rate and distortion under its context
    model; return its figures on the test split.

    Raises:
        ParameterError: no warm start was requested.
        ModelError: the model has no tokenizer or no context.
    """
    if not request.warm_start:
        raise ParameterError("the decoder's training starts from its tokenizer's weights: add --warm-start")
    data, test = _pictures(request, console)
    model = str(request.folder)
    prior, card = load_context(model, "cpu").network.unlabelled, model_card(model)
    task = DecoderTask(
        load_tokenizer(model, device="cpu").network.config, data, test, prior, batch=request.batch, seed=request.seed,
        codes=card.part("context")["sha256"], tokens=kept_tokens(data, model, "train"),
    )  # fmt: skip
    figures = _run(request, task, "tokenizer", "vq", data.classes, console, search={"rate": RATE, "visits": VISITS})
    keep_tokens(task.model.chosen.flatten(1).numpy(), data, model, "train")
    return figures


def train_concealing(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export the decoder of pictures some of whose tokens were lost; return its figures on the test split.

    Raises:
        ModelError: the model has no tokenizer or no context, or none that such a decoder is trained with.
    """
    card = _card_for_lossy(request, ("vq", "pyramid"))
    thumbnails = card.part("tokenizer")["family"] == "vq"
    *given, codes = _lossy_material(request, console, CROPS if thumbnails else 1)
    task = ConcealingTask(
        *given, batch=request.batch, seed=request.seed, codes=codes,
        hidden=ConcealingConfig.hidden if thumbnails else PHOTOGRAPH_CONCEALING,
    )  # fmt: skip
    return _run(request, task, CONCEALING, "concealing", card.classes, console)


def train_thinned(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export the decoder of pictures of which only some tokens are sent; return its figures on the test
    split. It starts from the decoder of lossy pictures, if the model has one.

    Raises:
        ModelError: the model has no tokenizer or no context, or others than those of a model for thumbnails.
    """
    card, (trunk, _) = _card_for_lossy(request, ("vq",)), load_efficientnet_lite(2)
    *networks, data, searched, test, codes = _lossy_material(request, console, SMALL_CROPS)
    test = _some_of(test, THINNED_MEASURED, request.seed)
    task = ThinnedTask(*networks, trunk, data, searched, test, batch=request.batch, seed=request.seed, codes=codes)
    if CONCEALING in card.content and not request.warm_start:
        task.model.load_state_dict(load_network(str(request.folder), CONCEALING).state_dict())
    return _run(request, task, THINNED, "concealing", card.classes, console)


def _card_for_lossy(request: TrainingRequest, tokenizers: tuple[str, ...]) -> Card:
    """Read the card of a model with a MaskGIT and a tokenizer of one of these families."""
    card = model_card(str(request.folder))
    families = [card.part(part)["family"] for part in ("tokenizer", CONTEXT)]
    if families[0] not in tokenizers or families[1] != "maskgit":
        raise ModelError(
            f"model {request.model}: its tokenizer and context are {' and '.join(map(repr, families))}; this decoder "
            f"of lossy pictures needs {' or '.join(map(repr, tokenizers))} and 'maskgit'"
        )
    return card


def _lossy_material(request: TrainingRequest, console: Console, crops: int) -> tuple:
    """Return what a decoder of pictures that lack tokens is trained with: the networks of tokenizer and context,
    pictures to train on, some of them with tokens found by search, pictures to measure on, and the name of the tokens'
    origin."""
    model = str(request.folder)
    usual = load_tokenizer(model, device="cpu")
    visits = min(LOSSY_VISITS, usual.visits) if request.visits is None else request.visits
    data, test = _pictures(request, console, usual.image_size, crops)
    networks = usual.network, load_network(model, CONTEXT)
    data, test = (each.numbered(model_card(model).classes) for each in (data, test))
    test = _some_of(test, LOSSY_MEASURED, request.seed)
    few = _some_of(replace(data, pictures=data.pictures[:, :1]), LOSSY_SEARCHED if visits else 0, request.seed)
    console.print(f"tokens of {request.model}, found by search (computed once and cached)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("pictures", total=len(few.labels))
        searched = tokenized(few, model, "train", visits=visits, advance=partial(bar.advance, row))
    codes = key_of(tokens_content(model, visits), model_card(model).part(CONTEXT)["sha256"])
    return *networks, data, (few, searched[:, 0]), test, codes


def train_pyramid(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a tokenizer for photographs; return its figures on the test split."""
    settings = request.photographs
    trunk, _ = load_efficientnet_lite(0)
    data, test = _pictures(request, console, settings.config.image_size, 1)
    task = PyramidTask(
        settings.config, data, test, trunk, batch=request.batch, seed=request.seed, device=settings.device,
        perceptual=settings.perceptual, semantic=settings.semantic, sharpness=settings.sharpness,
        compiled=settings.compiled,
    )  # fmt: skip
    return _run(request, task, "tokenizer", "pyramid", data.classes, console)


def train_pyramid_decoder(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Continue training the decoder of a tokenizer for photographs, whose words stay; return its figures on the test
    split.

    Raises:
        ParameterError: no warm start was requested, or the tokenizer does not have the requested shape.
        ModelError: the model has no tokenizer or no context.
    """
    if not request.warm_start:
        raise ParameterError("the decoder's training starts from its tokenizer's weights: add --warm-start")
    settings, model = request.photographs, str(request.folder)
    _require_shape(load_network(model, "tokenizer").config, request)
    trunk, _ = load_efficientnet_lite(0)
    data, test = _pictures(request, console, settings.config.image_size, 1)
    task = PyramidDecoderTask(
        settings.config, data, test, trunk, load_network(model, CONTEXT), batch=request.batch, seed=request.seed,
        device=settings.device, perceptual=settings.perceptual, semantic=settings.semantic,
        sharpness=settings.sharpness, compiled=settings.compiled, codes=model_card(model).part(CONTEXT)["sha256"],
    )  # fmt: skip
    classes = model_card(model).classes
    return _run(request, task, "tokenizer", "pyramid", classes, console, same_words=True)


def train_sentence_maskgit(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export a MaskGIT for photographs over the tokens of the model's tokenizer; return its figures on the
    test split.

    Raises:
        ParameterError: the tokenizer does not have the requested shape.
    """
    settings, model = request.photographs, str(request.folder)
    tokenizer = load_tokenizer(model, 0)
    _require_shape(tokenizer.network.config, request)
    encoder = load_sentences()
    data, test = _pictures(request, console, settings.config.image_size, 1)
    texts = class_phrasings(data.classes, read_phrasings(settings.sentences) if settings.sentences else None)
    sentences = embedded(texts, encoder)
    console.print(f"tokens of {request.model} (computed once and cached)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("pictures", total=len(data.labels) + len(test.labels))
        tokens, test_tokens = (
            enlarged_tokens(
                each, model, split, views=views, device=settings.device, advance=lambda done: bar.advance(row, done)
            )
            for each, split, views in ((data, "train", settings.views), (test, "test", 1))
        )
    rows, columns = tokenizer.grid
    config = MaskGitConfig(
        tokenizer.codebook_size, rows, columns, len(data.classes), *PHOTOGRAPH_MASKGIT, condition_dim=sentences.shape[2]
    )
    task = SentenceMaskGitTask(
        config, tokens, data.labels, test_tokens, test.labels, sentences, odds=class_weights(data.labels),
        batch=request.batch, seed=request.seed, codes=model_card(model).part("tokenizer")["sha256"],
        device=settings.device,
    )  # fmt: skip
    told = {"sentences": [each[0] for each in texts]}
    return _run(request, task, "context", "maskgit", data.classes, console, more=told)


def train_conditions(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export the map from sentences to what the model's MaskGIT is told; return its figures on the test
    split. Of the sentences about a class the last is measured with, the others are trained on.

    Raises:
        ModelError: the model has no context, or one whose classes are sentences.
        DatasetError: a class has fewer than two sentences.
    """
    model = str(request.folder)
    card, said = model_card(model), read_phrasings(request.sentences) if request.sentences else {}
    trained, unseen = sentences_about(card.classes, said)
    context = load_network(model, CONTEXT)
    if not isinstance(context, MaskGitNetwork) or context.config.condition_dim:
        raise ModelError(f"model {request.model}: only a MaskGIT whose classes are labels needs a map of sentences")
    encoder = load_sentences()
    data, test = (
        _some_of(each, count, request.seed)
        for each, count in zip(_pictures(request, console, crops=SMALL_CROPS), (TOLD_PICTURES, MEASURED), strict=True)
    )
    console.print(f"tokens of {request.model} (computed once and cached)")
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("pictures", total=len(data.labels) + len(test.labels))
        tokens, test_tokens = (
            tokenized(each, model, split, visits=0, advance=lambda done: bar.advance(row, done))
            for each, split in ((data, "train"), (test, "test"))
        )
    seen = [[*own, *phrasings(name)] for name, own in zip(card.classes, trained, strict=True)]
    sentences = ClassSentences(embedded(seen, encoder), encoder.embed(unseen))
    bound = {CONTEXT: card.part(CONTEXT)["sha256"]}
    task = ConditionsTask(
        context, tokens, data.labels, test_tokens, test.labels, sentences, batch=request.batch, seed=request.seed,
        codes=key_of(tokens_content(model, 0), bound, seen, code_of("tokcom.context.description")),
    )  # fmt: skip
    return _run(request, task, CONDITIONS, "sentence-map", card.classes, console, more=bound)


def train_sounds(request: TrainingRequest, console: Console) -> dict[str, float]:
    """Train and export an encoder of sounds; return its figures on the sounds of the fold that is kept for that.

    Raises:
        DatasetError: there are no sounds, or a class has fewer than two sentences.
        ParameterError: no sentences are given.
    """
    if request.sentences is None:
        raise ParameterError("sounds are trained on sentences: name a JSON file of them by --sentences")
    said, config = read_phrasings(request.sentences), SoundEncoderConfig()
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("sounds", total=None)
        data, test = (
            load_sounds_of(request.sources[0], measured, config.bands, lambda done: bar.advance(row, done))
            for measured in (False, True)
        )
    seen, unseen = sentences_about(data.classes, said)
    encoder = load_sentences()
    task = SoundsTask(
        data, test, embedded(seen, encoder), encoder.embed(unseen), batch=request.batch, seed=request.seed,
        config=config,
    )  # fmt: skip
    return _run(request, task, "sounds", "sound-encoder", data.classes, console, modality="sound")


TRAINERS = {
    "tokenizer": train_tokenizer, "maskgit": train_maskgit, "decoder": train_decoder, "classifier": train_classifier,
    "following": train_following, "conditions": train_conditions, "concealing": train_concealing,
    "thinned": train_thinned, "sounds": train_sounds,
}  # fmt: skip
PHOTOGRAPH_TRAINERS = {
    "tokenizer": train_pyramid, "maskgit": train_sentence_maskgit, "decoder": train_pyramid_decoder,
}  # fmt: skip
"""Trainers of the parts that differ for models for photographs."""


def _require_shape(found: PyramidConfig, request: TrainingRequest) -> None:
    """Raise ParameterError unless a tokenizer has the shape that a request asks for."""
    asked = request.photographs.config
    for name, of_each in (("size", "image_size"), ("grid", "patch_size"), ("words", "codebook_size")):
        there, wanted = (getattr(config, of_each) for config in (found, asked))
        if there != wanted:
            raise ParameterError(
                f"the tokenizer of {request.model} has {of_each.replace('_', ' ')} {there}, not {wanted}; give the "
                f"--{name} that it was trained with"
            )


def _pictures(
    request: TrainingRequest, console: Console, size: int = 64, crops: int = CROPS
) -> tuple[Dataset, Dataset]:  # fmt: skip
    console.print(
        f"pictures of {', '.join(map(str, request.sources))}, {size} x {size} (prepared once and cached)",
        soft_wrap=True,
    )
    data = load_dataset(request.sources, "train", size=size, crops=crops, seed=0)
    test = load_dataset(request.sources, "test", size=size, crops=1, seed=0)
    for name in (*data.broken, *test.broken):
        console.print(f"skipped, unreadable: {name}")
    console.print(
        f"{len(data.labels)} pictures to train on, {len(test.labels)} to measure, {len(data.classes)} classes"
    )
    return data, test


def _some_of(data: Dataset, count: int, seed: int) -> Dataset:
    """Draw pictures at random."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data.labels))[:count])
    return replace(data, pictures=data.pictures[chosen], labels=data.labels[chosen])


def _run(
    request: TrainingRequest, task: Task, part: str, family: str, classes: tuple[str, ...], console: Console,
    search: dict | None = None, more: dict | None = None, modality: str = "image", same_words: bool = False,
) -> dict[str, float]:  # fmt: skip
    checkpoint = request.work / request.model / f"{task.name}.safetensors"
    if request.warm_start and not checkpoint.exists():
        weights = model_card(str(request.folder)).weights(part)
        console.print(f"starting from {weights}")
        task.warm_start(read_weights(weights))
    progress = train(task, steps=request.steps, minutes=request.minutes, checkpoint=checkpoint, console=console)
    network = task.exported
    network.load_state_dict({name: value.float() for name, value in half(network).items()}, strict=False)
    figures = task.measured()
    run = Run(
        request.command, request.data_name, request.seed, progress.step, progress.seconds / 3600, request.warm_start,
        device_name(request.photographs.device) if request.photographs else "",
    )  # fmt: skip
    export_part(request.folder, part, family, network, figures, run, classes, search, more, modality, same_words)
    weights = request.folder / f"{part}.safetensors"
    console.print(
        f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, sha256 {file_hash(weights)[:12]}…", soft_wrap=True
    )
    console.print("on the test pictures: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures
