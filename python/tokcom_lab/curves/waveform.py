"""Comparison of the burst waveform with a link whose receiver knows time, frequency, phase, channel and noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.frame import TokenFrame
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.link.receiver import Receiver, Reception
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import Mcs, mcs_table
from tokcom.packets.codebook import Codebook
from tokcom.phy.numerology import ESN0_OVER_SNR_DB

CODEBOOK = Codebook("random", 1024)
HEADER_ESN0_DB = -0.8
"""Es/N0 in dB at which about a tenth of the standard profile's headers fails."""
PER = 0.1
"""Packet error rate at which losses are measured."""
LOSS_POINTS = 7
"""Number of values of Es/N0 at which packets are sent to find that rate."""
SAMPLE_RATE = 1e6
GAPS = (300, 500)
"""Smallest and largest number of silent samples before a burst."""


@dataclass(frozen=True)
class HeaderPoint:
    """Share of bursts whose header was found and decoded."""

    channel: str
    profile: str
    esn0_db: float
    cfo: float
    bursts: int
    success: float


def header_success(
    profile: str, settings: ChannelSettings, esn0_db: float, cfo: float, bursts: int, seed: int, *, channel: str,
    progress: Callable[[int], None] = lambda done: None,
) -> HeaderPoint:  # fmt: skip
    """Send short bursts and count headers that are received correctly.

    Args:
        profile: profile of the bursts.
        settings: the channel; noise and frequency offset are added to it.
        esn0_db: Es/N0 of a carrier in dB.
        cfo: frequency offset in rad/sample.
        bursts: bursts to send, at least 1.
        seed: seed of tokens, noise and gaps.
        channel: name of the channel in the report.
        progress: called with the number of bursts done since the last call.
    """
    transmitter = Transmitter(TransmitConfig("bpsk-1/2", 4, profile))
    impaired = _noisy(settings, esn0_db, cfo)
    right = 0
    for frames, receptions in _crossings(transmitter, impaired, bursts, 4, seed):
        sent = {frame.frame_id: frame.cmi for frame in frames}
        right += sum(sent.get(reception.frame.frame_id) == reception.frame.cmi for reception in receptions)
        progress(len(frames))
    return HeaderPoint(channel, profile, esn0_db, cfo, bursts, right / bursts)


@dataclass(frozen=True)
class SyncLoss:
    """Es/N0 in dB at which a tenth of the packets fails, ideally synchronised and over the waveform."""

    mcs: str
    ideal_db: float
    burst_db: float

    @property
    def loss_db(self) -> float:
        return self.burst_db - self.ideal_db


