"""Work of an edge server: requests grouped into batches, and their computation."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tokcom.context.prediction import Prediction
from tokcom.context.prior import ANY, CAUSAL, Prior
from tokcom.errors import ModelError, TokcomError
from tokcom.offload.draft_messages import DraftRequest, verdict_bytes
from tokcom.offload.messages import (
    LARGEST,
    PARTS,
    TAKES,
    PixelsRequest,
    PredictRequest,
    ServedModel,
    TokensRequest,
    answer_bytes,
    pictures_bytes,
    prediction_bytes,
    tokens_bytes,
)  # fmt: skip
from tokcom.offload.sessions import MAX_TOKENS, Sessions
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

Request = PredictRequest | PixelsRequest | TokensRequest | DraftRequest


@dataclass(frozen=True)
class EdgeModel:
    """A model of a server.

    Attributes:
        prior: its prior, which predicts tokens if it is of order ANY, and settles drafts if it is of order CAUSAL;
            None for none.
        tokenizer: its tokenizer, which encodes and decodes; None for none.
        sessions: texts that a prior of order CAUSAL continues.
    """

    prior: Prior | None = None
    tokenizer: PictureTokenizer | None = None
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def codebook(self) -> str:
        """Name of its codebook."""
        return (self.prior or self.tokenizer).codebook

    def told(self) -> ServedModel:
        """Describe it to devices."""
        first, prior = self.prior or self.tokenizer, self.prior
        order = None if prior is None else prior.order
        has = order == ANY, self.tokenizer is not None, order == CAUSAL
        return ServedModel(
            first.codebook, first.codebook_size, first.grid or (), 0 if prior is None else prior.num_classes,
            frozenset() if prior is None else prior.takes & frozenset(TAKES),
            tuple(part for part, there in zip(PARTS, has, strict=True) if there),
        )  # fmt: skip

    def require(self, request: Request) -> None:
        """Check a request before it waits.

        Raises:
            ModelError: the model lacks the part, or the request does not fit it.
        """
        if isinstance(request, PredictRequest):
            self._require_prior(request)
        elif isinstance(request, DraftRequest):
            self._require_causal(request)
        elif self.tokenizer is None:
            raise ModelError(f"no tokenizer of {self.codebook} is served")
        elif isinstance(request, PixelsRequest):
            self.tokenizer.require_pictures(request.pictures)
        elif request.tokens.shape[1:] != self.tokenizer.grid or request.tokens.max() >= self.tokenizer.codebook_size:
            raise ModelError(f"tokens of shape {request.tokens.shape} are not those of {self.codebook}")

    def _require_prior(self, request: PredictRequest) -> None:
        prior = self.prior
        if prior is None or prior.order != ANY:
            raise ModelError(f"no prior of {self.codebook} in any order is served")
        shape = request.tokens.shape
        if prior.grid is not None and shape[1] != np.prod(prior.grid):
            raise ModelError(f"frames of {shape[1]} tokens do not fit {self.codebook}, a grid of {prior.grid}")
        if request.tokens.max() >= prior.codebook_size:
            raise ModelError(f"a token of a frame is beyond the {prior.codebook_size} words of {self.codebook}")
        for condition in request.conditions:
            if condition.kinds - prior.takes or (condition.label or 0) >= max(prior.num_classes, 1):
                raise ModelError(f"{self.codebook} does not take such a condition")
        size = answer_bytes(int(request.wanted.sum()), prior.codebook_size, request.top, request.form)
        if size > LARGEST:
            raise ModelError(f"the answer would take {size} bytes, the limit is {LARGEST}: ask for fewer frames")

    def _require_causal(self, request: DraftRequest) -> None:
        prior = self.prior
        if prior is None or prior.order != CAUSAL:
            raise ModelError(f"no model of {self.codebook} that continues texts is served")
        longest = MAX_TOKENS if prior.longest is None else min(MAX_TOKENS, prior.longest)
        if request.place + len(request.records) + 1 > longest:
            raise ModelError(f"a text of {request.place} tokens is too long for {self.codebook}, which reads {longest}")
        if (request.tokens >= prior.codebook_size).any():
            raise ModelError(f"a token of a text is beyond the {prior.codebook_size} words of {self.codebook}")
        request.drafts(prior.codebook_size)


@dataclass
class Job:
    """A request that waits.

    Attributes:
        reply: where its answer goes: identity of the device, number of the request.
        request: the request.
        expires: `time.monotonic()` after which its answer is of no use.
    """

    reply: tuple[bytes, int]
    request: Request
    expires: float

    @property
    def kind(self) -> tuple:
        """Jobs of equal kind can be computed together."""
        request = self.request
        if isinstance(request, PredictRequest):
            return PredictRequest, request.codebook_id, request.tokens.shape[1], request.top
        return type(request), request.codebook_id

    @property
    def frames(self) -> int:
        """Number of its frames."""
        request = self.request
        if isinstance(request, DraftRequest):
            return 1
        return len(request.pictures if isinstance(request, PixelsRequest) else request.tokens)


@dataclass
class JobQueue:
    """Bounded queue of jobs, from which batches are taken.

    Attributes:
        limit: largest number of jobs that wait.
        per_device: largest number of jobs of one device that wait.
        batch: frames of a batch, if more wait.
        wait_s: seconds that the first job of a batch waits for others.
    """

    limit: int = 64
    per_device: int = 16
    batch: int = 8
    wait_s: float = 0.005
    _jobs: deque[Job] = field(default_factory=deque)
    _by_device: Counter = field(default_factory=Counter)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> bool:
        """Add a job; return False if there is no room for it."""
        device = job.reply[0]
        with self._changed:
            if self._closed or len(self._jobs) >= self.limit or self._by_device[device] >= self.per_device:
                return False
            self._jobs.append(job)
            self._by_device[device] += 1
            self._changed.notify()
            return True

    def close(self) -> None:
        """Take no more jobs; `take` returns those that wait, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> list[Job] | None:
        """Wait for jobs of one kind; None if the queue is closed and empty."""
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._changed.wait()
            kind, until = self._jobs[0].kind, time.monotonic() + self.wait_s
            while self._frames(kind) < self.batch and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            taken, frames = [], 0
            for job in list(self._jobs):
                if job.kind == kind and (not taken or frames + job.frames <= self.batch):
                    taken.append(job)
                    frames += job.frames
                    self._jobs.remove(job)
                    self._by_device[job.reply[0]] -= 1
            self._by_device += Counter()  # forget devices without jobs
            return taken

    def _frames(self, kind: tuple) -> int:
        return sum(job.frames for job in self._jobs if job.kind == kind)


