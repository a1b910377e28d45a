"""Comparison of the burst waveform with ideal synchronisation and GNU Radio's OFDM link: headers, losses, false alarms,
speed."""

import math
import statistics
from collections.abc import Callable

from tokcom.channel.model import ChannelSettings
from tokcom.mcs import find_mcs
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom_lab.curves import waveform
from tokcom_lab.radio import rates, stock_ofdm

HEADERS = (
    ("awgn", "none", "standard", (0, 1, 3, 6)), ("three-path", "three-path", "standard", (3, 6)),
    ("awgn", "none", "robust", (-4, -3, -2)), ("three-path", "three-path", "robust", (-2,)),
)  # fmt: skip
"""Name of the channel, its profile, the bursts' profile, and Es/N0 in dB."""
CFO = 0.03
"""Carrier frequency offset in rad/sample: 2 ppm at 2.45 GHz and 1 MS/s."""
WIDE_CFO = 0.308
"""Carrier frequency offset in rad/sample: 20 ppm at the same frequency and rate."""
CLOCK_PPM = 20.0
CLOCK_MCS = ("qpsk-1/2", "16qam-1/2", "64qam-3/4")
STOCK_ESN0_DB = (8, 12, 16, 20)


def waveform_report(
    bursts: int, loss_bursts: int, noise_samples: int, rate_bursts: int, rounds: int, seed: int,
    stage: Callable[[str, int], Callable[[int], None]],
) -> dict:  # fmt: skip
    """Measure all figures of the waveform.

    Args:
        bursts: bursts per point of headers.
        loss_bursts: bursts of 64 packets per point of losses.
        noise_samples: samples searched for false alarms, for each kind of noise.
        rate_bursts: bursts per measurement of speed.
        rounds: rounds of the measurements of speed, of which the median is taken.
        seed: seed of everything.
        stage: called with the name and the length of each stage; it returns a function that is called with the
            progress.

    Returns:
        The figures, by subject.
    """
    points = sum(len(values) for *_, values in HEADERS)
    schemes = waveform.above_the_header()
    burst_points = waveform.LOSS_POINTS * (len(schemes) + 2 * len(CLOCK_MCS))
    done = stage("speeds", 5 * rounds)
    speeds = measured_rates(rate_bursts, rounds, seed, done)
    done = stage("headers", bursts * points)
    header = [
        waveform.header_success(
            profile, ChannelSettings(profile=taps), value, CFO, bursts, seed, channel=channel, progress=done
        )
        for channel, taps, profile, values in HEADERS
        for value in values
    ]
    rival_bursts = min(500, 10 * bursts)
    done = stage("rival's headers", len(STOCK_ESN0_DB))
    rival = []
    for value in STOCK_ESN0_DB:
        success = stock_ofdm.header_success(value - ESN0_OVER_SNR_DB, CFO, rival_bursts, seed)
        rival.append({"channel": "awgn", "esn0_db": value, "cfo": CFO, "bursts": rival_bursts, "success": success})
        done(1)
    done = stage("packets", loss_bursts * burst_points)
    losses = [waveform.sync_loss(each, ChannelSettings(), loss_bursts, seed, progress=done) for each in schemes]
    ideal = {each.mcs: each.ideal_db for each in losses}
    clocks = [
        waveform.sync_loss(
            find_mcs(name), ChannelSettings(sfo_ppm=sign * CLOCK_PPM), loss_bursts, seed, cfo=sign * WIDE_CFO,
            ideal_db=ideal[name], progress=done,
        )
        for name in CLOCK_MCS
        for sign in (1, -1)
    ]  # fmt: skip
    done = stage("noise", 3 * noise_samples)
    alarms = {
        "noise": waveform.false_alarms(noise_samples, seed, progress=done),
        "noise and a tone 20 dB above": waveform.false_alarms(noise_samples, seed, tone_db=20, progress=done),
        "noise and a DC offset 20 dB above": waveform.false_alarms(noise_samples, seed, offset=10, progress=done),
    }
    loss = {each.mcs: each.loss_db for each in losses}
    return {
        "header": [vars(point) for point in header],
        "rival_header": rival,
        "false_alarms": {name: counters["preambles"] for name, counters in alarms.items()},
        "noise_samples": noise_samples,
        "sync_loss_db": {mcs: rounded(value) for mcs, value in loss.items()},
        "per10_esn0_db": {each.mcs: rounded(each.burst_db) for each in losses},
        "clock_loss_db": [
            {"mcs": each.mcs, "cfo": sign * WIDE_CFO, "sfo_ppm": sign * CLOCK_PPM, "bursts": loss_bursts,
             "sync_loss_db": rounded(each.loss_db), "further_loss_db": rounded(each.loss_db - loss[each.mcs])}
            for each, sign in zip(clocks, [1, -1] * len(CLOCK_MCS), strict=True)
        ],
        "rate_msps": speeds,
    }  # fmt: skip


def measured_rates(bursts: int, rounds: int, seed: int, done: Callable[[int], None]) -> dict[str, float]:
    """Measure median speeds, interleaved by round so that all run under the same conditions."""
    noise = 6000 * bursts
    contenders = {
        "burst_sync": (1, rates.sync_rate, noise, seed),
        "receiver": (2, rates.receiver_rate, bursts, seed),
        "receiver, blocks free to roam": (2, rates.receiver_rate, bursts, seed, False),
        "transmitter": (1, rates.transmitter_rate, bursts, seed),
        "ofdm_rx": (1, stock_ofdm.noise_rate, noise // 4, seed),
    }
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, arguments in contenders.items():
            taken[name].append(rates.on_processors(*arguments))
            done(1)
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def rounded(value: float) -> float | None:
    """Round to three places; NaN, from too few bursts, becomes None, as JSON has no NaN."""
    return None if math.isnan(value) else round(value, 3)
