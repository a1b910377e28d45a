"""Cells of the case study: one picture through one link at one Es/N0 by one scheme."""

import hashlib
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tokcom.context.classifier import Classifier
from tokcom.errors import ModelError, ParameterError, TokcomError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import Assembly
from tokcom.link.bursts import compile_kernels
from tokcom.link.modes import MODES
from tokcom.metrics.pictures import psnr_db, ssim
from tokcom.metrics.tokens import exact_recovery_rate, token_communication_efficiency, token_error_rate
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_classifier, load_tokenizer
from tokcom.packets.layout import SEEDS, packet_layout, unpack
from tokcom_lab.cache import SELDOM, code_of, key_of, model_content, precision_content
from tokcom_lab.case_study.links import (
    TOKENS_PER_PACKET,
    Delivery,
    case_link,
    payload_bytes,
    payload_frame,
    send_until_right,
)
from tokcom_lab.case_study.picture_codecs import GREY, CodedPicture, PictureCodec, load_codec
from tokcom_lab.case_study.schemes import SCHEMES, Scheme
from tokcom_lab.perceptual import LIKENESSES
from tokcom_lab.photograph_judge import PhotographJudge
from tokcom_lab.photograph_tokens import photograph_tokens

MEASURED = tuple(f"tokcom_lab.case_study.{name}" for name in ("cells", "links", "picture_codecs", "schemes"))
"""Modules of the laboratory that determine a cell."""
JUDGES = ("classifier", "lite2")
"""Judges of the content of pictures: the model's own classifier, or EfficientNet-Lite2, which is larger, knows
ImageNet's classes and took no part in the training of models for photographs."""


@dataclass(frozen=True)
class StudySettings:
    """Settings common to all cells of a study.

    Args:
        model: name or folder of the model.
        link: one of `links.LINKS`.
        channel: row of channel/profiles.json, for link "burst".
        attempts: largest number of transmissions per packet in schemes with retransmission.
        free_container: whether the receiver knows the containers of picture codecs, so that they are not sent.
        weights: folder with weights of LPIPS, CLIP and Cheng2020; empty for none.
        device: where the model's networks run, as in `device.find_device`.
        judge: judge of the content of pictures, one of JUDGES.
    """

    model: str
    link: str = "k7"
    channel: str = "none"
    attempts: int = 100
    free_container: bool = False
    weights: str = ""
    device: str = "cpu"
    judge: str = "classifier"

    def __post_init__(self) -> None:
        if self.judge not in JUDGES:
            raise ParameterError(f"judge is {self.judge!r}; it must be {' or '.join(JUDGES)}")
        if self.attempts < 1:
            raise ParameterError(f"attempts is {self.attempts}; it must be at least 1")
        case_link(self.link, codebook(self.model), self.channel)

    @property
    def weights_folder(self) -> Path | None:
        return Path(self.weights) if self.weights else None

    def fingerprint(self) -> str:
        """Fingerprint of all that determines a cell besides picture, scheme, Es/N0 and seed."""
        own = asdict(self)
        del own["model"], own["device"]
        if self.link != "burst":
            del own["channel"]
        return key_of(
            own, model_content(self.model), precision_content(self.device), code_of("tokcom", without=SELDOM),
            code_of(*MEASURED),
        )  # fmt: skip


@dataclass(frozen=True)
class Job:
    """Job: cells that share a transmission.

    Attributes:
        picture: uint8 (size, size, 3).
        image: name of the picture.
        label: class of the picture; None if the model lacks the class and the classifier chooses it.
        esn0_db: Es/N0 in dB.
        seed: seed of the noise.
        schemes: names of the schemes.
        show: whether to keep the received pictures.
    """

    picture: np.ndarray
    image: str
    label: int | None
    esn0_db: float
    seed: int
    schemes: tuple[str, ...]
    show: bool = False

    @property
    def digest(self) -> int:
        """Hash of the picture, 64 bits."""
        return int.from_bytes(hashlib.sha256(self.picture.tobytes()).digest()[:8], "big")


@dataclass(frozen=True)
class Cell:
    """Figures of one scheme in one job; those that do not exist are None. `picture`: PNG, if the job shows it."""

    scheme: str
    figures: dict[str, float | None]
    picture: bytes | None = None


