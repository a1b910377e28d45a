"""Error rates, quality and airtime of receivers over pairs (or more) of photographs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tokcom.device import AUTO
from tokcom.errors import TokcomError
from tokcom.metrics.pictures import psnr_db
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of, model_content, precision_content
from tokcom_lab.multiple_access.receivers import Received, Receivers, airtime_ms, require_receiver
from tokcom_lab.multiple_access.scene import Scene, Surroundings
from tokcom_lab.photograph_tokens import photograph_tokens
from tokcom_lab.photographs import Photographs

CASES = {
    "usual": Surroundings(),
    "fading": Surroundings(controlled=False),
    "flat": Surroundings("flat"),
    "alike": Surroundings("flat", alike=True, cfo_hz=0.0, timing=0),
    "near-far": Surroundings(near_far_db=10.0),
    "timing": Surroundings(timing=8),
    "cfo": Surroundings(cfo_hz=200.0),
    "alike-rotated": Surroundings("flat", alike=True, cfo_hz=0.0, timing=0),
    "same-class": Surroundings(),
    "same-class-alike": Surroundings("flat", alike=True, cfo_hz=0.0, timing=0),
}
"""Names of surroundings. In "same-class" the frames of a scene are of one class, in others of several."""
SAME_CLASS = ("same-class", "same-class-alike")
ROTATED = ("alike-rotated",)
"""Cases in which each port turns its symbols."""


@dataclass(frozen=True)
class TodmaPoint:
    """One receiver at one Es/N0.

    Attributes:
        case: of CASES.
        users: transmitters at a time.
        length: carriers per slot.
        esn0_db: Es/N0 per transmitter in dB.
        receiver: its name.
        ter: share of wrong tokens.
        swapped: share of tokens that came out as another transmitter's of the same slot.
        airtime_ms: of all transmitters together, at 1 MS/s.
        psnr_db: mean PSNR of the pictures.
        seconds: processor time per scene, from samples to tokens.
        expected: share of wrong tokens that the posteriors expect; None where there are none.
        headers_lost: share of users whose header did not arrive.
        scenes: how many.
    """

    case: str
    users: int
    length: int
    esn0_db: float
    receiver: str
    ter: float
    swapped: float
    airtime_ms: float
    psnr_db: float
    seconds: float
    expected: float | None
    headers_lost: float
    scenes: int


class TodmaBench:
    """Photographs that meet on the air.

    Args:
        photographs: what is sent.
        model: name or folder of the model.
        tokenizer: the model's.
        seed: of everything random.
        device: where networks run.
        kept: folder of the cache of scenes, from which an interrupted run resumes; None for no cache.

    Raises:
        TokcomError: the cache cannot be used.
    """

    def __init__(
        self, photographs: Photographs, model: str, tokenizer: VQTokenizer, seed: int = 0, device: str = AUTO,
        kept: Path | None = FOLDER,
    ):  # fmt: skip
        self.photographs, self.tokenizer, self.seed = photographs, tokenizer, seed
        tokens = photograph_tokens(photographs.pictures, model)
        self.frames = tokenizer.frames(tokens, photographs.labels)
        self.receivers = Receivers(model, device)
        self._store = None if kept is None else Table(kept / RESULTS, "scenes")
        self._content = [
            model_content(model), precision_content(device), tokens, photographs.pictures, photographs.labels, seed,
            code_of("tokcom", without=SELDOM), code_of("tokcom_lab.multiple_access"),
        ]  # fmt: skip

    def scene(self, case: str, users: int, length: int, esn0_db: float, number: int) -> Scene:
        """A scene; frames, channels and noise of one number are the same at every Es/N0 and length."""
        chosen = self._chosen(case, users, number)
        frames = tuple(replace(self.frames[i], frame_id=i) for i in chosen)
        plan = MultiUserPlan(self._vectors(length), len(frames[0].tokens), case in ROTATED)
        return Scene(frames, plan, esn0_db, CASES[case], self.seed * 100_000 + number)

    def point(
        self, case: str, users: int, length: int, esn0_db: float, receiver: str, scenes: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> TodmaPoint:  # fmt: skip
        """Measure one receiver."""
        require_receiver(receiver)
        rows = []
        for number in range(scenes):
            rows.append(self._row(case, users, length, esn0_db, receiver, number))
            progress(1)
        mean = {
            name: round(float(np.mean([row[name] for row in rows])), 6)
            for name in ("ter", "swapped", "airtime_ms", "psnr_db", "headers_lost")
        }
        told = {name: [row[name] for row in rows] for name in ("seconds", "expected")}
        partly = {name: None if None in values else float(np.mean(values)) for name, values in told.items()}
        return TodmaPoint(case, users, length, esn0_db, receiver, **mean, **partly, scenes=scenes)

    def curve(
        self, cases: Sequence[str], users: Sequence[int], lengths: Sequence[int], esn0_db: Sequence[float],
        receivers: Sequence[str], scenes: int, progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[TodmaPoint]:  # fmt: skip
        """Measure all of them."""
        for case in cases:
            for count in users:
                for length in lengths:
                    for value in esn0_db:
                        for receiver in receivers:
                            yield self.point(case, count, length, value, receiver, scenes, progress)

    def _row(self, case: str, users: int, length: int, esn0_db: float, receiver: str, number: int) -> dict:
        vectors = self._vectors(length).id
        key = key_of(self._content, case, users, length, vectors, esn0_db, receiver, number)
        known = self._known(key)
        if known is not None:
            return known
        scene = self.scene(case, users, length, esn0_db, number)
        started = time.process_time()
        received = self.receivers.receive(receiver, scene)
        row = self._figures(scene, received, time.process_time() - started)
        self._keep(key, row)
        return row

    def _vectors(self, length: int) -> ModulationCodebook:
        return ModulationCodebook(self.tokenizer.codebook_size, length)

    def _figures(self, scene: Scene, received: Received, seconds: float) -> dict:
        wrong = received.tokens != scene.tokens
        swapped = np.zeros_like(wrong)
        for user in range(len(wrong)):
            others = np.delete(scene.tokens, user, axis=0)
            swapped[user] = wrong[user] & (others == received.tokens[user]).any(axis=0)
        shown = self.tokenizer.decode(received.tokens.reshape(-1, *self.tokenizer.grid))
        quality = [
            psnr_db(self.photographs.pictures[frame.frame_id], picture)
            for frame, picture in zip(scene.frames, shown, strict=True)
        ]
        return {
            "ter": float(wrong.mean()), "swapped": float(swapped.mean()), "airtime_ms": airtime_ms(received.airtime),
            "psnr_db": float(np.mean(quality)), "seconds": seconds, "headers_lost": received.headers_lost / len(wrong),
            "expected": float(1 - received.confidence.mean()) if received.confidence is not None else None,
        }  # fmt: skip

    def _known(self, key: str) -> dict | None:
        if self._store is None:
            return None
        return next((figures for _, figures, _ in self._store.find([key])), None)

    def _keep(self, key: str, row: dict) -> None:
        if self._store is not None:
            self._store.add({key: (row, None)})

    def _chosen(self, case: str, users: int, number: int) -> np.ndarray:
        """int (users,): which frames meet in a scene."""
        rng = np.random.default_rng([self.seed, number])
        labels = np.array([-1 if frame.cmi is None else frame.cmi for frame in self.frames])
        for _ in range(10_000):
            chosen = rng.permutation(len(self.frames))[:users]
            alike = len(set(labels[chosen])) == 1 and labels[chosen[0]] >= 0
            if case in SAME_CLASS and alike:
                return chosen
            if case not in SAME_CLASS and len(set(labels[chosen])) == users:
                return chosen
        raise TokcomError(f"no {users} of {len(self.frames)} photographs fit case {case!r}; take more photographs")
