"""Worth of a label, a sentence or a sound to a receiver of pictures, with tokens lost at random and over the air.

Every kind of condition meets the same losses and the same noise, so that differences are between pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.description import POINT_BYTES, of_point
from tokcom.context.prior import Prior
from tokcom.context.recovery import Recovery
from tokcom.frame import LOST, TokenFrame
from tokcom.link.airtime import frame_samples
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.metrics.pictures import psnr_db
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.models.card import CONDITIONS, CONTEXT
from tokcom.models.codebooks import codebook
from tokcom.models.installed import model_card
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, key_of
from tokcom_lab.relevance_bench import Judge

MCS = "16qam-1/2"
NOTHING_TOLD, LABEL, SENTENCE, EXACT, SOUND = "nothing", "label", "sentence", "sentence, not coded", "sound"
NAMED = "sentence with the class's name"
WRONG, ENERGY = "wrong sentence", "nothing, the sentence's energy"
KINDS = (NOTHING_TOLD, LABEL, NAMED, SENTENCE, EXACT, SOUND, WRONG)
"""Conditions, of which a bench has those whose points it is given."""
AIR_KINDS = (NOTHING_TOLD, ENERGY, LABEL, SENTENCE, WRONG)
Z = 1.96
"""Half the width of an interval of 95% in standard errors."""


@dataclass(frozen=True)
class Points:
    """Points in the space of sentences, one per photograph.

    Attributes:
        sentence: float32 (n, width), of a sentence about its class.
        named: float32 (n, width), of a sentence with its class's name.
        wrong: float32 (n, width), of a sentence about another class.
        sound: float32 (n, width), of a sound that its class makes; None: without sounds.
        n_bytes: bytes of a point's code.
    """

    sentence: np.ndarray
    named: np.ndarray
    wrong: np.ndarray
    sound: np.ndarray | None = None
    n_bytes: int = POINT_BYTES


class ConditionsBench:
    """Photographs, and what the receiver may be told of each.

    Args:
        pictures: uint8 (n, size, size, 3).
        labels: int (n,), their classes.
        tokens: int (n, rows, columns).
        points: what is told of them.
        model: name or folder of the model.
        tokenizer: its tokenizer.
        prior: its prior.
        recovery: recovery of its frames in mode "context".
        judge: a network that has seen no decoded picture, which names classes.
        seed: seed of losses and noise.
        kept: folder of the cache of figures, from which an interrupted run resumes.
    """

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, tokens: np.ndarray, points: Points, model: str,
        tokenizer: VQTokenizer, prior: Prior, recovery: FrameRecovery, judge: Judge, seed: int = 0,
        kept: Path = FOLDER,
    ):  # fmt: skip
        self.pictures, self.labels, self.points, self.seed = pictures, labels, points, seed
        self.tokenizer, self.prior, self.judge = tokenizer, prior, judge
        self._masked, self._recovery = Recovery(prior), recovery
        known = [codebook(model)]
        self._link = SymbolLink(Transmitter(TransmitConfig(MCS), known), Receiver(known), tested=True)
        self.frames = tokenizer.frames(tokens)
        code = code_of("tokcom.context", "tokcom.link", "tokcom.coding"), code_of(__name__)
        parts = [model_card(model).part(name)["sha256"] for name in ("tokenizer", CONTEXT, CONDITIONS)]
        self._content = [parts, key_of(pictures, labels, tokens), judge.content, seed, code]
        self._table = Table(kept / RESULTS, "conditions")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of conditions that can be told."""
        return tuple(kind for kind in KINDS if kind != SOUND or self.points.sound is not None)

    def described(self, number: int, kind: str) -> TokenFrame:
        """Return a frame with what is sent beside its tokens."""
        frame, points = self.frames[number], self.points
        if kind == LABEL:
            return replace(frame, cmi=int(self.labels[number]))
        told = {SENTENCE: points.sentence, NAMED: points.named, WRONG: points.wrong, SOUND: points.sound}.get(kind)
        return frame if told is None else replace(frame, description=of_point(told[number], points.n_bytes))

    def condition(self, number: int, kind: str) -> Condition:
        """Return what the receiver is told."""
        if kind == EXACT:
            return Condition(embedding=self.points.sentence[number])
        return NOTHING if kind in (NOTHING_TOLD, ENERGY) else Condition.of(self.described(number, kind))

    def lost(self, number: int, share: float, kind: str, shown: bool) -> dict[str, float]:
        """Lose a share of one frame's tokens at random.

        Args:
            number: number of the photograph.
            share: share of the tokens that are lost.
            kind: what the receiver is told.
            shown: whether the picture is filled in and judged, which takes longer.

        Returns:
            bits per lost token, given the others; exact, the share of lost tokens of which the most likely guess is
            right; if shown, psnr_db of the picture that mode "mask" fills in with the original, and named, whether the
            judge names its class.
        """
        condition = self.condition(number, kind)
        key = key_of(self._content, "lost", number, share, _plain(condition), shown)
        return self._once(key, lambda: self._lost(number, share, condition, shown))

    def _lost(self, number: int, share: float, condition: Condition, shown: bool) -> dict[str, float]:
        frame = self.frames[number]
        order = np.random.default_rng([self.seed, number]).permutation(len(frame.tokens))
        hidden = np.zeros(len(frame.tokens), bool)
        hidden[order[: round(share * len(order))]] = True
        seen = np.where(hidden, LOST, frame.tokens).astype(np.int32)
        logs = self.prior.log_probabilities(seen[None], hidden[None], [condition])
        own = frame.tokens[hidden]
        found = {
            "bits": float(-logs[np.arange(len(own)), own].mean() / np.log(2)),
            "exact": float((logs.argmax(axis=1) == own).mean()),
        }
        if shown:
            whole, _ = self._masked.recover(frame.with_tokens(seen), condition=condition)
            found |= self._judged(number, self.tokenizer.detokenize(whole))
        return found

    def over_the_air(self, number: int, esn0_db: float, kind: str) -> dict[str, float]:
        """Send one frame through white noise in 16-QAM 1/2, its header intact, and decode it in mode "context".

        Returns:
            per, the share of packets that were not accepted or are wrong; ter; psnr_db and named as for `lost`.
        """
        frame = self.described(number, kind)
        key = key_of(self._content, "air", number, esn0_db, _plain(Condition.of(frame)))
        return self._once(key, lambda: self._over_the_air(frame, number, esn0_db))

    def _over_the_air(self, frame: TokenFrame, number: int, esn0_db: float) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, number, round(esn0_db * 1000) & 0xFFFFFFFF])
        (got,) = self._link.receive(self._link.transmit(frame, number).in_noise(esn0_db, rng))
        recovered = self._recovery.recover(got.frame, got.received)
        wrong = wrong_by_packet(frame.tokens, recovered.frame.tokens, got.positions)
        per = float(np.mean(~recovered.packets_ok | wrong.any(axis=1)))
        found = {"per": per, "ter": float(np.mean(wrong))}
        return found | self._judged(number, self.tokenizer.detokenize(recovered.frame))

    def airtime(self, kind: str) -> int:
        """Compute the samples of a burst with what is told."""
        return frame_samples(self.described(0, kind), TransmitConfig(MCS))

    def energy_db(self) -> float:
        """Compute by how much Es/N0 could be higher, at equal energy per picture, if the sentence were not sent."""
        return float(10 * np.log10(self.airtime(SENTENCE) / self.airtime(NOTHING_TOLD)))

    def _judged(self, number: int, picture: np.ndarray) -> dict[str, float]:
        named = self.judge.names(picture[None])[0] == self.labels[number]
        return {"psnr_db": psnr_db(self.pictures[number], picture), "named": float(named)}

    def _once(self, key: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Return figures from the cache, or measure them and keep them there."""
        for _, figures, _ in self._table.find([key]):
            return figures
        found = measure()
        self._table.add({key: (found, None)})
        return found


def losses_table(
    bench: ConditionsBench, shares: Sequence[float], shown: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Measure every kind of condition at every share of lost tokens.

    Args:
        bench: the photographs.
        shares: shares of lost tokens.
        shown: those of them at which pictures are filled in and judged.
        progress: called with the number of frames done since the last call.
    """
    rows = []
    for share in shares:
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in bench.kinds}
        # Frame by frame, so that what an interrupted run has measured is complete.
        for number in range(len(bench.frames)):
            for kind in bench.kinds:
                found[kind].append(bench.lost(number, share, kind, share in shown and kind != EXACT))
                progress(1)
        rows += [{"lost": share, "told": kind, **summary(own, found[NOTHING_TOLD])} for kind, own in found.items()]
    return rows


