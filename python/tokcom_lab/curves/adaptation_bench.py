"""Airtime, energy and errors of the transmitter's policies over Es/N0, and the outer loop on a fading channel."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from tokcom.adaptation.cqi import choose_by_cqi, table_esn0_db
from tokcom.adaptation.outer_loop import OuterLoop
from tokcom.adaptation.predictability import token_bits
from tokcom.channel.fading import FadingGains
from tokcom.channel.multipath import load_profile
from tokcom.device import AUTO
from tokcom.frame import TokenFrame
from tokcom.link.adaptation import SEMANTIC, AdaptationConfig, Choice, LinkAdapter
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import Transmitter
from tokcom.mcs import mcs_table
from tokcom.metrics.pictures import psnr_db
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom_lab.cache import FOLDER, RESULTS, SELDOM, Table, code_of, key_of, model_content, precision_content
from tokcom_lab.curves.effective_snr import carrier_gains, carrier_response, packets_lost
from tokcom_lab.photograph_tokens import photograph_tokens
from tokcom_lab.workers import workers

CHANNELS = ("awgn", "epa")
SAMPLE_RATE = 1e6
MARGIN = 0.85
"""Share of the reference's token errors on the training split that the semantic policies must keep to."""
CAUTION = 1.0
"""Standard errors over the frames of the training split by which they must do so."""
LEAST_BOUND = 2e-4
NEGLIGIBLE = 2e-5
"""Bound if errors of the reference on the training split are too rare to be counted, that is, below LEAST_BOUND."""
LARGEST_BOUND = 0.7
STRICTER, LOOSER = 0.3, 2.5
"""Largest steps of the search for a bound."""
CLOSE, TRIES = 1.25, 4
"""The search ends if one bound holds and one larger by at most this factor does not, or after this number of tries."""
FRAME_SECONDS, DOPPLER_HZ, DELAY = 0.01, 5.0, 3
"""Outer loop's channel: one burst every 10 ms, feedback three bursts later."""


@dataclass(frozen=True)
class Contender:
    """Policy under test, with its mode of decoding and its limit on the token error rate.

    Attributes:
        name: name in the report.
        config: configuration of the transmitter; the bound of a semantic policy is found on the training split.
        mode: mode of the receiver.
        rival: name of the contender whose token error rate is the limit; empty for none. "fixed" is the fastest single
            MCS within it.
    """

    name: str
    config: AdaptationConfig
    mode: str
    rival: str = ""


CONTENDERS = (
    Contender("fixed", AdaptationConfig("fixed"), "keep", "cqi"),
    Contender("cqi", AdaptationConfig("cqi"), "keep"),
    Contender("cqi-context", AdaptationConfig("cqi-context"), "context"),
    Contender("semantic", AdaptationConfig("semantic"), "context", "cqi"),
    Contender("semantic-power", AdaptationConfig("semantic-power"), "context", "cqi"),
    Contender("semantic-strict", AdaptationConfig("semantic"), "context", "cqi-context"),
)
DEFAULT = tuple(each.name for each in CONTENDERS)
LOOP_ESN0_DB = (7.0, 10.0, 16.0)
"""Values of Es/N0 in dB of the outer loop's channel."""


@dataclass(frozen=True)
class AdaptationPoint:
    """Figures of one policy on one channel.

    Attributes:
        channel: "awgn" or "epa": Rayleigh block fading, with an independent draw per burst.
        esn0_db: mean Es/N0 in dB.
        policy: the contender's name.
        airtime_ms: airtime per burst, preamble and header included, at 1 MS/s.
        signalling_bits: bits of the header with its extension and CRCs.
        per: share of packets sent that were not accepted or are wrong.
        ter: share of tokens that are wrong after recovery.
        psnr_db: PSNR of the received pictures relative to the photographs.
        energy_db: mean energy per burst, in dB relative to 1 ms at power 0 dB.
        bound: bound on the expected token error rate, NaN without one.
        expected_ter: expected token error rate.
        images: photographs.
    """

    channel: str
    esn0_db: float
    policy: str
    airtime_ms: float
    signalling_bits: float
    per: float
    ter: float
    psnr_db: float
    energy_db: float
    bound: float
    expected_ter: float
    images: int


@dataclass(frozen=True)
class Material:
    """Frames with the transmitter's knowledge of them.

    Attributes:
        frames: frames without lost tokens.
        bits: `token_bits` of each, float32 (n_tokens,).
        pictures: uint8 (n, size, size, 3).
    """

    frames: tuple[TokenFrame, ...]
    bits: tuple[np.ndarray, ...]
    pictures: np.ndarray


