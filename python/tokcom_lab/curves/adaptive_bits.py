"""Airtime and losses of coded pictures if their MCS is chosen for the Viterbi decoder, or for the list decoder that
receives them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokcom.adaptation.cqi import choose_by_cqi, predicted_per, table_esn0_db
from tokcom.frame import BITS, BitFrame
from tokcom.link.adaptation import AdaptationConfig, LinkAdapter
from tokcom.link.airtime import frame_samples
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import mcs_table
from tokcom.packets.codebook import Codebook
from tokcom_lab.curves.adaptation_bench import SAMPLE_RATE, carriers_at

DECODERS = "Viterbi", "list"


@dataclass(frozen=True)
class AdaptiveBitsPoint:
    """Figures of one choice on one channel.

    Attributes:
        channel: "awgn" or "epa", as in `adaptation_bench`.
        target: target PER.
        esn0_db: mean Es/N0 in dB.
        chosen_for: the decoder whose thresholds choose the MCS, one of DECODERS; receivers list-decode in any case.
        airtime_ms: mean burst length in ms at 1 MS/s, preamble and header included.
        lost: number of packets that are not believed or wrong, apart from those of frames below.
        packets: number of packets of frames whose target an MCS is expected to meet.
        unmet: share of frames whose target none is expected to meet: they take the most robust.
    """

    channel: str
    target: float
    esn0_db: float
    chosen_for: str
    airtime_ms: float
    lost: int
    packets: int
    unmet: float


def adaptive_bits(
    frames: Sequence[BitFrame], blocks: int, channel: str, target: float, esn0_db: float, draws: int, seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[AdaptiveBitsPoint]:  # fmt: skip
    """Send coded frames with exact CQI by policy "cqi", once as it is, once with the Viterbi decoder's thresholds.

    Args:
        frames: frames of bits, of `blocks` packets each.
        blocks: packets per frame.
        channel, esn0_db: as in `adaptation_bench.carriers_at`.
        target: target PER.
        draws: bursts of each frame, each with its own fading and noise.
        seed: seed of fading and noise.
        progress: called with 1 after each draw of a frame.

    Returns:
        A point for each of DECODERS.
    """
    airtime = {each: [] for each in DECODERS}
    lost, packets, unmet = (dict.fromkeys(DECODERS, 0) for _ in range(3))
    for number in range(len(frames) * draws):
        frame = replace(frames[number % len(frames)], frame_id=number)
        carriers = carriers_at(channel, esn0_db, seed, "test", number)
        found = {}
        for decoder, (mcs, feasible) in _choices(frame, blocks, carriers, target).items():
            config = TransmitConfig(mcs_table()[mcs].name, bits_per_packet=len(frame.bits) // blocks)
            airtime[decoder].append(1e3 * frame_samples(frame, config) / SAMPLE_RATE)
            if not feasible:
                unmet[decoder] += 1
                continue
            if mcs not in found:
                rng = np.random.default_rng([seed, number, round(1000 * esn0_db) & 0xFFFFFFFF])
                found[mcs] = _packets_lost(frame, config, carriers, rng)
            lost[decoder] += found[mcs]
            packets[decoder] += blocks
        progress(1)
    count = len(frames) * draws
    return [
        AdaptiveBitsPoint(
            channel, target, esn0_db, each, float(np.mean(airtime[each])), lost[each], packets[each],
            unmet[each] / count,
        )
        for each in DECODERS
    ]  # fmt: skip


def _choices(frame: BitFrame, blocks: int, carriers: np.ndarray, target: float) -> dict[str, tuple[int, bool]]:
    """MCS for each of DECODERS, and whether it is expected to meet the target."""
    size = len(frame.bits) // blocks
    adapter = LinkAdapter(AdaptationConfig("cqi", target=target), TransmitConfig(bits_per_packet=size))
    chosen, esn0_db = adapter.choose(frame, 0, carriers), table_esn0_db(carriers)
    symbols = np.array([row.symbols(2, size) for row in mcs_table()])
    viterbi = choose_by_cqi(esn0_db, target, symbols, size)
    feasible = bool(predicted_per(mcs_table()[viterbi], esn0_db[viterbi], size) <= target)
    return {"Viterbi": (viterbi, feasible), "list": (int(chosen.mcs[0]), chosen.feasible)}


def _packets_lost(frame: BitFrame, config: TransmitConfig, carriers: np.ndarray, rng: np.random.Generator) -> int:
    """Number of packets of one burst that are not believed, or wrong."""
    link = SymbolLink(Transmitter(config), Receiver([Codebook(frame.content, 2, BITS)]), tested=True)
    (arrival,) = link.receive(link.transmit(frame).in_noise(carriers, rng))
    right = (arrival.tokens == frame.bits[arrival.positions[arrival.rows]]).all(axis=1)
    return int((~(arrival.packets_ok & right)).sum())
