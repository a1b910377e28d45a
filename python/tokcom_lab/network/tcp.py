"""TCP as a rival, simulated: when pictures that are sent as segments of one connection arrive, in order.

Retransmission timers by RFC 6298, but at least 200 ms, as Linux has them, and loss told by three later segments
(RFC 6675). The connection stands already, and its window never limits it: both are in TCP's favour.
"""

import heapq

import numpy as np

from tokcom.protocol.path import Path

LEAST_TIMER_S, DUPLICATES = 0.2, 3


def tcp_delays(count: int, interval_s: float, n_bytes: int, forward: Path, backward: Path) -> np.ndarray:
    """float64 (count,): seconds from a picture's offer to its delivery.

    Args:
        count: pictures, each one segment.
        interval_s: from one to the next.
        n_bytes: of a segment.
        forward, backward: the paths.
    """
    events: list[tuple[float, int, str, int]] = []
    tickets = 0
    arrived, acknowledged = np.full(count, np.inf), np.zeros(count, bool)
    sent_at, timer_s, again = np.zeros(count), np.full(count, np.nan), np.zeros(count, int)
    smoothed, variation = None, 0.0

    def at(time: float, what: str, number: int) -> None:
        nonlocal tickets
        tickets += 1
        heapq.heappush(events, (time, tickets, what, number))

    def send(number: int, now: float) -> None:
        sent_at[number] = now
        base = 1.0 if smoothed is None else max(smoothed + 4 * variation, LEAST_TIMER_S)
        timer_s[number] = base * 2 ** max(again[number] - 1, 0)
        for time in forward.arrivals(n_bytes, now):
            at(time, "segment", number)
        at(now + timer_s[number], "timer", number)

    for number in range(count):
        at(number * interval_s, "offer", number)
    while events:
        now, _, what, number = heapq.heappop(events)
        if what == "offer":
            send(number, now)
        elif what == "segment":
            arrived[number] = min(arrived[number], now)
            for time in backward.arrivals(40, now):
                at(time, "ack", number)
        elif what == "ack" and not acknowledged[number]:
            acknowledged[number] = True
            if not again[number]:
                taken = now - sent_at[number]
                variation = taken / 2 if smoothed is None else 0.75 * variation + 0.25 * abs(smoothed - taken)
                smoothed = taken if smoothed is None else 0.875 * smoothed + 0.125 * taken
            # Later segments that are acknowledged tell of earlier ones that are lost.
            for earlier in np.flatnonzero(~acknowledged[:number] & (sent_at[:number] < sent_at[number])):
                later = acknowledged[earlier + 1 :] & (sent_at[earlier + 1 :] > sent_at[earlier])
                if later.sum() >= DUPLICATES and again[earlier] == 0:
                    again[earlier] += 1
                    send(int(earlier), now)
        elif what == "timer" and not acknowledged[number] and now >= sent_at[number] + timer_s[number] - 1e-9:
            again[number] += 1
            send(number, now)
    # What came early waits for what is missing ahead of it.
    return np.maximum.accumulate(arrived) - np.arange(count) * interval_s
