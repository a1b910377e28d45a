"""Error rates of the coded link alone, without source or context model."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import ParameterError
from tokcom.link.bit_packets import LISTS, accepted, even_bits
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.processors import usable_processors

PACKETS_PER_FRAME = 4096
"""Packets simulated at a time, few enough for the processor's caches."""
LISTED_TOKENS = 1 << 18
"""The same for list decoding, in tokens of packets: it takes more memory."""


@dataclass(frozen=True)
class LinkPoint:
    """Error rates at one Es/N0: per by the CRC, per_genie by the sent tokens, ter of all tokens as decoded, and the
    share of packets whose CRC holds although tokens are wrong."""

    esn0_db: float
    packets: int
    per: float
    per_genie: float
    ter: float
    undetected: float


def link_curve(
    config: LinkConfig, esn0_db: list[float], packets: int, *, codebook_size: int = 1024, seed: int = 0,
    threads: int | None = None, progress: Callable[[int], None] = lambda done: None, listed: bool = False,
) -> Iterator[LinkPoint]:  # fmt: skip
    """Simulate random packets over AWGN; the figures do not depend on the number of threads.

    Args:
        config: the link.
        esn0_db: points to simulate.
        packets: packets per point, at least 1.
        codebook_size: words of the codebook.
        seed: seed of tokens, layouts and noise.
        threads: number of threads; None for one per processor.
        progress: called with the number of packets done since the last call.
        listed: whether packets are list-decoded (`list_decoded`).

    Raises:
        ParameterError: a parameter is out of its range.
    """
    if packets < 1:
        raise ParameterError(f"packets is {packets}; it must be at least 1")
    for value in esn0_db:
        noise_variance(value)
    link = PacketLink(config, codebook_size)
    decode = list_decoded if listed else PacketLink.decode
    at_once = max(1, LISTED_TOKENS // config.tokens_per_packet) if listed else PACKETS_PER_FRAME
    sizes = [min(at_once, packets - done) for done in range(0, packets, at_once)]
    pool = ThreadPoolExecutor(threads or usable_processors())
    try:
        for index, value in enumerate(esn0_db):
            jobs = [
                pool.submit(_simulate, link, decode, value, size, codebook_size, (seed, index, chunk))
                for chunk, size in enumerate(sizes)
            ]
            total = np.zeros(4, dtype=np.int64)
            for job, size in zip(jobs, sizes, strict=True):
                total += job.result()
                progress(size)
            lost, wrong, tokens_wrong, undetected = total.tolist()
            yield LinkPoint(
                value, packets, lost / packets, wrong / packets, tokens_wrong / (packets * config.tokens_per_packet),
                undetected / packets,
            )  # fmt: skip
    finally:
        # If interrupted, do not wait for tasks that have not begun.
        pool.shutdown(cancel_futures=True)


def list_decoded(link: PacketLink, llrs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode packets of bits as `link.receiver.Receiver.decode` does in noise that is known: those whose CRC does not
    hold are list-decoded, however many.

    Returns:
        int32 (n_packets, bits_per_packet); bool (n_packets,), the packets that are believed.
    """
    packets, ok = link.decode(llrs)
    lost = np.flatnonzero(~ok)
    if len(lost):
        decision = link.decide(link.steps(llrs[lost]), even_bits(len(lost), packets.shape[1]), LISTS)
        packets[lost], ok[lost] = decision.tokens, accepted(decision)
    return packets, ok


def _simulate(
    link: PacketLink, decode: Callable, esn0_db: float, packets: int, codebook_size: int, seed: tuple[int, ...]
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, codebook_size, (packets, link.config.tokens_per_packet), dtype=np.int32)
    symbols = awgn(link.modulate(sent), esn0_db, rng)
    decoded, ok = decode(link, link.demap(symbols, noise_variance(esn0_db)))
    wrong = (decoded != sent).any(axis=1)
    return np.array([(~ok).sum(), wrong.sum(), (decoded != sent).sum(), (ok & wrong).sum()])
