"""Token packets per second from a sender to a receiver on this machine, over real sockets."""

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection

import numpy as np

from tokcom.errors import TransportError
from tokcom.frame import TokenFrame
from tokcom.packets.codebook import Codebook
from tokcom.protocol.incoming import WaitSettings
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.sender import Sender, SenderCounters, SenderSettings
from tokcom.protocol.udp import UdpReceiver, UdpSender
from tokcom_lab.network.bare_udp import exchange
from tokcom_lab.network.material import Progress

BOOK = Codebook("goodput", 1024)
PACKETS = 64
AHEAD_BYTES = 1 << 18
WARM = 200_000
"""Packets before memory is looked at first."""
BARE_DATAGRAMS = 4000
"""Largest number of datagrams exchanged without the protocol."""


def rss_mb() -> float:
    """Resident memory of this process, in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def goodput(packets: int, progress: Progress = lambda done: None) -> dict:
    """Send frames of 64 packets over loopback, from this process to another, as fast as congestion control allows.

    Returns:
        packets_per_s, packets (that came), lost (share), cpu_packets_per_s (by processor time of the busier end),
        sender_cpu_us and receiver_cpu_us (processor time per packet), packets_per_datagram; of_bare: packets per second
        relative to those that asyncio could carry in datagrams of the same size, measured just after without the
        protocol, and bare_cpu_us, processor time per packet of its busier end; rss_mb_start and rss_mb_end of the
        receiver.

    Raises:
        TransportError: the receiver does not answer.
    """
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_receive, args=(there,), daemon=True)
    process.start()
    try:
        if not here.poll(60):
            raise TransportError("the receiver's process does not start")
        seconds, cpu_s, sent = asyncio.run(_send(here.recv(), packets, progress))
        if not here.poll(60):
            raise TransportError("the receiver's process does not end")
        found = here.recv()
    finally:
        process.join(5)
        process.kill()
    came, receiver_s = found.pop("packets"), found.pop("cpu_s")
    per_datagram = sent.packets / sent.datagrams
    bare = exchange(min(sent.datagrams, BARE_DATAGRAMS), round(sent.bytes / sent.datagrams))
    return {
        "packets_per_s": came / seconds, "packets": came, "lost": 1 - came / (packets // PACKETS * PACKETS),
        "cpu_packets_per_s": came / max(cpu_s, receiver_s),
        "sender_cpu_us": 1e6 * cpu_s / came, "receiver_cpu_us": 1e6 * receiver_s / came,
        "packets_per_datagram": per_datagram, "of_bare": came / seconds / (bare.datagrams_per_s * per_datagram),
        "bare_cpu_us": 1e6 * bare.cpu_s / per_datagram,
    } | found  # fmt: skip


async def _send(port: int, packets: int, progress: Progress) -> tuple[float, float, SenderCounters]:
    end = UdpSender(Sender(SenderSettings(section_packets=PACKETS, deadline_s=60)), "127.0.0.1", port)
    tokens = np.random.default_rng(0).integers(0, BOOK.size, (64, 256))
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(packets // PACKETS):
        end.offer(TokenFrame(tokens[number % 64], BOOK.name, BOOK.size, (16, 16), frame_id=number))
        while end.sender.waiting_bytes > AHEAD_BYTES:
            await asyncio.sleep(0.0005)
        if number % 64 == 0:
            progress(64 * PACKETS)
            await asyncio.sleep(0)
    while not end.sender.idle:
        await asyncio.sleep(0.001)
    taken = time.perf_counter() - started, time.process_time() - cpu, end.sender.counters
    await end.finish(2)
    end.close()
    return taken


def _receive(pipe: Connection) -> None:
    asyncio.run(_take(pipe))


async def _take(pipe: Connection) -> None:
    packets, start_mb = 0, None

    def deliver(received: object) -> None:
        nonlocal packets, start_mb
        packets += int(received.packets_ok.sum())
        if start_mb is None and packets >= WARM:
            start_mb = rss_mb()

    settings = ReceiverSettings("none", WaitSettings(deadline_s=5, wait_s=1, ended_wait_s=1))
    end = UdpReceiver(Receiver([BOOK], settings), "127.0.0.1", 0, deliver)
    pipe.send(end.port)
    while not end.receiver.counters.sessions:
        await asyncio.sleep(0.01)
    cpu = time.process_time()
    while end.receiver.sessions:
        await asyncio.sleep(0.05)
    end.pump()
    pipe.send(
        {
            "packets": packets, "cpu_s": time.process_time() - cpu, "rss_mb_start": start_mb or rss_mb(),
            "rss_mb_end": rss_mb(),
        }
    )  # fmt: skip
    end.close()
