"""Senders and a receiver over a simulated network, in time that passes as fast as it can be computed."""

import heapq
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.path import Path
from tokcom.protocol.receiver import Question, Receiver
from tokcom.protocol.relay import DropQueue
from tokcom.protocol.sender import Sender

MAX_STEPS = 100_000
"""Steps at one time at most: a simulation that stands still is found out."""


@dataclass(frozen=True)
class Delivery:
    """A frame as the receiver handed it on.

    Attributes:
        at: when, in seconds.
        received: the frame.
    """

    at: float
    received: ReceivedFrame


class Simulation:
    """A network in which time is told.

    Args:
        senders: by address.
        receiver: of all of them.
        forward, backward: the paths of all of them, there and back.
        relay: a queue at the end of the forward path; None: there is none.
        judge: which packets are wanted of a frame; None: none.
        judge_s: how long that takes, in seconds.

    Attributes:
        now: the time, in seconds.
        deliveries: what the receiver handed on.
    """

    def __init__(
        self, senders: Mapping[Hashable, Sender], receiver: Receiver, forward: Path, backward: Path,
        relay: DropQueue | None = None, judge: Callable[[Question], np.ndarray] | None = None, judge_s: float = 0.0,
    ):  # fmt: skip
        self.senders, self.receiver = dict(senders), receiver
        self.forward, self.backward, self.relay = forward, backward, relay
        self._judge, self._judge_s = judge, judge_s
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.now = 0.0
        self.deliveries: list[Delivery] = []

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, action))

    def send(self, address: Hashable, datagram: bytes) -> None:
        """Put a datagram on the way to the receiver."""
        for time in self.forward.arrivals(len(datagram), self.now):
            self.at(time, lambda: self._reach(datagram, address))

    def _reach(self, datagram: bytes, address: Hashable) -> None:
        if self.relay is None:
            self._arrive(datagram, address)
        else:
            self.relay.put(datagram, address)

    def _arrive(self, datagram: bytes, address: Hashable) -> None:
        reply = self.receiver.receive(datagram, address, self.now)
        if reply is not None:
            self._return(reply, address)

    def _return(self, datagram: bytes, address: Hashable) -> None:
        for time in self.backward.arrivals(len(datagram), self.now):
            self.at(time, lambda: self._hear(datagram, address))

    def _hear(self, datagram: bytes, address: Hashable) -> None:
        if address in self.senders:
            self.senders[address].receive(datagram, self.now)

    def run(self, until: float) -> None:
        """Let time pass.

        Raises:
            ParameterError: time stands still.
        """
        steps = 0
        while steps < MAX_STEPS:
            self._settle()
            times = [sender.next_time(self.now) for sender in self.senders.values()]
            times.append(self.receiver.next_time())
            if self.relay is not None:
                times.append(self.relay.next_time(self.now))
            if self._events:
                times.append(self._events[0][0])
            known = [each for each in times if each is not None]
            if not known or min(known) > until:
                self.now = until
                return
            steps = steps + 1 if min(known) <= self.now else 0
            self.now = max(self.now, min(known))
        raise ParameterError(f"the simulation stands still at {self.now} s")

    def _settle(self) -> None:
        """Do all that is due."""
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()
        if self.relay is not None:
            for datagram, address in self.relay.poll(self.now):
                self._arrive(datagram, address)
        for address, sender in self.senders.items():
            for datagram in sender.poll(self.now):
                self.send(address, datagram)
        for report, address in self.receiver.poll(self.now):
            self._return(report, address)
        while self.receiver.questions:
            self._ask(self.receiver.questions.popleft())
        while self.receiver.frames:
            self.deliveries.append(Delivery(self.now, self.receiver.frames.popleft()))

    def _ask(self, question: Question) -> None:
        wanted = np.zeros(0, int) if self._judge is None else self._judge(question)

        def answer() -> None:
            self.receiver.answer(question.session, question.frame_id, wanted, self.now)

        self.at(self.now + self._judge_s, answer)
