"""Memory, loading time and time per pass of public models' networks at full size, with random weights.

Each part is measured in a process of its own, through the zoo as a receiver does: hash, half-precision file, network.
Time is also given as a share of the speed that the machine's matrix products reach at that moment, which is comparable
between machines and under load.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
from torch.utils.flop_counter import FlopCounterMode

from tokcom.context.condition import Condition
from tokcom.context.prior import CAUSAL
from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.models.card import FORMAT, file_hash
from tokcom.models.families import family
from tokcom.models.public.catalogue import PublicPart, public_model
from tokcom.models.public.speed import machine_gflops
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.tokenizers.neural_codec import NeuralCodec
from tokcom_lab.cache import FOLDER, RESULTS, Table, key_of
from tokcom_lab.memory import resident_mb

VERSION = 1
"""Version of the measurement, for results that are kept: it counts up where they would differ."""
ROUNDS = 3
NOT_ALONE = ("amused", "maskgen", "tatitok", "clip-text", "clap")
"""Families that are not measured: encoders of sentences, which need a vocabulary, and networks that need one."""
LOST_SHARE = 0.3
"""Share of tokens that are lost in the frame that is predicted."""


def meta_network(entry: PublicPart) -> torch.nn.Module:
    """Make the network of a part at full size, without memory for its weights."""
    return family(entry.family).without_weights(entry.config).eval()


def gflop_of(network: torch.nn.Module) -> dict[str, float]:
    """Count 10⁹ operations by what a network computes for one frame, sentence, or second of sound: encode and decode,
    or pass; two per product."""
    torch.backends.mha.set_fastpath_enabled(False)  # whose operations are not counted
    network = deepcopy(network)
    for module in network.modules():  # the counter does not see through them
        if is_parametrized(module):
            remove_parametrizations(module, "weight")
    with torch.device(next(network.parameters()).device), torch.inference_mode():
        return {name: _counted(call) for name, call in _work_of(network).items()}


def _work_of(network: torch.nn.Module) -> dict[str, Callable[[], object]]:
    """List the calls of a network, by its interface."""
    config = network.config

    def numbers(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int64)

    if hasattr(network, "synthesize"):
        columns = -(-config.rate // config.hop)
        signal = torch.zeros(1, 1, columns * config.hop)
        words = network.encode(signal)[:, 0]
        return {
            "encode": lambda: network.encode(signal),
            "decode": lambda: network.synthesize(network.vectors(words, 0)),
        }
    if hasattr(network, "encode"):
        pictures = torch.zeros(1, 3, config.image_size, config.image_size)
        grid = getattr(config, "grid", None) or (config.image_size // config.patch_size,) * 2
        return {
            "encode": lambda: network.encode(pictures),
            "decode": lambda: network.decode(numbers(1, *grid)),
        }
    if hasattr(config, "longest"):
        return {"encode": lambda: network(numbers(1, config.longest))}
    if hasattr(network, "begin"):
        tokens = numbers(1, config.n_tokens)
        return {"pass": lambda: network.predict(network(tokens, 0, network.begin(0)[1])[0])}
    tokens = numbers(1, torch.Size(config.grid).numel())
    if hasattr(config, "text_width"):
        features, told = torch.zeros(1, 77, config.text_width), torch.zeros(1, config.embedding)
        return {"pass": lambda: network(tokens, features, told, _all(tokens))}
    return {"pass": lambda: network(tokens, numbers(1), _all(tokens))}


def _all(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All places of frames, as indices: how many places a mask chooses is not known without memory."""
    return (torch.zeros_like(tokens).flatten(), torch.zeros_like(tokens).flatten())


