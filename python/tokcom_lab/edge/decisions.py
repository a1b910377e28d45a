"""Frames decoded by a device's small prior and by an edge server's large one, and what a policy makes of both."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tokcom.context.acceptance import Acceptance
from tokcom.link.recovery import FrameRecovery
from tokcom.models.codebooks import word_frequencies
from tokcom.models.fits import load_acceptance
from tokcom.models.installed import model_card
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom.offload.escalation import EscalationPolicy, doubt_of
from tokcom_lab.cache import FOLDER, RESULTS, Table, code_of, key_of
from tokcom_lab.curves.context_curve import MCS, Bench
from tokcom_lab.photographs import load_photographs

CODE = code_of("tokcom.context", "tokcom.coding", "tokcom.modulation", "tokcom.link")


@dataclass(frozen=True)
class Decoded:
    """A frame as decoded by one prior.

    Attributes:
        esn0_db: Es/N0 in dB.
        frame: its number.
        tokens: number of its tokens.
        wrong: number of those that are wrong after recovery.
        doubt: expected number of wrong tokens.
        passes: passes of the prior.
        seconds: time from LLRs to tokens.
        log_odds: log-odds before calibration of each packet that was list-decoded.
        right: whether that packet's tokens are right.
    """

    esn0_db: float
    frame: int
    tokens: int
    wrong: int
    doubt: float
    passes: int
    seconds: float
    log_odds: tuple[float, ...]
    right: tuple[bool, ...]


def decoded(
    bench: Bench, part: str, esn0_db: Sequence[float], acceptance: Acceptance | None = None, *,
    cache: str | Path = FOLDER, progress: Callable[[int], None] = lambda done: None,
) -> list[Decoded]:  # fmt: skip
    """Decode every frame at every Es/N0 with one of the model's priors; frames alternate between with and without
    label.

    Results are cached, so that an interrupted measurement is continued.

    Args:
        bench: the frames.
        part: the prior: `card.CONTEXT` or `card.SMALL_CONTEXT`.
        esn0_db: Es/N0 in dB.
        acceptance: calibration of posteriors; None for that in the model's card.
        cache: folder of the cache.
        progress: called with the number of frames done since the last call.

    Raises:
        ModelError: the model lacks the prior.
    """
    model = bench.model
    curve = load_acceptance(model, part) if acceptance is None else acceptance
    recovery = FrameRecovery(
        "context", load_context(model, "cpu", part), acceptance=curve, frequencies=word_frequencies(model)
    )
    content = [model_card(model).part(part)["sha256"], asdict(curve), MCS, bench.seed, CODE]
    table, found = Table(Path(cache) / RESULTS, "edge"), []
    for value in esn0_db:
        for number, frame in enumerate(bench.frames):
            key = key_of(content, value, number, frame.tokens, frame.cmi)
            known = next(iter(table.find([key])), None)
            row = None if known is None else Decoded(**known[1])
            if row is None:
                row = _decoded(bench, recovery, value, number)
                table.add({key: (asdict(row), None)})
            found.append(replace(row, log_odds=tuple(row.log_odds), right=tuple(row.right)))
            progress(1)
    table.close()
    return found


def _decoded(bench: Bench, recovery: FrameRecovery, esn0_db: float, number: int) -> Decoded:
    got = bench.received(number, esn0_db, number % 2 == 0)
    start = time.perf_counter()
    recovered = recovery.recover(got.frame, got.received)
    seconds = time.perf_counter() - start
    listed = np.isfinite(recovered.log_odds)
    wrong = bench.errors(number, got, recovered)
    right = ~wrong.any(axis=1)[listed] if listed.any() else np.zeros(0, bool)
    return Decoded(
        float(esn0_db), number, len(got.frame.tokens), int(wrong.sum()), doubt_of(recovered), recovered.passes,
        seconds, tuple(map(float, recovered.log_odds[listed])), tuple(map(bool, right)),
    )  # fmt: skip


def edge_bench(data: Path, model: str, images: int, split: str, visits: int, seed: int) -> Bench:
    """Make the frames of photographs.

    Args:
        data: folder or archive of train/CLASS and test/CLASS.
        model: name or folder of the model.
        images: number of photographs.
        split: "train" or "test".
        visits: search passes per photograph.
        seed: seed of the choice and of the noise.

    Raises:
        DatasetError: there are no photographs.
    """
    tokenizer, classifier = load_tokenizer(model, 0, "cpu"), load_classifier(model, "cpu")
    photographs = load_photographs(data, images, tokenizer.image_size, classifier, seed, split)
    return Bench(photographs, model, tokenizer, seed=seed, device="cpu", visits=visits)


def decision_rows(here: Sequence[Decoded], edge: Sequence[Decoded], policy: EscalationPolicy) -> list[dict]:
    """Compare a policy with asking always and never, at each Es/N0 and over all.

    Args:
        here: frames as decoded on the device.
        edge: the same frames, in the same order, as decoded by the edge.
        policy: decides which frames go to the edge.

    Returns:
        Rows of esn0_db ("all" for all), frames, stay (share of frames that never leave the device), ter_always, ter,
        ter_never, and excess (relative to asking always; None if that leaves no wrong token).
    """
    asked = np.array([policy.pays(each.doubt) for each in here])
    wrong_here, wrong_edge = (np.array([each.wrong for each in rows]) for rows in (here, edge))
    tokens = np.array([each.tokens for each in here])
    levels = np.array([each.esn0_db for each in here])
    rows = []
    for value in [*np.unique(levels), "all"]:
        chosen = np.ones(len(here), bool) if value == "all" else levels == value
        always, never = int(wrong_edge[chosen].sum()), int(wrong_here[chosen].sum())
        by_policy = int(np.where(asked, wrong_edge, wrong_here)[chosen].sum())
        total = int(tokens[chosen].sum())
        rows.append({
            "esn0_db": value if value == "all" else float(value), "frames": int(chosen.sum()),
            "stay": float(1 - asked[chosen].mean()), "ter_always": always / total, "ter": by_policy / total,
            "ter_never": never / total, "excess": by_policy / always - 1 if always else None,
        })  # fmt: skip
    return rows
