"""Congestion control by Copa: practical delay-based congestion control (Arun and Balakrishnan, NSDI 2018).

The window tends to 1 / (delta d_q) datagrams per round trip time, d_q being the time that datagrams queue. Lost
datagrams alone slow nothing down, for tokens survive losses; where others fill the queue all the same, delta follows
them by additive increase and multiplicative decrease over losses (section 2.2 there).
"""

from collections import deque

DELTA = 0.5
"""Delta of the default mode: on average two datagrams queue."""
MIN_RTT_S, FIRST_RTT_S = 1e-4, 0.1
RTT_MEMORY_S = 10.0
LEAST_WINDOW, MOST_WINDOW = 2.0, 4096.0
MOST_VELOCITY = 64.0


class _Extreme:
    """The least, or greatest, of the values of the last seconds."""

    def __init__(self, sign: int = 1):
        self._sign, self._values = sign, deque()

    def add(self, value: float, now: float, memory_s: float) -> float:
        kept, value = self._values, value * self._sign
        while kept and kept[-1][1] >= value:
            kept.pop()
        kept.append((now, value))
        while kept[0][0] < now - memory_s:
            kept.popleft()
        return kept[0][1] * self._sign


class Copa:
    """The window and the rate of one sender.

    Attributes:
        window: datagrams of full size that may be under way.
        smoothed_rtt_s: exponential average of the round trip time; FIRST_RTT_S before one was measured.
        delta: what is aimed at, 1 / delta datagrams in the queue.
    """

    def __init__(self) -> None:
        self.window, self.smoothed_rtt_s, self.delta = 10.0, FIRST_RTT_S, DELTA
        self._measured = False
        self._least, self._standing, self._most = _Extreme(), _Extreme(), _Extreme(-1)
        self._velocity, self._direction, self._same = 1.0, 0, 0
        self._round_at, self._round_window = None, self.window
        self._slow_start = True
        self._empty_at, self._lost_at = 0.0, None
        self._standing_rtt_s = FIRST_RTT_S

    @property
    def datagrams_per_s(self) -> float:
        """Pacing: twice the window per round trip time, so that the window decides and nothing goes in bursts."""
        return 2 * self.window / max(self._standing_rtt_s, MIN_RTT_S)

    def on_ack(self, rtt_s: float, datagrams: float, now: float, limited: bool = True) -> None:
        """A report has come.

        Args:
            rtt_s: round trip time of the newest datagram that it acknowledges, in seconds.
            datagrams: how many of full size it acknowledges that were not before.
            now: seconds, of a clock that does not jump.
            limited: whether the window, and not a lack of frames, has held the sender back.
        """
        rtt_s = max(rtt_s, MIN_RTT_S)
        self.smoothed_rtt_s = 0.875 * self.smoothed_rtt_s + 0.125 * rtt_s if self._measured else rtt_s
        self._measured = True
        least = self._least.add(rtt_s, now, RTT_MEMORY_S)
        standing = self._standing_rtt_s = self._standing.add(rtt_s, now, self.smoothed_rtt_s / 2)
        most = self._most.add(rtt_s, now, 4 * self.smoothed_rtt_s)
        queued = max(standing - least, 0.0)
        if queued < 0.1 * (most - least) or queued < MIN_RTT_S:
            self._empty_at = now
        self._new_round(now)
        grow = queued <= 0 or self.window / standing <= 1 / (self.delta * queued)
        if grow and not limited:
            return
        if self._slow_start:
            self._slow_start = grow
            if grow:
                self.window += datagrams
        if not self._slow_start:
            step = self._velocity * datagrams / (self.delta * self.window)
            self.window += min(step, datagrams) if grow else -step
        self.window = min(max(self.window, LEAST_WINDOW), MOST_WINDOW)

    def on_loss(self, now: float) -> None:
        """A datagram is held for lost."""
        if self._lost_at is None or now - self._lost_at > self.smoothed_rtt_s:
            self._lost_at = now
            self.delta = min(2 * self.delta, DELTA)

    def on_silence(self) -> None:
        """Nothing has been acknowledged for long: start over from half the window."""
        self.window = max(self.window / 2, LEAST_WINDOW)
        self._velocity, self._slow_start = 1.0, False

    def _new_round(self, now: float) -> None:
        """Once per round trip time: velocity, and delta where others keep the queue full."""
        if self._round_at is not None and now - self._round_at < self.smoothed_rtt_s:
            return
        direction = (self.window > self._round_window) - (self.window < self._round_window)
        self._same = self._same + 1 if direction and direction == self._direction else 0
        self._velocity = min(2 * self._velocity, MOST_VELOCITY) if self._same >= 3 else 1.0
        self._direction, self._round_window, self._round_at = direction, self.window, now
        if now - self._empty_at > 5 * self.smoothed_rtt_s:
            if self._lost_at is None or now - self._lost_at > self.smoothed_rtt_s:
                self.delta = 1 / (1 / self.delta + 1)
        else:
            self.delta = DELTA