def prepare(model: str, pictures: np.ndarray, labels: Sequence[int | None], device: str = AUTO) -> Material:
    """Compute tokens and predictability of pictures; device as for `device.receiving_device`."""
    tokenizer, context = load_tokenizer(model, 0, device), load_context(model, device)
    frames = tokenizer.frames(photograph_tokens(pictures, model), labels)
    return Material(tuple(frames), tuple(token_bits(context, frame) for frame in frames), pictures)


class AdaptationBench:
    """Benchmark that sends photographs by every policy: symbols over the data carriers, with known noise and exact CQI.

    Args:
        model: name or folder of the model.
        train: training split, on which bounds are found.
        test: test split, on which policies are measured.
        seed: seed of fading and noise.
        jobs: number of decoding processes.
        device: device of the networks, as for `device.receiving_device`.
        kept: folder of the cache of frames' outcomes, from which an interrupted run resumes; None for no cache.
    """

    def __init__(
        self, model: str, train: Material, test: Material, seed: int = 0, jobs: int = 2, device: str = "cpu",
        kept: Path | None = FOLDER,
    ):  # fmt: skip
        self.model, self.train, self.test, self.seed, self.jobs = model, train, test, seed, jobs
        self.device = device
        self._store = None if kept is None else Table(kept / RESULTS, "outcomes")
        self._content = [
            model_content(model), precision_content(device), seed, code_of("tokcom", without=SELDOM), code_of(__name__)
        ]  # fmt: skip
        self.solver_ms: list[float] = []

    def solver_times(self) -> dict:
        """Compute the time of a semantic choice in ms, predictability excluded: median and 95th percentile."""
        if not self.solver_ms:
            return {}
        low, high = np.percentile(self.solver_ms, [50, 95])
        return {"frames": len(self.solver_ms), "median": round(float(low), 3), "p95": round(float(high), 3)}

    def points(
        self, channels: Sequence[str], esn0_db: Sequence[float], policies: Sequence[str],
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[AdaptationPoint]:  # fmt: skip
        """Measure contenders by name, after those whose token error rates are their limits."""
        chosen = [each for each in CONTENDERS if each.name in policies]
        with workers(self.jobs, torch.set_num_threads, 1) as pool:
            for channel in channels:
                for value in esn0_db:
                    for each in chosen:
                        yield self._point(pool, channel, value, each, progress)

    def _point(self, pool, channel, value, contender, progress) -> AdaptationPoint:
        config = contender.config
        if contender.name == "fixed":
            config = self._best_fixed(pool, channel, value)
        elif contender.rival:
            rival = next(each for each in CONTENDERS if each.name == contender.rival)
            config = self._within_rival(pool, channel, value, contender, rival)
        choices = self._choices(self.test, "test", channel, value, config)
        outcomes = self._decode(pool, self.test, "test", channel, value, choices, contender.mode, True, progress)
        wrong, lost, sent, psnr = (np.array(column, float) for column in zip(*outcomes, strict=True))
        airtime = np.array([choice.airtime for choice in choices]) / SAMPLE_RATE * 1000
        power = np.array([10 ** (choice.power_db / 10) for choice in choices])
        return AdaptationPoint(
            channel, value, contender.name, float(airtime.mean()),
            float(np.mean([choice.signalling_bits for choice in choices])), float(lost.sum() / max(sent.sum(), 1)),
            float(wrong.mean()), float(psnr.mean()), float(10 * np.log10(np.mean(airtime * power))),
            config.bound if config.policy in SEMANTIC else np.nan,
            float(np.mean([choice.expected_ter for choice in choices])), len(choices),
        )  # fmt: skip

    def _within_rival(self, pool, channel, value, contender, rival) -> AdaptationConfig:
        """Find the largest bound at which a contender has fewer errors than its reference on the training split.

        Frames in a fade that nothing survives do not count: they would hide the error rate of the others.
        """
        strict = self._choices(self.train, "train", channel, value, replace(contender.config, bound=LEAST_BOUND))
        served = np.array([choice.feasible for choice in strict])
        if not served.any():
            return replace(contender.config, bound=LEAST_BOUND)
        allowed = MARGIN * self._errors(pool, self.train, "train", channel, value, rival)[served]
        ceiling = float(allowed.mean())
        if ceiling < LEAST_BOUND:
            return replace(contender.config, bound=NEGLIGIBLE)

        def holds(bound: float) -> bool:
            tried = replace(contender, config=replace(contender.config, bound=bound))
            errors = self._errors(pool, self.train, "train", channel, value, tried)[served]
            more = errors - allowed
            doubt = CAUTION * more.std() * np.sqrt(len(more))
            return bool(more.sum() + doubt <= 0)

        # Begin where the expected errors meet the limit.
        bound = largest_bound(holds, self._bound(channel, value, contender.config, ceiling, served))
        return replace(contender.config, bound=bound)

    def _best_fixed(self, pool, channel, value) -> AdaptationConfig:
        """Find the fastest MCS with at most the errors of "cqi" on the training split, or the one with the fewest
        errors."""
        limit = self._ter(pool, self.train, "train", channel, value, CONTENDERS[1])
        symbols, tried = np.array([row.symbols(1024, 4) for row in mcs_table()]), []
        for index in np.argsort(symbols, kind="stable"):
            config = AdaptationConfig("fixed", mcs=mcs_table()[index].name)
            ter = self._ter(pool, self.train, "train", channel, value, Contender("fixed", config, "keep"))
            if ter <= limit:
                return config
            tried.append((ter, config.mcs))
        return AdaptationConfig("fixed", mcs=min(tried)[1])

    def _ter(self, pool, material, split, channel, value, contender) -> float:
        return float(self._errors(pool, material, split, channel, value, contender).mean())

    def _errors(self, pool, material, split, channel, value, contender) -> np.ndarray:
        """Measure the share of wrong tokens of each frame."""
        choices = self._choices(material, split, channel, value, contender.config)
        outcomes = self._decode(pool, material, split, channel, value, choices, contender.mode, False, lambda _: None)
        return np.array([outcome[0] for outcome in outcomes])

    def _bound(self, channel, value, config, ceiling, counted) -> float:
        """Find by bisection on the training split the bound at which the expected errors of the counted frames meet the
        ceiling."""
        low, high = np.log(ceiling / 20), np.log(LARGEST_BOUND)
        for _ in range(9):
            middle = (low + high) / 2
            choices = self._choices(self.train, "train", channel, value, replace(config, bound=float(np.exp(middle))))
            if np.mean([choice.expected_ter for choice in choices], where=counted) <= ceiling:
                low = middle
            else:
                high = middle
        return float(np.exp(low))

    def _choices(self, material, split, channel, value, config) -> list[Choice]:
        adapter = LinkAdapter(config, None, load_context(self.model, self.device), load_residual(self.model))
        choices = []
        for frame, bits in zip(material.frames, material.bits, strict=True):
            carriers = carriers_at(channel, value, self.seed, split, frame.frame_id)
            started = time.perf_counter()
            choices.append(adapter.choose(frame, frame.frame_id, carriers, bits=bits))
            if config.policy == "semantic":
                self.solver_ms.append(1000 * (time.perf_counter() - started))
        return choices

    def _decode(self, pool, material, split, channel, value, choices, mode, pictured, progress) -> list[tuple]:
        keys, jobs = [], []
        for number, (frame, choice) in enumerate(zip(material.frames, choices, strict=True)):
            picture = material.pictures[number] if pictured else None
            keys.append(
                key_of(
                    self._content, frame.tokens, frame.frame_id, frame.cmi, channel, value, split, mode, choice.mcs,
                    choice.layout_seed, choice.power_db, picture,
                )
            )  # fmt: skip
            told = self.model, self.device, frame, choice, channel, value, self.seed, split, mode, picture
            jobs.append(self._known(keys[-1]) or pool.submit(_decode_one, *told))
        outcomes = []
        for key, job in zip(keys, jobs, strict=True):
            if not isinstance(job, list):
                job = job.result()
                self._keep(key, job)
            outcomes.append(tuple(np.nan if each is None else each for each in job))
            progress(1)
        return outcomes

    def _known(self, key: str) -> list | None:
        if self._store is None:
            return None
        return next((figures["outcome"] for _, figures, _ in self._store.find([key])), None)

    def _keep(self, key: str, outcome: tuple) -> None:
        if self._store is not None:
            self._store.add({key: ({"outcome": outcome}, None)})


def largest_bound(holds: Callable[[float], bool], first: float) -> float:
    """Find the largest bound that holds, as nearly as a few tries allow.

    Args:
        holds: tells whether a bound holds; smaller ones than one that holds are assumed to hold as well.
        first: the bound to begin with.

    Returns:
        A bound that holds; NEGLIGIBLE if none was found.
    """
    bound, low, high = first, None, None
    for _ in range(TRIES):
        if holds(bound):
            low = bound
        else:
            high = bound
        if low is not None and (low >= LARGEST_BOUND or (high is not None and high <= CLOSE * low)):
            break
        if low is None:
            bound = max(STRICTER * high, NEGLIGIBLE)
        elif high is None:
            bound = min(LOOSER * low, LARGEST_BOUND)
        else:
            bound = float(np.sqrt(low * high))
    return NEGLIGIBLE if low is None else low


def carriers_at(channel: str, esn0_db: float, seed: int, split: str, number: int) -> np.ndarray:
    """Draw the Es/N0 in dB of the data carriers for a frame, the same at every mean and for every policy."""
    if channel == "awgn":
        return np.array([esn0_db])
    gains = carrier_gains(channel, np.random.default_rng([seed, CHANNELS.index(channel), len(split), number]))
    return esn0_db + 20 * np.log10(np.abs(gains) + 1e-6)


def outer_loop(
    esn0_db: float, frames: int, target: float, seed: int, step_db: float = 0.01, warm_up: int = 200
) -> dict:
    """Measure the PER with the outer loop on EPA at 5 Hz, with CQI and reports three bursts old, and with the inner
    loop alone.

    Args:
        esn0_db: mean Es/N0 in dB.
        frames: bursts of 64 packets after the warm-up.
        target: target PER.
        seed: seed of everything.
        step_db: step of the loop per lost packet.
        warm_up: bursts before counting.

    Returns:
        esn0_db, target, frames, delay_frames, per, per_without, mean_offset_db.
    """
    symbols = np.array([row.symbols(1024, 4) for row in mcs_table()])
    held = {}
    for name, loop in (("per", OuterLoop(target, step_db)), ("per_without", None)):
        rng = np.random.default_rng([seed, 1])
        paths = load_profile("epa")
        fading = FadingGains(paths.powers, DOPPLER_HZ * FRAME_SECONDS, -np.inf, rng)
        history, reports, offsets, lost_of = [], [], [], []
        for number in range(warm_up + frames):
            gains = carrier_response(paths, fading.next())
            history.append(esn0_db + 20 * np.log10(np.abs(gains) + 1e-6))
            known = history[max(0, number - DELAY)]
            if loop and number >= DELAY:
                loop.report(*reports[number - DELAY])
            offset = loop.offset_db if loop else 0.0
            scheme = mcs_table()[choose_by_cqi(table_esn0_db(known) + offset, target, symbols)]
            lost = packets_lost(scheme, history[-1], 64, rng)
            reports.append((round(64 * lost), 64))
            if number >= warm_up:
                lost_of.append(lost)
                offsets.append(offset)
        held[name] = float(np.mean(lost_of))
        if loop:
            held["mean_offset_db"] = float(np.mean(offsets))
    return {"esn0_db": esn0_db, "target": target, "frames": frames, "delay_frames": DELAY, **held}


def as_row(point: AdaptationPoint) -> dict:
    """Convert a point for JSON, which has no NaN."""
    row = asdict(point)
    for name, value in row.items():
        if isinstance(value, float):
            row[name] = None if np.isnan(value) else round(value, 6)
    return row


@cache
def _recovery(model: str, mode: str, device: str) -> FrameRecovery:
    return load_recovery(model, mode, device)


@cache
def _link(model: str) -> SymbolLink:
    return SymbolLink(Transmitter(), Receiver([codebook(model)]))


@cache
def _tokenizer(model: str, device: str) -> PictureTokenizer:
    return load_tokenizer(model, 0, device)


def _decode_one(model, device, frame, choice, channel, value, seed, split, mode, picture) -> tuple:
    """Measure share of wrong tokens, packets lost, packets sent, and PSNR (None without the picture) of one frame."""
    link = _link(model)
    rng = np.random.default_rng([seed, CHANNELS.index(channel), round(100 * value), len(split), frame.frame_id])
    carriers = carriers_at(channel, value, seed, split, frame.frame_id) + choice.power_db
    (arrival,) = link.receive(link.transmit(frame, choice.layout_seed, choice.mcs).in_noise(carriers, rng))
    recovered = _recovery(model, mode, device).recover(arrival.frame, arrival.received)
    wrong = wrong_by_packet(frame.tokens, recovered.frame.tokens, arrival.positions)
    sent = choice.mcs < len(mcs_table())
    good = recovered.packets_ok & ~wrong.any(axis=1)
    psnr = None if picture is None else psnr_db(picture, _tokenizer(model, device).detokenize(recovered.frame))
    return float(wrong.sum() / len(frame.tokens)), int((sent & ~good).sum()), int(sent.sum()), psnr
