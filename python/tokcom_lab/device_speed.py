"""Pictures per second that the networks of a model take, by device and by what they do."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tokcom.context.condition import Condition
from tokcom.device import ONNX, device_name, receiving_device
from tokcom.link.bursts import compile_kernels
from tokcom.link.recovery import FrameRecovery, LeftOver
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom_lab.curves.context_curve import Bench


def usable_devices() -> list[str]:
    """List the devices of this machine: the processors, each GPU, and ONNX Runtime."""
    import torch

    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count())), ONNX]


WORK = ("tokenize", "search", "detokenize", "predict", "context")
"""Tasks of the networks; "context" at each Es/N0."""
Call = Callable[[], Callable[[], object]]
"""Prepares a call that is timed."""


def work_of(bench: Bench, model: str, device: str, esn0_db: Sequence[float]) -> dict[str, Call]:
    """Collect what is measured, by name; each timed call works on all photographs of the bench.

    tokenize: the encoder alone. search: with the search for better tokens, as long as the card says. detokenize: the
    decoder. predict: one pass of the context model over frames of which half the tokens are known. context X dB:
    from LLRs to whole frames in mode "context".

    Args:
        bench: the photographs, with their frames.
        model: name or folder of the model; for ONNX Runtime, of its export.
        device: as in `device.receiving_device`.
        esn0_db: where mode "context" decodes.
    """
    pictures, frames = bench.photographs.pictures, bench.frames
    nearest, context = load_tokenizer(model, 0, device), load_context(model, device)
    tokens = np.stack([frame.tokens for frame in frames])
    hidden = np.random.default_rng(0).random(tokens.shape) < 0.5
    conditions = [Condition.of(frame) for frame in frames]
    work = {"tokenize": lambda: lambda: nearest.encode(pictures)}
    if receiving_device(device) != ONNX:
        searching = load_tokenizer(model, device=device)
        if searching.visits:
            work["search"] = lambda: lambda: searching.encode(pictures)
    work["detokenize"] = lambda: lambda: nearest.decode(tokens.reshape(-1, *nearest.grid))
    work["predict"] = lambda: lambda: context.log_probabilities(tokens, hidden, conditions)
    recovery = load_recovery(model, "context", device)
    return work | {f"context {value:g} dB": _decoding(bench, recovery, value) for value in esn0_db}


def device_speeds(
    bench: Bench, model: str, devices: Sequence[str], esn0_db: Sequence[float], rounds: int,
    progress: Callable[[int], None] = lambda done: None, kinds: Sequence[str] = WORK,
) -> list[dict]:  # fmt: skip
    """Measure every device at all it can do. Rounds take turns, so that all meet the same load of the machine.

    Args:
        bench: the photographs, with their frames.
        model: name or folder of the model; for ONNX Runtime it is exported into a temporary folder.
        devices: as in `device.receiving_device`.
        esn0_db: where mode "context" decodes.
        rounds: after one that does not count; the median counts.
        progress: called with the number of rounds done since the last call, one more for the preparation.
        kinds: what is measured, of `WORK`.

    Returns:
        A row for each device and kind of work: device, name, mode, pictures_per_s, processor_ms, the processor time per
        picture of all threads, and the ratio of pictures_per_s to that of the first device (None if it does not do
        this work).

    Raises:
        ParameterError: no such device, or it is not there.
        ModelError: a part of the model is missing or broken, or onnxruntime is not installed.
    """
    compile_kernels()
    names = {each: device_name(receiving_device(each)) for each in devices}
    with tempfile.TemporaryDirectory() as place:
        work = {}
        for each in devices:
            folder = _exported(model, Path(place)) if each == ONNX else model
            for mode, prepare in work_of(bench, folder, each, esn0_db).items():
                if mode.split()[0] in kinds:
                    work[each, mode] = prepare
        progress(1)
        taken = {key: [] for key in work}
        for _ in range(1 + rounds):
            for key, prepare in work.items():
                call = prepare()
                started = time.perf_counter(), time.process_time()
                call()
                taken[key].append((time.perf_counter() - started[0], time.process_time() - started[1]))
            progress(1)
    medians = {key: np.median(times[1:], axis=0) / len(bench.frames) for key, times in taken.items()}
    first = {mode: seconds for (device, mode), (seconds, _) in medians.items() if device == devices[0]}
    return [
        {
            "device": device, "name": names[device], "mode": mode, "pictures_per_s": round(1 / float(seconds), 3),
            "processor_ms": round(1000 * float(processor), 3),
            "ratio": round(float(first[mode] / seconds), 3) if mode in first else None,
        }
        for (device, mode), (seconds, processor) in medians.items()
    ]  # fmt: skip


def _decoding(bench: Bench, recovery: FrameRecovery, esn0_db: float) -> Call:
    """Decoding of all frames of the bench at an Es/N0, as many side by side as the prior can batch."""

    def prepare() -> Callable[[], object]:
        # What a transmission has decoded once, it remembers.
        arrivals = [bench.received(number, esn0_db, True) for number in range(len(bench.frames))]
        left = [LeftOver(arrival.frame, arrival.received) for arrival in arrivals]
        starts = range(0, len(left), recovery.at_once)
        return lambda: [recovery.recover_all(left[start : start + recovery.at_once]) for start in starts]

    return prepare


def _exported(model: str, place: Path) -> str:
    from tokcom.models.onnx_export import export_model

    return str(export_model(model, place).folder)
