"""Packet and token error rates of the receiver's four modes over Es/N0 on photographs, and figures of the model."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from tokcom.channel.awgn import noise_variance
from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.context.classifier import Classifier
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.context.recovery import Recovery
from tokcom.device import AUTO
from tokcom.errors import ParameterError
from tokcom.frame import LOST
from tokcom.link.arrival import Arrival
from tokcom.link.bursts import BurstLink, compile_kernels
from tokcom.link.known_noise import SymbolLink
from tokcom.link.modes import shown_by
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import RecoveredFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.metrics.pictures import psnr_db
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.packets.labels import NATURAL
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.source.filling import whole_picture
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.curves.crossing import esn0_at
from tokcom_lab.photograph_tokens import photograph_tokens
from tokcom_lab.photographs import Photographs

MCS = "16qam-1/2"
MASKED = 0.15
"""Share of masked tokens when the model alone is measured."""
SAMPLE_RATE, DOPPLER_HZ, CFO_HZ = 1e6, 5.0, 2000.0
PER = 0.1
"""Packet error rate at which the Es/N0 is reported."""


@dataclass(frozen=True)
class ContextPoint:
    """Figures of one mode at one Es/N0.

    Attributes:
        esn0_db: Es/N0 in dB.
        mode: one of `link.modes.MODES`.
        cmi: whether the receiver knew the class label.
        per: share of packets that were not accepted, or are wrong, including those of bursts that were not found.
        ter: share of tokens that are wrong after recovery, guesses included.
        undetected: share of packets that were accepted although wrong.
        ms_per_frame: mean time from LLRs to pixels in ms, over the frames whose bursts were found.
        passes: mean number of passes of the context model in mode "context".
        psnr_db: mean PSNR of the pictures as they are shown, over the same frames; None if there are none.
        psnr_tokens_db: the same if the recovered tokens are decoded, however doubtful.
        images: number of photographs.
    """

    esn0_db: float
    mode: str
    cmi: bool
    per: float
    ter: float
    undetected: float
    ms_per_frame: float
    passes: float
    psnr_db: float | None
    psnr_tokens_db: float | None
    images: int


class Bench:
    """Bench of photographs' frames, sent with `MCS` as symbols in white Gaussian noise or as bursts through a channel.

    Args:
        photographs: photographs to send.
        model: name or folder of the model.
        tokenizer: the model's tokenizer.
        seed: seed of the noise; the layout of a frame's packets is drawn from its number.
        channel: a multipath profile, for bursts that the receiver must find, estimate and equalise, each with an
            independent draw of the paths at a Doppler shift of 5 Hz, at 1 MS/s; None for symbols in known noise.
        labels: labels of the tokens, one of `packets.labels.LABELS`.
        device: where the receiver's networks run, as in `device.find_device`.
        visits: search passes per photograph for its tokens; None for the value in the model's card.
    """

    def __init__(
        self,
        photographs: Photographs,
        model: str,
        tokenizer: VQTokenizer,
        seed: int = 0,
        channel: str | None = None,
        labels: str = NATURAL,
        device: str = AUTO,
        visits: int | None = None,
    ):
        self.photographs, self.model, self.tokenizer, self.seed = photographs, model, tokenizer, seed
        self._channel, self.device = channel, device
        self._codebooks = [codebook(model)]
        self._transmitter = Transmitter(TransmitConfig(MCS, labels=labels), self._codebooks)
        tokens = photograph_tokens(photographs.pictures, model, visits=visits)
        self.frames = tokenizer.frames(tokens, photographs.labels)
        self._prior = cache(lambda: load_context(model, device))

    def received(self, number: int, esn0_db: float, cmi: bool, draw: int = 0) -> Arrival | None:
        """Simulate the reception of one frame's packets; None if its burst was lost. All modes get the same noise, each
        draw its own."""
        frame = self.frames[number] if cmi else replace(self.frames[number], cmi=None)
        ends = self._transmitter, Receiver(self._codebooks)
        if self._channel is None:
            drawn = [draw] if draw else []
            rng = np.random.default_rng([self.seed, number, round(esn0_db * 1000) & 0xFFFFFFFF, *drawn])
            link = SymbolLink(*ends, tested=True)
            (arrival,) = link.receive(link.transmit(frame, number).in_noise(esn0_db, rng))
            return arrival
        settings = ChannelSettings(
            snr_db=esn0_db - ESN0_OVER_SNR_DB, profile=self._channel, doppler_hz=DOPPLER_HZ, cfo_hz=CFO_HZ
        )
        channel = ChannelModel(settings, SAMPLE_RATE, self.seed + number + draw * len(self.frames))
        link = BurstLink(*ends)
        found = link.receive(channel.process(np.pad(link.transmit(frame, number), 500)))
        return found[0] if found else None

    def packets(self, number: int) -> int:
        """Count the packets of one frame."""
        return -(-len(self.frames[number].tokens) // self._transmitter.config.tokens_per_packet)

    def errors(self, number: int, arrival: Arrival, recovered: RecoveredFrame) -> np.ndarray:
        """Find wrong tokens, bool (n_packets, tokens_per_packet)."""
        return wrong_by_packet(self.frames[number].tokens, recovered.frame.tokens, arrival.positions)

    def shown(self, mode: str, recovered: RecoveredFrame) -> np.ndarray:
        """Decode a frame recovered in a mode, as Image Detokenizer does."""
        confidence = shown_by(mode, recovered.confidence)
        return whole_picture(recovered.frame, self.tokenizer, self._prior, confidence)


def context_curve(
    bench: Bench, esn0_db: Sequence[float], modes: Sequence[str], cmi: Sequence[bool],
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[ContextPoint]:  # fmt: skip
    """Measure every mode with and without label at every Es/N0.

    Args:
        bench: the frames.
        esn0_db: Es/N0 in dB.
        modes: modes of `link.modes.MODES`.
        cmi: whether the receiver knows the label: (True,), (False,) or both.
        progress: called with the number of frames done since the last call.

    Raises:
        ParameterError: an Es/N0 is not a number, or a mode does not exist.
    """
    for value in esn0_db:
        noise_variance(value)
    recoveries = {mode: load_recovery(bench.model, mode, bench.device) for mode in modes}
    count = len(bench.frames)
    compile_kernels()
    for mode in modes:  # warm up the networks before timing
        lost = bench.frames[0].with_tokens(np.full_like(bench.frames[0].tokens, LOST))
        bench.shown(mode, recoveries[mode].recover(lost))
    for value in esn0_db:
        for mode in modes:
            for told in cmi:
                total, seconds, passes, psnr = np.zeros(3), 0.0, 0, []
                for number in range(count):
                    progress(1)
                    got = bench.received(number, value, told)
                    if got is None:
                        total += 1, 1, 0
                        continue
                    started = time.perf_counter()
                    got.received.decode()  # what every mode begins with counts in each
                    recovered = recoveries[mode].recover(got.frame, got.received)
                    shown = bench.shown(mode, recovered)
                    seconds += time.perf_counter() - started
                    decoded = bench.tokenizer.detokenize(recovered.frame)
                    psnr.append([psnr_db(bench.photographs.pictures[number], each) for each in (shown, decoded)])
                    wrong, ok = bench.errors(number, got, recovered), recovered.packets_ok
                    bad = wrong.any(axis=1)
                    total += np.mean(~ok | bad), np.mean(wrong), np.mean(ok & bad)
                    passes += recovered.passes
                per, ter, undetected = total / count
                found = max(len(psnr), 1)
                quality = np.mean(psnr, axis=0).tolist() if psnr else (None, None)
                yield ContextPoint(
                    value, mode, told, per, ter, undetected, 1000 * seconds / found, passes / found, *quality, count
                )


def esn0_at_per(points: Sequence[ContextPoint], per: float = PER) -> float | None:
    """Find the Es/N0 in dB at which a mode's PER falls to a value, interpolating its logarithm; None if it never
    does."""
    return esn0_at(((point.esn0_db, point.per) for point in points), per, logarithmic=True)


def masked_bits(context: Prior, tokens: np.ndarray, hidden: np.ndarray, cmi: int | None) -> np.ndarray:
    """Compute the bits that a model needs for each masked token of a frame, given the others.

    Args:
        context: the model.
        tokens: int (tokens,), all tokens.
        hidden: bool (tokens,), masked tokens.
        cmi: class label, if it is known.

    Returns:
        float (hidden tokens,).
    """
    shown = np.where(hidden, LOST, tokens).astype(np.int32)
    logs = context.log_probabilities(shown[None], hidden[None], [Condition(cmi)])
    return -logs[np.arange(len(logs)), tokens[hidden]] / np.log(2)


def model_figures(
    bench: Bench, context: Prior, classifier: Classifier, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float | None]:  # fmt: skip
    """Measure the model alone: bits per masked token and exact recovery at 15% masked, PSNR, top-1.

    Args:
        bench: the frames.
        context, classifier: parts of the model.
        seed: seed of the masks.
        progress: called with the number of frames done since the last call.

    Returns:
        bits_cmi and bits_no_cmi, exact_recovery (8 passes of mode "mask", with label), psnr_db of tokenizing alone,
        top1 over the pictures whose class the model knows (None if there are none).
    """
    recovery = Recovery(context)
    bits, psnr, right = {True: [], False: []}, [], []
    exact = masked = 0
    for number, frame in enumerate(bench.frames):
        rng = np.random.default_rng([seed, number])
        hidden = rng.random(len(frame.tokens)) < MASKED
        for told in (True, False):
            bits[told].append(masked_bits(context, frame.tokens, hidden, frame.cmi if told else None))
        seen = np.where(hidden, LOST, frame.tokens).astype(np.int32)
        guessed = recovery.recover(frame.with_tokens(seen))[0].tokens
        exact, masked = exact + int((guessed == frame.tokens)[hidden].sum()), masked + int(hidden.sum())
        picture = bench.photographs.pictures[number]
        psnr.append(psnr_db(picture, bench.tokenizer.detokenize(frame)))
        if frame.cmi is not None:
            right.append(classifier.likeliest(picture) == frame.cmi)
        progress(1)
    if not masked:
        raise ParameterError("no token was masked; use more photographs")
    return {
        "bits_cmi": float(np.concatenate(bits[True]).mean()),
        "bits_no_cmi": float(np.concatenate(bits[False]).mean()),
        "exact_recovery": exact / masked,
        "psnr_db": float(np.mean(psnr)),
        "top1": float(np.mean(right)) if right else None,
    }