def sync_loss(
    mcs: Mcs, settings: ChannelSettings, bursts: int, seed: int, *, cfo: float = 0.03, ideal_db: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> SyncLoss:  # fmt: skip
    """Measure the loss of an MCS due to synchronisation, estimation and tracking, in bursts of 64 packets.

    Packets of bursts that are not found count as failed.

    Args:
        mcs: the MCS.
        settings: the channel; noise and frequency offset are added to it.
        bursts: bursts per Es/N0.
        seed: seed of everything.
        cfo: frequency offset in rad/sample.
        ideal_db: Es/N0 of the ideal link; None to simulate it.
        progress: called with the number of bursts done since the last call.
    """
    points = mcs.per10_esn0_db + np.linspace(-0.4, 1.4, LOSS_POINTS)
    transmitter = Transmitter(TransmitConfig(mcs.name))
    rates = []
    for index, value in enumerate(points):
        impaired, failed = _noisy(settings, value, cfo), 64 * bursts
        for frames, receptions in _crossings(transmitter, impaired, bursts, 256, (seed, mcs.index, index)):
            failed -= sum(int(reception.packets_ok.sum()) for reception in receptions)
            progress(len(frames))
        rates.append(failed / (64 * bursts))
    if ideal_db is None:
        ideal_db = _crossing(points, [_ideal_per(mcs, value, 64 * bursts, seed) for value in points])
    return SyncLoss(mcs.name, ideal_db, _crossing(points, rates))


def false_alarms(samples: int, seed: int, *, tone_db: float | None = None, offset: float = 0.0,
                 progress: Callable[[int], None] = lambda done: None) -> dict:  # fmt: skip
    """Search noise of unit power, optionally with a tone and a DC offset, for false alarms.

    Args:
        samples: samples to search.
        seed: seed of the noise.
        tone_db: power of a continuous wave in dB above the noise; None for no wave.
        offset: DC offset, relative to the noise's root mean square.
        progress: called with the number of samples done since the last call.

    Returns:
        The searcher's counters.
    """
    receiver = Receiver()
    rng = np.random.default_rng(seed)
    chunk = 1 << 20
    tone = np.complex64(0)
    if tone_db is not None:
        tone = (10 ** (tone_db / 20) * np.exp(0.37j * np.arange(chunk))).astype(np.complex64)
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        noise = rng.standard_normal((count, 2), dtype=np.float32).view(np.complex64)[:, 0] * np.float32(np.sqrt(0.5))
        receiver.search(noise + np.broadcast_to(tone, chunk)[:count] + np.complex64(offset))
        progress(count)
    return asdict(receiver.searcher.counters)


def above_the_header() -> list[Mcs]:
    """List the MCS that need a better channel than the standard profile's header."""
    return [row for row in mcs_table() if row.per10_esn0_db > HEADER_ESN0_DB]


def _noisy(settings: ChannelSettings, esn0_db: float, cfo: float) -> ChannelSettings:
    values = asdict(settings) | {"snr_db": esn0_db - ESN0_OVER_SNR_DB, "cfo_hz": cfo * SAMPLE_RATE / (2 * np.pi)}
    return ChannelSettings(**values)


def _crossings(
    transmitter: Transmitter, settings: ChannelSettings, bursts: int, tokens: int, seed: int | tuple[int, ...]
) -> Iterator[tuple[list[TokenFrame], list[Reception]]]:
    """Simulate frames in groups, each with its own draw of fading and noise."""
    done, group = 0, 25
    root = np.random.SeedSequence(seed)
    while done < bursts:
        rng, channel_seed = np.random.default_rng(root.spawn(1)[0]), int(root.spawn(1)[0].generate_state(1)[0])
        frames = [_random_frame(rng, tokens, done + i) for i in range(min(group, bursts - done))]
        channel = ChannelModel(settings, SAMPLE_RATE, channel_seed)
        receiver = Receiver([CODEBOOK])
        receptions = []
        for frame in frames:
            gap = np.zeros(rng.integers(*GAPS), np.complex64)
            turned = transmitter.transmit(frame, frame.frame_id) * np.exp(2j * np.pi * rng.random())
            receptions += receiver.receive(channel.process(np.concatenate([gap, turned.astype(np.complex64)])))
        receptions += receiver.receive(channel.process(np.zeros(2 * GAPS[1], np.complex64)))
        done += len(frames)
        yield frames, receptions


def _random_frame(rng: np.random.Generator, tokens: int, frame_id: int) -> TokenFrame:
    values = rng.integers(0, CODEBOOK.size, tokens, dtype=np.int32)
    return TokenFrame(values, CODEBOOK.name, CODEBOOK.size, cmi=int(rng.integers(4000)), frame_id=frame_id)


def _ideal_per(mcs: Mcs, esn0_db: float, packets: int, seed: int) -> float:
    rng = np.random.default_rng((seed, mcs.index, 99))
    link = PacketLink(LinkConfig("k7", mcs.modulation, 4, rate=mcs.rate), CODEBOOK.size)
    sent = rng.integers(0, CODEBOOK.size, (packets, 4), dtype=np.int32)
    return float(
        1 - link.decode(link.demap(awgn(link.modulate(sent), esn0_db, rng), noise_variance(esn0_db)))[1].mean()
    )


def _crossing(points: Sequence[float], rates: Sequence[float]) -> float:
    """Find the Es/N0 at which the rate is PER, on the parabola that best fits its logarithm; NaN if it is not
    reached."""
    usable = [(value, rate) for value, rate in zip(points, rates, strict=True) if 0.02 < rate < 0.4]
    if len(usable) < 2 or max(rate for _, rate in usable) < PER or min(rate for _, rate in usable) > PER:
        return float("nan")
    x, y = np.array(usable).T
    curve = np.polyfit(x, np.log(y), 2 if len(usable) > 3 else 1)
    grid = np.linspace(x.min(), x.max(), 2001)
    return float(grid[np.argmin(np.abs(np.polyval(curve, grid) - np.log(PER)))])
