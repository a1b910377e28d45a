"""Context-aware repeat requests measured: how many are saved, and which share of tokens is wrong in the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.context.recovery import Recovery
from tokcom.frame import LOST, TokenFrame
from tokcom.link.bursts import BurstLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.layout import SEEDS, packet_positions
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.repeat_requests import packet_doubts
from tokcom.protocol.repeat_risk import GROUPS, RepeatRisk, accepted_wrong, group_of
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress

CALIBRATION_LOSS = (0.03, 0.6)
"""Shares of packets lost in the calibration, drawn evenly between these, independently in each frame."""
EPA_ESN0_DB, EPA_MCS, SAMPLE_RATE, DOPPLER_HZ = 10.0, "16qam-1/2", 1e6, 5.0
BURST = 6.0
"""Packets in a burst of losses, on average, of the bursty channels."""
SPLITS = 20


@dataclass(frozen=True, eq=False)
class Judged:
    """A frame of which packets were lost.

    Attributes:
        lost_share: share of its packets that were lost.
        doubt: float (n_lost,), expected share of wrong tokens of each lost packet.
        wrong: int (n_lost,), tokens of each that the model guesses wrong.
        n_tokens: number of tokens in the frame.
    """

    lost_share: float
    doubt: np.ndarray
    wrong: np.ndarray
    n_tokens: int


def lost_packets(material: Material, number: int, channel: str, seed: int) -> np.ndarray:
    """bool (n_packets,): which packets of a frame a channel loses: "independent N%", "bursty N%", "EPA" or
    "calibration"."""
    rng = np.random.default_rng([seed, number])
    if channel == "calibration":
        return rng.random(material.packets) < rng.uniform(*CALIBRATION_LOSS)
    if channel == "EPA":
        return _lost_on_the_air(material.frames[number], seed)
    kind, share = channel.split()
    loss = float(share.rstrip("%")) / 100
    path = Path(PathSettings(loss, BURST if kind == "bursty" else 1.0), int(rng.integers(2**31)))
    for _ in range(64):  # the chain forgets where it began
        path.arrivals(1, 0.0)
    return np.array([not path.arrivals(1, 0.0) for _ in range(material.packets)])


def _lost_on_the_air(frame: TokenFrame, seed: int) -> np.ndarray:
    link = BurstLink(Transmitter(TransmitConfig(EPA_MCS, TOKENS_PER_PACKET)), Receiver())
    settings = ChannelSettings(
        snr_db=EPA_ESN0_DB - ESN0_OVER_SNR_DB, profile="epa", doppler_hz=DOPPLER_HZ, cfo_hz=2000.0
    )
    channel = ChannelModel(settings, SAMPLE_RATE, seed + frame.frame_id)
    lost = np.ones(-(-len(frame.tokens) // TOKENS_PER_PACKET), bool)
    for arrival in link.receive(channel.process(np.pad(link.transmit(frame, frame.frame_id), 500))):
        if len(arrival.positions) == len(lost):
            lost[arrival.rows[arrival.packets_ok]] = False
    return lost


def judged_frames(material: Material, channel: str, seed: int, progress: Progress = lambda done: None) -> list[Judged]:
    """The model's predictions for every photograph that lost packets in a channel; wholly lost bursts are left out."""
    judged = []
    for frame in material.frames:
        progress(1)
        lost = lost_packets(material, frame.frame_id, channel, seed)
        if not lost.any() or lost.all():
            continue
        positions = packet_positions(frame.grid, TOKENS_PER_PACKET, seed=frame.frame_id % SEEDS)
        missing = np.flatnonzero(lost)
        tokens = frame.tokens.copy()
        tokens[positions[missing]] = LOST
        left = frame.with_tokens(tokens)
        doubt = packet_doubts(material.prior, left, positions, missing)
        guessed = Recovery(material.prior).recover(left)[0].tokens
        wrong = (guessed != frame.tokens)[positions[missing]].sum(axis=1)
        judged.append(Judged(float(lost.mean()), doubt, wrong, len(tokens)))
    return judged


def fit_repeat_risk(judged: Sequence[Judged]) -> RepeatRisk:
    """The calibration's table."""
    losses = np.array([accepted_wrong(each.doubt, each.wrong, each.n_tokens) for each in judged])
    return RepeatRisk.of_frames(np.array([each.lost_share for each in judged]), losses)


def arq_row(risk: RepeatRisk, judged: Sequence[Judged], alpha: float, channel: str, seed: int) -> dict:
    """Requests saved and risk on a channel.

    The frames are split at random twenty times: the distribution of losses is taken from one half, and the risk is
    measured on the other. Guesses are those made before any repeat has come.

    Returns:
        alpha, channel, frames, requests_saved (relative to requesting all missing packets), risk (mean), worst_risk (of
        the splits), splits_within (of SPLITS), random_saved and oracle_saved at the same risk.
    """
    rng = np.random.default_rng(seed)
    wrong = np.array([each.wrong.sum() / each.n_tokens for each in judged])
    lost = np.array([len(each.doubt) for each in judged])
    groups = group_of([each.lost_share for each in judged])
    risks, saved, random_saved, oracle = [], [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(judged))
        half, others = order[: len(order) // 2], order[len(order) // 2 :]
        threshold = risk.threshold(alpha, np.bincount(groups[half], minlength=GROUPS))
        kept = [(judged[i].doubt <= threshold) & risk.covers(judged[i].lost_share) for i in others]
        risks.append(
            np.mean([judged[i].wrong[k].sum() / judged[i].n_tokens for i, k in zip(others, kept, strict=True)])
        )
        saved.append(sum(int(k.sum()) for k in kept) / lost[others].sum())
        random_saved.append(min(1.0, risks[-1] / max(wrong[others].mean(), 1e-9)))
        oracle.append(_oracle_saved([judged[i] for i in others], risks[-1]))
    return {
        "alpha": alpha, "channel": channel, "frames": len(judged), "requests_saved": float(np.mean(saved)),
        "risk": float(np.mean(risks)), "worst_risk": float(np.max(risks)),
        "splits_within": int(np.sum(np.array(risks) <= alpha)), "random_saved": float(np.mean(random_saved)),
        "oracle_saved": float(np.mean(oracle)),
    }  # fmt: skip


def _oracle_saved(judged: Sequence[Judged], risk: float) -> float:
    """Requests saved by who knows what is wrong: packets with the fewest wrong tokens are accepted first."""
    wrong = np.sort(np.concatenate([each.wrong for each in judged]))
    allowed = risk * sum(each.n_tokens for each in judged)
    return float(np.searchsorted(np.cumsum(wrong), allowed, side="right")) / len(wrong)
