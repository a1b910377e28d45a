"""Decoding of blocks on other machines than the encoder's, with different batch, threads, kernels and runtime.

Each machine is a separate process, because kernels are chosen when libraries are loaded. Frames are coded and decoded
in parts; the results of a process are stored in files, from which the next run continues.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokcom.context.condition import Condition
from tokcom.context.onnx_prior import OnnxPrior
from tokcom.context.prior import Prior
from tokcom.errors import SourceError, TokcomError
from tokcom.frame import LOST, TokenFrame
from tokcom.models.codebooks import codebook
from tokcom.models.onnx_export import export_context
from tokcom.models.zoo import load_context
from tokcom.packets.halton import halton_order
from tokcom.source.blocks import SourceSettings, encode_block
from tokcom.source.container import CodedFrames, from_bytes, to_bytes
from tokcom_lab.cache import FOLDER, SELDOM, code_of, key_of, model_content
from tokcom_lab.curves.compression import RememberingPrior

PART = 20
"""Frames per file of results."""
OLD_KERNELS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}


@dataclass(frozen=True)
class Machine:
    """Configuration of a process that computes the context model.

    Attributes:
        runtime: "torch" or "onnxruntime".
        batch: frames per batch.
        threads: number of threads.
        variables: environment variables.
    """

    runtime: str
    batch: int
    threads: int
    variables: Mapping[str, str]


ENCODER = Machine("torch", 8, 2, {})
DECODERS = {
    "torch, batch 1, 1 thread, SSE4.1": Machine("torch", 1, 1, OLD_KERNELS),
    "onnxruntime, batch 1, 1 thread": Machine("onnxruntime", 1, 1, {}),
}


def count_mismatches(
    frames: Sequence[TokenFrame], model: str, turns: int, *, cache: Path = FOLDER / "mismatch",
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, object]:  # fmt: skip
    """Encode frames, one block per frame, on one machine, decode them on others, and compare.

    Args:
        frames: frames of the model's codebook.
        model: name or folder of the model.
        turns: evaluations of the context model per frame.
        cache: folder of results.
        progress: called with the number of blocks coded or decoded since the last call.

    Returns:
        blocks: number of blocks decoded under all conditions; wrong: number of blocks decoded wrongly or not at all;
            conditions: by decoder, blocks, wrong, and the largest difference between its log-probabilities and the
            encoder's for the same tokens.

    Raises:
        TokcomError: a process failed; the message is that of the process.
    """
    cache.mkdir(parents=True, exist_ok=True)
    material = cache / f"{_key(frames, model, turns)}.npz"
    told = [-1 if frame.cmi is None else frame.cmi for frame in frames]
    np.savez(material, tokens=np.stack([frame.tokens for frame in frames]), cmi=np.array(told))
    parts = [cache / _key(frames[first : first + PART], model, turns) for first in range(0, len(frames), PART)]
    _run(ENCODER, "encode", material, model, turns, progress)
    conditions = {}
    for number, (name, machine) in enumerate(DECODERS.items()):
        task = f"decode-{number}"
        _run(machine, task, material, model, turns, progress)
        found = [json.loads(part.with_suffix(f".{task}").read_text(encoding="utf-8")) for part in parts]
        conditions[name] = {
            "blocks": sum(part["blocks"] for part in found), "wrong": sum(part["wrong"] for part in found),
            "largest_difference": max(part["difference"] for part in found),
        }  # fmt: skip
    return {
        "blocks": sum(each["blocks"] for each in conditions.values()),
        "wrong": sum(each["wrong"] for each in conditions.values()),
        "conditions": conditions,
    }


def _key(frames: Sequence[TokenFrame], model: str, turns: int) -> str:
    """Make a key of frames, the settings of their coding, model and code."""
    said = [(frame.codebook, frame.cmi, frame.tokens) for frame in frames]
    code = code_of("tokcom", without=SELDOM), code_of("tokcom_lab.curves.mismatch")
    return key_of(said, turns, model_content(model), code)


def _job(machine: Machine, task: str, material: Path, model: str, turns: int) -> dict:
    """Make the job description of a process."""
    return {
        "task": task, "material": str(material), "model": model, "turns": turns, "runtime": machine.runtime,
        "batch": machine.batch, "threads": machine.threads,
    }  # fmt: skip


def _run(
    machine: Machine, task: str, material: Path, model: str, turns: int, progress: Callable[[int], None]
) -> None:  # fmt: skip
    threads = {name: str(machine.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    job = json.dumps(_job(machine, task, material, model, turns))
    log = material.with_suffix(f".{task}.log")
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tokcom_lab.curves.mismatch", job], env=os.environ | threads | machine.variables,
            stdout=subprocess.PIPE, stderr=file, text=True,
        )  # fmt: skip
        try:
            for line in process.stdout:
                progress(int(line))
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
    if process.returncode:
        said = log.read_text(encoding="utf-8").strip() or f"it ended with code {process.returncode}"
        raise TokcomError(f"{task}, {machine.runtime}: {said.splitlines()[-1]}")


def _work(job: dict) -> None:
    """Run a process: compute the missing parts."""
    torch.set_num_threads(job["threads"])
    material = Path(job["material"])
    if job["runtime"] == "torch":
        prior = load_context(job["model"], "cpu")
        prior.at_once = job["batch"]
    else:
        prior = _onnx_prior(job["model"], material.with_suffix(".onnx"), job["threads"])
    with np.load(material) as file:
        tokens, told = file["tokens"], file["cmi"]
    frames = [
        TokenFrame(own, prior.codebook, prior.codebook_size, prior.grid, "image", None if label < 0 else int(label))
        for own, label in zip(tokens, told, strict=True)
    ]
    for first in range(0, len(frames), PART):
        part = frames[first : first + PART]
        coded = material.parent / f"{_key(part, job['model'], job['turns'])}.tkc"
        done = coded.with_suffix(f".{job['task']}")
        if not done.exists():
            if job["task"] == "encode":
                _encode(part, prior, job, coded)
                done.write_text("", encoding="utf-8")
            else:
                done.write_text(json.dumps(_decode(part, prior, job, coded)), encoding="utf-8")
        print(len(part), flush=True)


def _onnx_prior(model: str, path: Path, threads: int) -> OnnxPrior:
    if not path.exists():
        export_context(model, path)
    return OnnxPrior(path, codebook(model).name, threads)


def _probe(frames: Sequence[TokenFrame], prior: Prior) -> np.ndarray:
    """Compute log-probabilities of every second token of some frames, to compare machines."""
    seen = np.stack([np.where(np.arange(len(frame.tokens)) % 2, frame.tokens, LOST) for frame in frames]).astype(
        np.int32
    )
    return prior.log_probabilities(seen, seen == LOST, list(map(Condition.of, frames)))


def _encode(frames: Sequence[TokenFrame], prior: Prior, job: dict, path: Path) -> None:
    # Frames are separate blocks, but their probabilities are computed in batches.
    batch, order = job["batch"], halton_order(frames[0].grid)
    remembering, blocks = RememberingPrior(prior), []
    settings = SourceSettings(job["turns"])
    for start in range(0, len(frames), batch):
        group = frames[start : start + batch]
        encode_block(group, order, remembering, settings)
        blocks += [encode_block([frame], order, remembering, settings) for frame in group]
        remembering.forget()
    coded = CodedFrames(tuple(frames), ("",) * len(frames), job["turns"], 1, tuple(blocks))
    path.write_bytes(to_bytes(coded))
    np.save(path.with_suffix(".npy"), _probe(frames[:8], prior))


def _decode(frames: Sequence[TokenFrame], prior: Prior, job: dict, path: Path) -> dict:
    coded, wrong = from_bytes(path.read_bytes()), 0
    for number, frame in enumerate(frames):
        try:
            (found,) = coded.decode(number, prior)
            wrong += not np.array_equal(found.tokens, frame.tokens)
        except SourceError:
            wrong += 1
    away = np.abs(_probe(frames[:8], prior) - np.load(path.with_suffix(".npy")))
    return {"blocks": len(frames), "wrong": wrong, "difference": float(away.max())}


if __name__ == "__main__":
    try:
        _work(json.loads(sys.argv[1]))
    except TokcomError as problem:
        sys.exit(str(problem))