def absences(settings: StudySettings) -> dict[str, str]:
    """List the schemes and figures that cannot be computed here, with the reasons."""
    found = {}
    for codec in dict.fromkeys(scheme.codec for scheme in SCHEMES.values() if scheme.codec):
        try:
            load_codec(codec, settings.free_container, settings.weights_folder)
        except ModelError as error:
            found |= {scheme.name: str(error) for scheme in SCHEMES.values() if scheme.codec == codec}
    for name, likeness in LIKENESSES.items():
        try:
            likeness(settings.weights_folder)
        except ModelError as error:
            found[name] = str(error)
    return found


def measure(settings: StudySettings, job: Job) -> list[Cell]:
    """Compute the cells of a job; the result does not depend on the process or on earlier jobs."""
    return _bench(settings).measure(job)


@lru_cache(maxsize=2)
def _bench(settings: StudySettings) -> "_Bench":
    # The number of threads changes the order of sums in matrix products: use one everywhere.
    torch.set_num_threads(1)
    compile_kernels()
    return _Bench(settings)


class _Bench:
    """Models and codecs that a process loads once."""

    def __init__(self, settings: StudySettings):
        self.settings = settings
        self.codebook = codebook(settings.model)
        self.tokenizer = load_tokenizer(settings.model, device=settings.device)
        self.classifier: Classifier = load_classifier(settings.model, settings.device)
        self.judged = self._classified if settings.judge == "classifier" else PhotographJudge().judged
        self.recoveries = {mode: load_recovery(settings.model, mode, settings.device) for mode in MODES}
        self.link = case_link(settings.link, self.codebook, settings.channel)
        self.likenesses: dict[str, Callable] = {}
        for name, likeness in LIKENESSES.items():
            try:
                self.likenesses[name] = likeness(settings.weights_folder)
            except ModelError:
                continue
        blank = np.zeros((1, *[self.tokenizer.image_size] * 2, 3), np.uint8)
        self.recoveries["mask"].recover(self.tokenizer.tokenize(blank[0]).with_tokens(np.full(self.n_tokens, LOST)))
        self.tokenizer.decode(self.tokenizer.encode(blank))  # warm up the networks before any timing

    def _classified(self, picture: np.ndarray) -> tuple[np.ndarray, int]:
        """Compute the classifier's features and most likely class of one picture."""
        return self.classifier.features(picture[None])[0], self.classifier.likeliest(picture)

    @property
    def n_tokens(self) -> int:
        return int(np.prod(self.tokenizer.grid))

    @property
    def budget(self) -> int:
        """Budget of a picture in bytes: the size of its tokens."""
        return self.n_tokens * (self.codebook.size - 1).bit_length() // 8

    def measure(self, job: Job) -> list[Cell]:
        label = self.classifier.label(job.picture) if job.label is None else job.label
        # Searched for once, whatever the number of jobs that send the picture.
        (tokens,) = photograph_tokens(job.picture[None], self.settings.model)
        passage = _Passage(self, job, self.tokenizer.frame(tokens, label))
        return [
            passage.coded(scheme) if scheme.codec else passage.tokens(scheme)
            for scheme in (SCHEMES[name] for name in job.schemes)
        ]

    def codec(self, name: str) -> PictureCodec:
        return _codec(name, self.settings.free_container, self.settings.weights_folder)

    def encoded(self, name: str, picture: np.ndarray) -> CodedPicture | None:
        """Encode a picture as well as the budget allows; None if nothing fits."""
        return _encoded(
            name, self.settings.free_container, self.settings.weights_folder, self.budget, picture.tobytes(),
            picture.shape,
        )  # fmt: skip


@lru_cache(maxsize=8)
def _codec(name: str, free_container: bool, weights: Path | None) -> PictureCodec:
    return load_codec(name, free_container, weights)


@lru_cache(maxsize=16)
def _encoded(
    name: str, free_container: bool, weights: Path | None, budget: int, pixels: bytes, shape: tuple[int, ...]
) -> CodedPicture | None:
    """Encode within the budget, cached: the search for a quality is slow, and a picture is used at every Es/N0 in
    turn."""
    try:
        return _codec(name, free_container, weights).encode(np.frombuffer(pixels, np.uint8).reshape(shape), budget)
    except TokcomError:
        return None