def _counted(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return round(counter.get_total_flops() / 1e9, 1)


def measure_model(name: str, rounds: int = ROUNDS) -> list[dict]:
    """Measure the parts of a public model, each in a process of its own.

    Args:
        name: a model of the catalogue.
        rounds: passes that are timed after one that is not; the median counts.

    Returns:
        A row per part and kind of pass: model, part, work, parameters, gflop, file_mb, memory_mb (of the process, with
        its libraries), load_s, seconds, share (of the speed of matrix products), threads.

    Raises:
        ModelError: a process ended before it had measured.
    """
    rows = []
    table = Table(FOLDER / RESULTS, "large_models")
    for part, entry in public_model(name).parts.items():
        if entry.family in NOT_ALONE:
            continue
        key = key_of(VERSION, entry.family, entry.config, rounds, torch.get_num_threads())
        if found := [figures["rows"] for _, figures, _ in table.find([key])]:
            rows += [{"model": name, "part": part} | row for row in found[0]]
            continue
        command = [sys.executable, "-m", "tokcom_lab.large_models", name, part, str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ModelError(f"{name}, {part}: its measurement ended with status {done.returncode}: {why}")
        measured = json.loads(done.stdout.splitlines()[-1])
        table.add({key: ({"rows": measured}, None)})
        rows += [{"model": name, "part": part} | row for row in measured]
    return rows


def _measured(name: str, part: str, rounds: int) -> list[dict]:
    entry = public_model(name).parts[part]
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        path = Path(folder) / name
        path.mkdir()
        shape = meta_network(entry)
        _write(path, name, part, entry, shape)
        gflop = gflop_of(shape)
        torch.backends.mha.set_fastpath_enabled(True)
        start = time.perf_counter()
        work = _tokenizer_work(str(path)) if part == "tokenizer" else _context_work(str(path))
        load_s = time.perf_counter() - start
        size = (path / f"{part}.safetensors").stat().st_size
        common = {"parameters": sum(each.numel() for each in shape.parameters())}
        rows = []
        for kind, call in work.items():
            call()
            seconds, speeds = [], []
            for _ in range(rounds):
                speeds.append(machine_gflops())
                start = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - start)
            taken, machine = float(np.median(seconds)), float(np.median(speeds))
            rows.append(
                {
                    "work": kind, **common, "gflop": gflop[kind],
                    "file_mb": round(size / 1e6), "memory_mb": round(resident_mb()), "load_s": round(load_s, 2),
                    "seconds": round(taken, 3), "share": round(gflop[kind] / taken / machine, 3),
                    "threads": torch.get_num_threads(),
                }
            )  # fmt: skip
        return rows


def _write(path: Path, name: str, part: str, entry: PublicPart, shape: torch.nn.Module) -> None:
    """Write a model of one part with random weights in half precision."""
    rng = torch.Generator().manual_seed(0)
    state = {
        key: (torch.randn(each.shape, generator=rng, dtype=torch.float32) * 0.02).half()
        for key, each in shape.state_dict().items()
    }
    weights = path / f"{part}.safetensors"
    save_file(state, weights)
    described = {"family": entry.family, "config": entry.config, "weights": weights.name, "sha256": file_hash(weights)}
    card = {"format": FORMAT, "name": name, "modality": "image", "licence": "none", "classes": [], part: described}
    (path / "card.json").write_text(json.dumps(card), encoding="utf-8")


def _tokenizer_work(folder: str) -> dict[str, Callable[[], object]]:
    tokenizer = load_tokenizer(folder, device="cpu")
    if isinstance(tokenizer, NeuralCodec):
        frame = tokenizer.tokenize(np.random.default_rng(0).uniform(-1, 1, tokenizer.rate).astype(np.float32))
        second = np.zeros(tokenizer.rate, np.float32)
        return {"encode": lambda: tokenizer.tokenize(second), "decode": lambda: tokenizer.detokenize(frame)}
    side = tokenizer.image_size
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    tokens = np.zeros((1, *tokenizer.grid), np.int64)
    return {"encode": lambda: tokenizer.encode(picture), "decode": lambda: tokenizer.decode(tokens)}


def _context_work(folder: str) -> dict[str, Callable[[], object]]:
    prior, rng = load_context(folder, "cpu"), np.random.default_rng(0)
    tokens = rng.integers(0, prior.codebook_size, (1, int(np.prod(prior.grid))))
    if prior.order == CAUSAL:
        return {"pass": lambda: prior.paths(Condition(1)).follow(tokens[0])}
    lost = rng.random(tokens.shape) < LOST_SHARE
    known = np.where(lost, LOST, tokens)
    return {"pass": lambda: prior.log_probabilities(known, lost, [Condition(1)])}


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