def air_table(
    bench: ConditionsBench, esn0_db: Sequence[float], frames: int, progress: Callable[[int], None] = lambda done: None
) -> list[dict]:
    """Measure the first frames over the air with every kind of condition at every Es/N0; "nothing, the sentence's
    energy" is at an Es/N0 higher by what the sentence's airtime costs."""
    rows, more = [], bench.energy_db()
    for value in esn0_db:
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in AIR_KINDS}
        for number in range(min(frames, len(bench.frames))):
            for kind in AIR_KINDS:
                found[kind].append(bench.over_the_air(number, value + more * (kind == ENERGY), kind))
                progress(1)
        rows += [
            {"esn0_db": value, "told": kind, "samples": bench.airtime(kind), **summary(own, found[NOTHING_TOLD])}
            for kind, own in found.items()
        ]
    return rows


def summary(own: Sequence[Mapping[str, float]], nothing: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """Compute means of figures over frames, and of their differences from those of the same frames if nothing is told.

    Args:
        own: figures of each frame.
        nothing: those of the same frames if nothing is told.

    Returns:
        Per figure its mean and, as "NAME_gain", the mean difference and the limits of its 95% interval (normal
        approximation over frames); the number of frames.
    """
    found: dict[str, object] = {"frames": len(own)}
    for name in own[0].keys():
        values = np.array([each[name] for each in own])
        found[name] = round(float(values.mean()), 4)
        if all(name in each for each in nothing):
            gain = values - np.array([each[name] for each in nothing])
            half = Z * float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else float("inf")
            mean = float(gain.mean())
            found[f"{name}_gain"] = [round(each, 4) for each in (mean, mean - half, mean + half)]
    return found


def _plain(condition: Condition) -> list:
    return [condition.label, condition.text, condition.embedding]