@dataclass(frozen=True)
class _Passage:
    """Passage of one picture through the link; all schemes that send tokens share its first transmission."""

    bench: _Bench
    job: Job
    frame: TokenFrame
    _shown: dict[bytes, tuple[np.ndarray, float]] = field(default_factory=dict)
    """Decoded pictures, and the time in ms that each took, by their tokens: many schemes end with those sent."""
    _compared: dict[bytes, dict[str, float | None]] = field(default_factory=dict)
    """Likenesses of received pictures."""

    @cached_property
    def layout_seed(self) -> int:
        return self.job.digest % SEEDS

    def rng(self, stream: int) -> np.random.Generator:
        """Make a generator: stream 0 is the noise of first transmissions, whatever they carry; 1 that of
        repetitions."""
        return np.random.default_rng(
            [self.job.seed, self.job.digest, round(self.job.esn0_db * 1000) & 0xFFFFFFFF, stream]
        )

    def send(self, frame: TokenFrame) -> tuple[tuple[Arrival, float], float]:
        """Simulate a first transmission; return it with its airtime, and its computing time in ms, channel included."""
        n_packets = -(-len(frame.tokens) // TOKENS_PER_PACKET)
        started = time.perf_counter()
        first = self.bench.link.send(frame, self.layout_seed, np.ones(n_packets, bool), self.job.esn0_db, self.rng(0))
        return first, 1000 * (time.perf_counter() - started)

    @cached_property
    def first(self) -> tuple[tuple[Arrival, float], float]:
        return self.send(self.frame)

    def repeated(self, frame: TokenFrame, first: tuple[Arrival, float]) -> tuple[Delivery, int, float]:
        started = time.perf_counter()
        delivery, packets = send_until_right(
            self.bench.link, frame, self.layout_seed, self.job.esn0_db, self.rng(1), first,
            self.bench.settings.attempts,
        )  # fmt: skip
        return delivery, packets, 1000 * (time.perf_counter() - started)

    @cached_property
    def seen(self) -> tuple[np.ndarray, int]:
        """The judge's features and class of the picture sent."""
        return self.bench.judged(self.job.picture)

    def shown(self, whole: TokenFrame) -> tuple[np.ndarray, float]:
        """Decode tokens to a picture; return it with the time in ms that it took when it was first decoded."""
        content = whole.tokens.tobytes()
        if content not in self._shown:
            started = time.perf_counter()
            picture = self.bench.tokenizer.detokenize(whole)
            self._shown[content] = picture, 1000 * (time.perf_counter() - started)
        return self._shown[content]

    def likeness(self, received: np.ndarray) -> dict[str, float | None]:
        """Measure the similarity of the received picture to the one sent; None for measures that are not installed."""
        content = received.tobytes()
        if content not in self._compared:
            self._compared[content] = self._likeness(received)
        return self._compared[content]

    def _likeness(self, received: np.ndarray) -> dict[str, float | None]:
        (own, label), sent = self.seen, self.job.picture
        psnr = psnr_db(sent, received)
        other, other_label = self.bench.judged(received)
        measures = self.bench.likenesses
        return {
            "psnr_db": psnr if math.isfinite(psnr) else None,
            "ssim": ssim(sent, received),
            "semantic": float(own @ other / np.sqrt((own @ own) * (other @ other))),
            "label_kept": float(other_label == label),
            **{name: measures[name](sent, received) if name in measures else None for name in LIKENESSES},
        }

    def tokens(self, scheme: Scheme) -> Cell:
        """Compute the cell of a scheme that sends tokens."""
        outset, ms_link = self.first
        first = Assembly(outset[0])
        delivery, sent_packets = Delivery(first, outset[1]), len(first.packets_ok)
        if scheme.repeats:
            delivery, sent_packets, ms_more = self.repeated(self.frame, outset)
            ms_link += ms_more
        positions = packet_layout(len(self.frame.tokens), TOKENS_PER_PACKET, self.layout_seed)
        sent = self.frame.tokens
        decoded = unpack(first.tokens, positions)
        received = first.frame
        started = time.perf_counter()
        whole = None
        if delivery.packets.received is not None:
            whole = self._whole(scheme, delivery.packets)
        ms_recover = 1000 * (time.perf_counter() - started)
        picture, ms_pixels = (_grey(self.job.picture), 0.0) if whole is None else self.shown(whole)
        final = np.full_like(sent, LOST) if whole is None else whole.tokens
        wrong = ((final != sent)[positions] & (positions >= 0)).any(axis=1)
        figures = {
            "per": float(np.mean(~first.packets_ok)),
            "ter_channel": token_error_rate(sent, decoded if first.received is not None else np.full_like(sent, LOST)),
            "ter_recovered": token_error_rate(sent, final),
            "per_recovered": float(np.mean(wrong)),
            "exact_recovery": exact_recovery_rate(sent, received.tokens, final),
            "delivered": float(delivery.packets.packets_ok.all() if scheme.repeats else whole is not None),
            "ms_encode": None, "ms_recover": ms_recover, "ms_decode": ms_pixels,
        }  # fmt: skip
        return self._cell(scheme, figures, picture, sent_packets, delivery, ms_link, len(sent))

    def _whole(self, scheme: Scheme, packets: Assembly) -> TokenFrame:
        if scheme.mode == "keep":
            # As decoded: these schemes have no model to guess tokens.
            tokens = unpack(packets.tokens, packets.positions)
            return self.frame.with_tokens(np.where(tokens < self.frame.codebook_size, tokens, LOST))
        frame = self.frame if scheme.cmi else replace(self.frame, cmi=None)
        left = frame.with_tokens(packets.frame.tokens)
        return self.bench.recoveries[scheme.mode].recover(left, packets.received).frame

    def coded(self, scheme: Scheme) -> Cell:
        """Compute the cell of a scheme that sends a codec's bytes; bytes before the first rejected packet are shown."""
        coded = self.bench.encoded(scheme.codec, self.job.picture)
        if coded is None:
            nothing = {"fits": 0.0, "delivered": 0.0}
            return Cell(scheme.name, nothing | self.likeness(_grey(self.job.picture)))
        frame = payload_frame(coded.payload, self.bench.codebook, self.layout_seed)
        first, ms_link = self.send(frame)
        delivery = Delivery(Assembly(first[0]), first[1])
        per, sent_packets = float(np.mean(~delivery.packets.packets_ok)), len(delivery.packets.packets_ok)
        if scheme.repeats:
            delivery, sent_packets, ms_more = self.repeated(frame, first)
            ms_link += ms_more
        packets, all_here = delivery.packets, bool(delivery.packets.packets_ok.all())
        good = sent_packets if all_here else int(packets.packets_ok.argmin())
        arrived = payload_bytes(packets.tokens[:good], self.bench.codebook)[: len(coded.payload)]
        started = time.perf_counter()
        codec = self.bench.codec(scheme.codec)
        picture, decodes = codec.decode(replace(coded, payload=arrived.ljust(len(coded.payload), b"\0")), len(arrived))
        figures = {
            "per": per, "fits": 1.0, "delivered": float(decodes and (all_here or not scheme.repeats)),
            "payload_bytes": len(coded.payload), "container_bytes": coded.container_bytes,
            "ms_decode": 1000 * (time.perf_counter() - started),
        }  # fmt: skip
        return self._cell(scheme, figures, picture, sent_packets, delivery, ms_link, len(frame.tokens))

    def _cell(
        self, scheme: Scheme, figures: dict, picture: np.ndarray, sent_packets: int, delivery: Delivery, ms_link: float,
        n_tokens: int,
    ) -> Cell:  # fmt: skip
        transmissions = sent_packets / len(delivery.packets.packets_ok)
        pixels = picture.shape[0] * picture.shape[1]
        figures |= {
            "packets_sent": sent_packets,
            "transmissions": transmissions,
            "tce": token_communication_efficiency(pixels, n_tokens, self.bench.codebook.size, transmissions),
            "airtime_ms": 1000 * delivery.airtime,
            "ms_link": ms_link,
            **self.likeness(picture),
        }
        return Cell(scheme.name, figures, png(picture) if self.job.show else None)


def jobs_of(
    pictures: Sequence[np.ndarray], images: Sequence[str], labels: Sequence[int | None], esn0_db: Sequence[float],
    seeds: Sequence[int], schemes: Sequence[str], shown: int,
) -> list[Job]:  # fmt: skip
    """List all jobs of a study, picture by picture, so that a process can reuse its results for a picture."""
    return [
        Job(picture, image, label, float(value), seed, tuple(schemes), number < shown and seed == seeds[0])
        for number, (picture, image, label) in enumerate(zip(pictures, images, labels, strict=True))
        for seed in seeds
        for value in esn0_db
    ]


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.full_like(picture, GREY)


def png(picture: np.ndarray) -> bytes:
    """Encode a picture as PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()
