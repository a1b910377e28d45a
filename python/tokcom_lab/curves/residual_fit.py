"""Measurement and fit of the errors after context decoding: `adaptation.residual.ResidualModel`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn.functional import softplus

from tokcom.adaptation.predictability import predictability
from tokcom.adaptation.residual import NOT_SENT, ResidualModel
from tokcom.context.condition import Condition
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import USUAL_BITS, Mcs, find_mcs, mcs_table
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.packets.bits import bits_per_token
from tokcom_lab.workers import workers

SCHEMES = ("qpsk-1/2", "qpsk-3/4", "16qam-1/2", "16qam-2/3", "16qam-3/4", "64qam-1/2", "64qam-2/3", "64qam-3/4",
           "256qam-2/3", "256qam-3/4", "256qam-1/1")  # fmt: skip
"""Measured MCS. BPSK equals QPSK 3.01 dB lower, bit for bit; QPSK 2/3 is between its neighbours."""
TOKENS_PER_PACKET = 4
OFFSETS_DB = (-7.0, -6.0, -5.0, -4.0, -3.0)
"""Offsets in dB from the Es/N0 at which Viterbi decoding loses 10%."""
FURTHER_DB = {"64qam-3/4": -1.0, "256qam-2/3": -1.5, "256qam-3/4": -2.0, "256qam-1/1": -5.5}
"""Further offsets in dB for the MCS on which context gains most."""
HELD = 0.5
"""Weight of the midpoints' variance about their common distance from the Viterbi thresholds, in frames."""
EACH = 2
"""Number of offsets per frame and MCS, taken in turn: many frames are more informative than many levels."""


@dataclass(frozen=True)
class ResidualData:
    """Results of packets decoded with context.

    Attributes:
        mcs: int (n,), index of each frame's MCS; NOT_SENT where its tokens were guessed from the others.
        esn0_db: float (n,), Es/N0 in dB; 0 there.
        bits: float (n, n_packets), mean bits per token of each packet.
        wrong: int (n, n_packets), number of wrong tokens of each packet.
        tokens: tokens per packet.
        payload_bits: bits of tokens per packet.
    """

    mcs: np.ndarray
    esn0_db: np.ndarray
    bits: np.ndarray
    wrong: np.ndarray
    tokens: int
    payload_bits: int = USUAL_BITS


def measure_residual(
    model: str, frames: Sequence[TokenFrame], seed: int = 0, jobs: int = 2,
    progress: Callable[[int], None] = lambda done: None, device: str = "cpu",
    conditions: Sequence[Condition] | None = None, tokens_per_packet: int = TOKENS_PER_PACKET,
    each: int = EACH,
) -> ResidualData:  # fmt: skip
    """Send every frame with each of SCHEMES at some of the OFFSETS_DB, in white Gaussian noise.

    Args:
        model: name or folder of the model.
        frames: frames of the training split, without lost tokens.
        seed: seed of the noise.
        jobs: number of processes.
        progress: called with the number of decodings done since the last call.
        device: where the context model runs, as in `device.receiving_device`.
        conditions: the receiver's side information on each frame; None for what is sent with it.
        tokens_per_packet: tokens per packet.
        each: number of offsets per frame and MCS.
    """
    rows, told = [], [Condition.of(frame) for frame in frames] if conditions is None else conditions
    with workers(jobs, torch.set_num_threads, 1) as pool:
        cases = list(zip(frames, told, strict=True))
        rows += [_guess_one(model, *case, tokens_per_packet, device) for case in cases]
        work = [
            pool.submit(_measure_one, model, *case, tokens_per_packet, name, each, seed, device)
            for case in cases
            for name in SCHEMES
        ]
        for job in work:
            rows += job.result()
            progress(each)
    mcs, values, bits, wrong = (np.array(column) for column in zip(*rows, strict=True))
    payload_bits = tokens_per_packet * bits_per_token(frames[0].codebook_size)
    return ResidualData(mcs, values, bits, wrong, tokens_per_packet, payload_bits)


def _guess_one(model: str, frame: TokenFrame, told: Condition, per_packet: int, device: str) -> tuple:
    """Compute the row of one frame whose tokens are guessed, an eighth of them at a time."""
    layout = _link(model, per_packet).transmitter.positions(frame, frame.frame_id)
    bits, guessed = predictability(_recovery(model, device).prior, frame, condition=told)
    return NOT_SENT, 0.0, bits[layout].mean(axis=1), (~guessed[layout]).sum(axis=1)


def _measure_one(
    model: str, frame: TokenFrame, told: Condition, per_packet: int, name: str, each: int, seed: int,
    device: str,
) -> list[tuple]:  # fmt: skip
    """Compute rows of index, Es/N0 in dB, bits per token and wrong tokens by packet, for one frame and MCS."""
    link, recovery, scheme, rows = _link(model, per_packet), _recovery(model, device), find_mcs(name), []
    layout_seed = frame.frame_id
    layout = link.transmitter.positions(frame, layout_seed)
    bits = predictability(recovery.prior, frame, condition=told)[0][layout].mean(axis=1)
    mcs = np.full(len(layout), scheme.index, np.uint8)
    larger = scheme.thresholds_db(per_packet * bits_per_token(frame.codebook_size))[0] - scheme.per10_esn0_db
    for number, value in levels(scheme, frame.frame_id, each):
        rng = np.random.default_rng([seed, frame.frame_id, scheme.index, number])
        (arrival,) = link.receive(link.transmit(frame, layout_seed, mcs).in_noise(value + larger, rng))
        recovered = recovery.recover(arrival.frame, arrival.received, condition=told)
        wrong = wrong_by_packet(frame.tokens, recovered.frame.tokens, layout).sum(axis=1)
        rows.append((scheme.index, value + larger, bits, wrong))
    return rows


