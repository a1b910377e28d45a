"""Datagrams without a protocol between two processes: what the machine and asyncio allow, beside the token protocol."""

import asyncio
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tokcom.errors import TransportError

WINDOW, ANSWERED = 16, 8
"""Datagrams under way, and those for which one answer comes, as a report of the token protocol."""
ANSWER_BYTES = 28
PATIENCE_S = 5.0


@dataclass(frozen=True)
class BareExchange:
    """Result of an exchange.

    Attributes:
        datagrams_per_s: datagrams sent and answered.
        cpu_s: processor time per datagram of the busier end.
    """

    datagrams_per_s: float
    cpu_s: float


def exchange(datagrams: int, n_bytes: int) -> BareExchange:
    """Send datagrams of `n_bytes` bytes over loopback, from this process to another that does nothing but answer.

    Raises:
        TransportError: the other process does not answer.
    """
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(there,), daemon=True)
    process.start()
    try:
        if not here.poll(60):
            raise TransportError("the answering process does not start")
        seconds, cpu_s = asyncio.run(_send(here.recv(), datagrams, n_bytes))
        here.send("end")
        if not here.poll(60):
            raise TransportError("the answering process does not end")
        cpu_s = max(cpu_s, here.recv())
    finally:
        process.join(5)
        process.kill()
    return BareExchange(datagrams / seconds, cpu_s / datagrams)


class _Sender(asyncio.DatagramProtocol):
    def __init__(self, datagrams: int, n_bytes: int):
        self._left, self._content, self._under_way = datagrams, bytes(n_bytes), 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self._fill()

    def datagram_received(self, data: bytes, address: tuple) -> None:
        self._under_way -= ANSWERED
        self._fill()

    def _fill(self) -> None:
        while self._left and self._under_way < WINDOW:
            self._transport.sendto(self._content)
            self._left -= 1
            self._under_way += 1
        if self._under_way < ANSWERED and not self.done.done():
            self.done.set_result(None)


class _Answerer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._count = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple) -> None:
        self._count += 1
        if self._count % ANSWERED == 0:
            self._transport.sendto(bytes(ANSWER_BYTES), address)


async def _send(port: int, datagrams: int, n_bytes: int) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    started, cpu = time.perf_counter(), time.process_time()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Sender(datagrams, n_bytes), remote_addr=("127.0.0.1", port)
    )
    try:
        await asyncio.wait_for(protocol.done, PATIENCE_S + datagrams / 20)
    except TimeoutError:
        raise TransportError("datagrams on loopback are lost; the machine is too busy") from None
    finally:
        transport.close()
    return time.perf_counter() - started, time.process_time() - cpu


def _answer(pipe: Connection) -> None:
    asyncio.run(_listen(pipe))


async def _listen(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Answerer, local_addr=("127.0.0.1", 0))
    cpu = time.process_time()
    pipe.send(transport.get_extra_info("sockname")[1])
    await loop.run_in_executor(None, pipe.recv)
    pipe.send(time.process_time() - cpu)
    transport.close()