def computed(jobs: list[Job], model: EdgeModel) -> list[bytes]:
    """Compute the answers to jobs of one kind, in one batch.

    Raises:
        TokcomError: the model cannot.
    """
    requests, numbers = [job.request for job in jobs], [job.reply[1] for job in jobs]
    first = requests[0]
    if isinstance(first, DraftRequest):
        settled = (model.sessions.settle(model.prior, job.reply[0], job.request) for job in jobs)
        return [verdict_bytes(words, number) for words, number in zip(settled, numbers, strict=True)]
    if isinstance(first, PredictRequest):
        found = model.prior.predict(
            np.concatenate([each.tokens for each in requests]), np.concatenate([each.wanted for each in requests]),
            [condition for each in requests for condition in each.conditions], first.top,
        )  # fmt: skip
        ends = np.cumsum([int(each.wanted.sum()) for each in requests])
        parts: list[Prediction] = [found[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return [
            prediction_bytes(part, number, each.form)
            for part, number, each in zip(parts, numbers, requests, strict=True)
        ]
    tokenizer = model.tokenizer
    if isinstance(first, PixelsRequest):
        made, write = tokenizer.encode(np.concatenate([each.pictures for each in requests])), tokens_bytes
    else:
        made, write = tokenizer.decode(np.concatenate([each.tokens for each in requests])), pictures_bytes
    ends = np.cumsum([job.frames for job in jobs])
    return [write(made[end - job.frames : end], n) for job, end, n in zip(jobs, ends, numbers, strict=True)]


@dataclass
class ServerCounters:
    """Counts of a server: requests for work, answers, refusals by reason, batches, frames in them, invalid messages."""

    requests: int = 0
    answered: int = 0
    refused: Counter = field(default_factory=Counter)
    batches: int = 0
    frames: int = 0
    invalid: int = 0


def work_off(
    queue: JobQueue, models: Mapping[int, EdgeModel], counters: ServerCounters,
    answer: Callable[[bytes, bytes], None], refuse: Callable[[Job, str, str], None],
) -> None:  # fmt: skip
    """Take batches from a queue and compute them until it is closed and empty.

    Args:
        queue: the queue.
        models: the models by the id of their codebook.
        counters: counts batches and frames.
        answer: sends bytes to a device, by its identity.
        refuse: tells the device of a job that it will not be done, with reason and message.
    """
    while (taken := queue.take()) is not None:
        now = time.monotonic()
        for job in taken:
            if job.expires < now:
                refuse(job, "late", "the deadline passed while the request waited")
        jobs = [job for job in taken if job.expires >= now]
        if not jobs:
            continue
        counters.batches += 1
        counters.frames += sum(job.frames for job in jobs)
        try:
            made = computed(jobs, models[jobs[0].request.codebook_id])
        except TokcomError as error:
            for job in jobs:
                refuse(job, "invalid", str(error))
        except Exception as error:  # the server outlives whatever a model does
            for job in jobs:
                refuse(job, "failed", f"{type(error).__name__}: {error}")
        else:
            for job, each in zip(jobs, made, strict=True):
                answer(job.reply[0], each)