def levels(scheme: Mcs, frame_id: int, each: int) -> list[tuple[int, float]]:
    """Numbers and Es/N0s in dB of the `each` OFFSETS_DB at which a frame is sent with an MCS."""
    numbers = [(frame_id * each + turn + scheme.index) % len(OFFSETS_DB) for turn in range(each)]
    further = FURTHER_DB.get(scheme.name, 0.0)
    return [(number, scheme.per10_esn0_db + OFFSETS_DB[number] + further) for number in numbers]


@cache
def _link(model: str, per_packet: int) -> SymbolLink:
    return SymbolLink(Transmitter(TransmitConfig(tokens_per_packet=per_packet)), Receiver([codebook(model)]))


@cache
def _recovery(model: str, device: str) -> FrameRecovery:
    return load_recovery(model, "context", device)


def fit_residual(data: ResidualData, command: str = "", steps: int = 1500) -> ResidualModel:
    """Fit the model of maximum likelihood, with a binomial number of wrong tokens.

    Args:
        data: data of every MCS in SCHEMES.
        command: command line to store in the model.
        steps: steps of Adam.

    Raises:
        ParameterError: an MCS is missing.
    """
    measured = np.array([find_mcs(name).index for name in SCHEMES])
    missing = {NOT_SENT, *measured.tolist()} - set(data.mcs.tolist())
    if missing:
        raise ParameterError(f"no frame was sent with MCS {sorted(missing)}; all of {', '.join(SCHEMES)} are needed")
    sent = data.mcs != NOT_SENT
    bits, wrong = (torch.from_numpy(each.astype(np.float32)) for each in (data.bits, data.wrong))
    scheme = torch.from_numpy(np.searchsorted(measured, data.mcs[sent]))
    # The model holds for packets of USUAL_BITS; the curves of others are shifted as the Viterbi decoder's are.
    larger = [row.thresholds_db(data.payload_bits)[0] - row.per10_esn0_db for row in mcs_table()]
    level = (data.esn0_db[sent] - np.array(larger)[data.mcs[sent]]).astype(np.float32)
    level = torch.from_numpy(level)[:, None]
    start = [mcs_table()[index].per10_esn0_db - 7 for index in measured]
    first = torch.tensor(start, dtype=torch.float32)
    middle = first.clone().requires_grad_()
    slope = torch.full((len(measured),), 0.7, requires_grad=True)
    shared = torch.tensor([-1.0, -1.0, -1.0, -0.5, -3.0, -1.0], requires_grad=True)
    optimizer = torch.optim.Adam([middle, slope, shared], lr=0.03)
    for _ in range(steps):
        packet, frame, rise = softplus(shared[0]), softplus(shared[1]), softplus(shared[3])
        tail, slower = torch.sigmoid(shared[4]), torch.sigmoid(shared[5])
        place = middle[scheme][:, None] + frame * bits[sent].mean(1, keepdim=True) + packet * bits[sent]
        below = slope.exp()[scheme][:, None] * (place - level)
        guess = torch.sigmoid(shared[2] + rise * bits)
        rate = guess.clone()
        rate[sent] = guess[sent] * ((1 - tail) * torch.sigmoid(below) + tail * torch.sigmoid(slower * below))
        rate = rate.clamp(1e-6, 1 - 1e-6)
        loss = -(wrong * rate.log() + (data.tokens - wrong) * (1 - rate).log()).mean()
        # With few frames the slopes of individual MCS cannot be distinguished, and their midpoints hardly: these are
        # held at about the same distance from the Viterbi decoder's thresholds.
        loss = loss + 0.5 * slope.var() + HELD / len(data.mcs) * (middle - first).var()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    middle, slope, shared = middle.detach(), slope.detach().exp(), shared.detach()
    fitted = {int(index): (float(m), float(s)) for index, m, s in zip(measured, middle, slope, strict=True)}
    rows = [fitted.get(row.index) for row in mcs_table()]
    # QPSK 2/3 is interpolated between the neighbouring rates, by their Viterbi thresholds.
    low, own, high = (mcs_table()[index].per10_esn0_db for index in (3, 4, 5))
    share = (own - low) / (high - low)
    rows[4] = tuple((1 - share) * a + share * b for a, b in zip(rows[3], rows[5], strict=True))
    rows[:3] = [(rows[index + 3][0] - 10 * np.log10(2), rows[index + 3][1]) for index in range(3)]
    return ResidualModel(
        tuple(round(float(row[0]), 3) for row in rows), tuple(round(float(row[1]), 3) for row in rows),
        round(float(softplus(shared[0])), 4), round(float(softplus(shared[1])), 4),
        (round(float(shared[2]), 4), round(float(softplus(shared[3])), 4)),
        (round(float(torch.sigmoid(shared[4])), 4), round(float(torch.sigmoid(shared[5])), 4)), command,
    )  # fmt: skip


def fit_rows(data: ResidualData, fitted: ResidualModel) -> list[dict]:
    """Compare measured and expected token error rates by MCS and Es/N0."""
    rows, bits = [], data.bits.mean(axis=1)
    for index in np.unique(data.mcs[data.mcs != NOT_SENT]):
        for value in np.unique(data.esn0_db[data.mcs == index]):
            here = np.flatnonzero((data.mcs == index) & (data.esn0_db == value))
            told = np.full(len(mcs_table()), value), data.payload_bits
            expected = [fitted.token_error_rates(data.bits[k], bits[k], *told)[:, index].mean() for k in here]
            rows.append(
                {"mcs": mcs_table()[index].name, "esn0_db": float(value), "frames": len(here),
                 "ter": float(data.wrong[here].mean() / data.tokens), "expected_ter": float(np.mean(expected))}
            )  # fmt: skip
    return rows
