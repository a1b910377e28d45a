"""Measurements for link adaptation: packet losses on given carriers, and beta of EESM for every MCS."""

from collections.abc import Callable

import numpy as np

from tokcom.adaptation.cqi import effective_esn0_db, predicted_per
from tokcom.channel.awgn import awgn
from tokcom.channel.multipath import Profile, load_profile
from tokcom.link.packets import MixedPackets
from tokcom.mcs import Mcs, mcs_table
from tokcom.packets.identity import PacketIdentity
from tokcom.phy.numerology import CARRIERS, FFT_SIZE

CODEBOOK_SIZE, TOKENS = 1024, 4
IDENTITY = PacketIdentity(0, 0, 0)
BETAS_DB = np.arange(-2, 22.01, 0.1)
CARRIERS_HZ = CARRIERS * 1e6 / FFT_SIZE
"""Frequencies of the carriers in use at 1 MS/s; each carries data in turn."""


def carrier_response(paths: Profile, gains: np.ndarray) -> np.ndarray:
    """Compute the channel at the carriers in use, complex128 (52,), from complex gains (paths,) of a profile with
    delays in seconds."""
    return np.exp(-2j * np.pi * np.outer(CARRIERS_HZ, paths.delays)) @ gains


def carrier_gains(profile: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a fading profile's channel at the carriers in use, of mean power 1 over draws, complex128 (52,)."""
    paths = load_profile(profile)
    return carrier_response(paths, paths.draw(-np.inf, rng))


def packets_lost(scheme: Mcs, carrier_esn0_db: np.ndarray, packets: int, rng: np.random.Generator) -> float:
    """Measure the share of packets of 56 bits that the Viterbi decoder loses, with symbols spread over the carriers.

    Args:
        scheme: row of the MCS table.
        carrier_esn0_db: float (n_carriers,), Es/N0 of each carrier in dB.
        packets: number of packets.
        rng: generator of tokens, positions and noise.
    """
    coded = MixedPackets(CODEBOOK_SIZE, TOKENS, np.full(packets, scheme.index))
    tokens = rng.integers(0, CODEBOOK_SIZE, (packets, TOKENS))
    symbols = coded.map(coded.encode(tokens, IDENTITY))
    carriers = len(carrier_esn0_db)
    places = rng.permutation(-(-len(symbols) // carriers) * carriers)[: len(symbols)] % carriers
    variance = 10 ** (-np.asarray(carrier_esn0_db)[places] / 10)
    noisy = symbols + (awgn(np.zeros_like(symbols), 0.0, rng) * np.sqrt(variance)).astype(np.complex64)
    return float(1 - coded.decode(coded.demap(noisy, variance.astype(np.float32)), IDENTITY)[1].mean())


def fit_betas(
    profile: str, draws: int, packets: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> list[dict]:
    """Fit the most likely beta for every MCS.

    Every draw of the paths is scaled so that its EESM, at an initial beta, is near the threshold; losses are compared
    with the table's curve at the EESM of every beta.

    Args:
        profile: row of channel/profiles.json; the more selective, the better beta can be fitted.
        draws: draws of its paths.
        packets: packets per draw.
        seed: seed of everything.
        progress: called with the number of draws done since the last call.

    Returns:
        Rows of mcs, beta_db, and the standard deviation in dB of the residuals, before (mean Es/N0 in place of EESM)
        and after.
    """
    rows = []
    for scheme in mcs_table():
        rng = np.random.default_rng([seed, scheme.index])
        start = {"bpsk": 0, "qpsk": 2, "16qam": 6.5, "64qam": 11, "256qam": 16}[scheme.modulation]
        lost, carriers = [], []
        for _ in range(draws):
            shape = 20 * np.log10(np.abs(carrier_gains(profile, rng)))
            wanted = scheme.per10_esn0_db + rng.uniform(-1, 1)
            level = 0.0
            for _ in range(12):
                level += wanted - float(effective_esn0_db(shape + level, start))
            carriers.append(shape + level)
            lost.append(packets_lost(scheme, carriers[-1], packets, rng))
            progress(1)
        share = np.clip(np.array(lost), 0.5 / packets, 1 - 0.5 / packets)
        mapped = np.array([effective_esn0_db(each, BETAS_DB) for each in carriers])
        expected = np.clip(predicted_per(scheme, mapped), 1e-6, 1 - 1e-6)
        likelihood = (share[:, None] * np.log(expected) + (1 - share[:, None]) * np.log(1 - expected)).sum(axis=0)
        best = int(likelihood.argmax())
        at_share = _esn0_of(scheme, share)
        mean = np.array([10 * np.log10(np.mean(10 ** (each / 10))) for each in carriers])
        rows.append(
            {"mcs": scheme.name, "beta_db": round(float(BETAS_DB[best]), 1),
             "error_db": float(np.std(mapped[:, best] - at_share)), "mean_error_db": float(np.std(mean - at_share))}
        )  # fmt: skip
    return rows


def _esn0_of(scheme: Mcs, per: np.ndarray) -> np.ndarray:
    """Find the Es/N0 in dB at which the table's curve has a PER."""
    grid = np.linspace(scheme.per10_esn0_db - 8, scheme.per1_esn0_db + 8, 2000)
    return np.interp(-per, -predicted_per(scheme, grid), grid)
