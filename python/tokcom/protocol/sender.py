"""The sending end of a session, without sockets and without a clock: datagrams in, datagrams out, time told."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tokcom.errors import DatagramError, FrameError, ParameterError, TokcomError
from tokcom.frame import BitFrame, Payload
from tokcom.packets.layout import pack
from tokcom.protocol import datagrams as wire
from tokcom.protocol.copa import Copa
from tokcom.protocol.formats import MAX_FORMATS, FrameFormat
from tokcom.protocol.frame_elements import FrameElements
from tokcom.protocol.outgoing import ALL_INDEXED, INDEXED, OutgoingFrame, SendQueue, sections_of
from tokcom.protocol.priority import classes_of, kept_packets
from tokcom.protocol.sections import encode_section, payloads_of
from tokcom.protocol.sequence import ReplayWindow, whole_number
from tokcom.protocol.token_bucket import TokenBucket

SUREST, RANDOM = "surest", "random"
DROPS = (SUREST, RANDOM)
BITS_PER_PACKET = 256
"""Size of the packets of a frame of bits."""
FIRST_RETRY_S, LAST_RETRY_S = 0.2, 1.6
BURST, LATE_BURST = 2, 10
"""Datagrams of full size that go out at once after a rest, and where a timer was late (RFC 9002, section 7.7)."""
SILENCE_S = 3.0
"""Without a report for so long while datagrams are under way, the sender begins with a new session."""


@dataclass(frozen=True)
class SenderSettings:
    """Settings of a sender.

    Args:
        tokens_per_packet: tokens in each packet, 1 to 64.
        layout: which tokens travel together, one of `packets.layout.LAYOUTS`.
        section_packets: packets of a frame in one datagram, 1 to 255; a lost datagram loses all of them.
        mtu: bytes of a datagram, 100 to 65507.
        deadline_s: a frame is kept for repeats, and sent at all, for so long; above 0.
        max_rate: bytes per second at most, beside what congestion control allows; None: no limit of its own.
        drop: what is not sent where the rate does not suffice: "surest" packets, or "random" ones.
        indexed: which packets travel with their index, one of `outgoing.INDEXED`; unless all do, they go in their
            order, whatever their class. Frames that lack packets, and repeats, have every index all the same.
        max_bytes: what frames may take in memory.
        secret: what receiver and sender share, at most 32 bytes; empty: nothing.
        seed: of random dropping.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    tokens_per_packet: int = 4
    layout: str = "spread"
    section_packets: int = 8
    mtu: int = wire.DEFAULT_MTU
    deadline_s: float = 1.0
    max_rate: float | None = None
    drop: str = SUREST
    indexed: str = ALL_INDEXED
    max_bytes: int = 16 << 20
    secret: bytes = b""
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "tokens_per_packet": (1, 64), "section_packets": (1, 255), "mtu": (100, wire.MAX_DATAGRAM),
            "max_bytes": (1 << 16, 1 << 40),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be {low} to {high}")
        if not self.deadline_s > 0 or (self.max_rate is not None and not self.max_rate > 0):
            raise ParameterError(f"deadline_s is {self.deadline_s}, max_rate {self.max_rate}; they must be above 0")
        if self.drop not in DROPS:
            raise ParameterError(f"drop is {self.drop!r}; it must be one of {', '.join(DROPS)}")
        if self.indexed not in INDEXED:
            raise ParameterError(f"indexed is {self.indexed!r}; it must be one of {', '.join(INDEXED)}")
        if len(self.secret) > 32:
            raise ParameterError(f"the secret has {len(self.secret)} bytes; it must have at most 32")


@dataclass
class SenderCounters:
    """Counters of a sender.

    Attributes:
        frames: offered.
        packets: sent, repeats counted; packets_repeated of them.
        packets_dropped: not sent because the rate did not suffice.
        datagrams, bytes: of packets sent; datagrams_lost of them are held for lost.
        reports: that came and were good; refused: datagrams that were not.
        sessions: begun.
        frames_expired: let go before all of them was sent: their deadline was over, or memory full.
    """

    frames: int = 0
    packets: int = 0
    packets_repeated: int = 0
    packets_dropped: int = 0
    datagrams: int = 0
    bytes: int = 0
    datagrams_lost: int = 0
    reports: int = 0
    refused: int = 0
    sessions: int = 0
    frames_expired: int = 0


@dataclass
class _Session:
    """A session that was accepted, or is being asked for.

    Attributes:
        formats: how many it knows.
        number: by which the receiver knows it; None: not accepted yet.
        sent: datagrams so far.
        wait_s, retry_at: when what it waits for is asked for again.
    """

    nonce: bytes
    key: bytes = b""
    cookie: bytes | None = None
    formats: int = 0
    number: int | None = None
    sent: int = 0
    wait_s: float = FIRST_RETRY_S
    retry_at: float = 0.0


class Sender:
    """Frames to datagrams of a session.

    Args:
        settings: how.
        nonces: makes the nonces of sessions; None: at random.

    Attributes:
        counters: what it has done.
        congestion: window and rate.
        refused: why the last datagram was not used.
    """

    def __init__(self, settings: SenderSettings | None = None, nonces: Callable[[], bytes] | None = None):
        self.settings = settings or SenderSettings()
        self._nonces = nonces or (lambda: secrets.token_bytes(wire.NONCE_BYTES))
        self._formats: list[FrameFormat] = []
        self._known_formats: dict[tuple, tuple[int, FrameFormat]] = {}
        self._session: _Session | None = None
        self._asking: _Session | None = None
        self._queue = SendQueue(self.settings.section_packets, self.settings.max_bytes, self.settings.indexed)
        self._under_way: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self._flying = 0
        self._reports = ReplayWindow()
        # Time since which datagrams have been under way without any report; None if no datagram is under way.
        self._silent_since: float | None = None
        self.congestion = Copa()
        self._bucket = TokenBucket(1e6, BURST * self.settings.mtu)
        self._limit = None
        if self.settings.max_rate is not None:
            self._limit = TokenBucket(self.settings.max_rate, BURST * self.settings.mtu)
        self._paced_until = np.inf
        self._rng = np.random.default_rng(self.settings.seed)
        self.counters, self.refused = SenderCounters(), ""

    @property
    def connected(self) -> bool:
        """Whether the receiver has accepted a session."""
        return self._session is not None

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._queue

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait to be sent."""
        return self._queue.n_bytes

    @property
    def finished(self) -> bool:
        """Whether the receiver wants nothing more of any frame."""
        return not self._queue and not self._queue.frames

    @property
    def rate(self) -> float:
        """Bytes per second that may be sent now."""
        paced = self.congestion.datagrams_per_s * self.settings.mtu / 2
        return paced if self.settings.max_rate is None else min(paced, self.settings.max_rate)

    def offer(self, frame: Payload, now: float, bits: np.ndarray | None = None) -> None:
        """Queue a frame.

        Where more waits than the rate can carry in half the deadline, packets are dropped: the surest, or random ones.
        Packets with a token that is LOST stay behind, as after a radio that has lost them: the receiver guesses them.

        Args:
            frame: its number travels modulo 2**16.
            now: seconds, of a clock that does not jump.
            bits: float (n_packets,), surprise of each packet, or what it costs to guess it, in any measure; None: all
                are of class 0.

        Raises:
            FrameError: it is no such frame as can be sent.
            ParameterError: bits are not one for each packet.
        """
        format_id, form = self._format_of(frame)
        positions = form.positions(frame.grid, frame.frame_id)
        packets = pack(frame.tokens, positions)
        payloads = payloads_of(np.maximum(packets, 0), form.token_bits)
        if bits is not None and np.shape(bits) != (len(payloads),):
            raise ParameterError(
                f"bits have shape {np.shape(bits)}; frame {frame.frame_id} has {len(payloads)} packets"
            )
        sorted_by_class = bits is not None and self.settings.indexed == ALL_INDEXED
        classes = classes_of(bits) if sorted_by_class else np.zeros(len(payloads), np.uint8)
        out = OutgoingFrame(
            frame.frame_id, format_id, form, frame.grid, frame.cmi, payloads, classes, now + self.settings.deadline_s,
            FrameElements.of_frame(frame),
        )  # fmt: skip
        rows = np.flatnonzero((packets >= 0).all(axis=1)) if frame.lost.any() else np.arange(len(packets))
        if self.connected:
            # Half of the deadline is left for the way, and for what is asked for again.
            room = max(self.rate * self.settings.deadline_s / 2 - self._queue.n_bytes, 0)
            per_section = out.head_bytes + wire.HEAD_BYTES
            budget = int(room / (out.packet_bytes + per_section / self.settings.section_packets))
            if budget < len(rows):
                self.counters.packets_dropped += len(rows) - budget
                surprise = np.arange(len(rows), 0, -1.0) if bits is None else np.asarray(bits)[rows]
                rng = self._rng if self.settings.drop == RANDOM else None
                rows = rows[kept_packets(surprise, budget, rng)]
        self.counters.frames += 1
        if len(rows):
            self._queue.add(out, rows)

    def _format_of(self, frame: Payload) -> tuple[int, FrameFormat]:
        outline = type(frame), frame.codebook, frame.codebook_size, frame.grid[1:] and frame.grid, frame.quantizers
        known = self._known_formats.get(outline)
        if known is None:
            per_packet = BITS_PER_PACKET if isinstance(frame, BitFrame) else self.settings.tokens_per_packet
            form = FrameFormat.of_frame(frame, per_packet, self.settings.layout)
            if form not in self._formats:
                if len(self._formats) == MAX_FORMATS:
                    raise FrameError(f"a sender has frames of at most {MAX_FORMATS} formats; begin another sender")
                self._formats.append(form)
            known = self._known_formats[outline] = self._formats.index(form), form
        known[1].packets(len(frame.tokens))
        return known

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram that came from the receiver; one that cannot be used is counted in `counters.refused`."""
        try:
            kind = wire.kind_of(datagram)
            if kind == wire.COOKIE:
                self._take_cookie(datagram, now)
            elif kind == wire.ACCEPT:
                self._take_accept(datagram, now)
            elif kind == wire.FEEDBACK:
                self._take_feedback(datagram, now)
            elif kind == wire.RESET:
                self._take_reset(datagram, now)
            else:
                raise DatagramError(f"a datagram of kind {kind} is not for a sender")
        except TokcomError as error:
            self.counters.refused += 1
            self.refused = str(error)

    def _take_cookie(self, datagram: bytes, now: float) -> None:
        nonce, cookie = wire.decode_cookie(datagram)
        asking = self._asking
        if asking is None or nonce != asking.nonce or asking.cookie is not None:
            raise DatagramError("a cookie that was not asked for")
        asking.cookie, asking.key = cookie, wire.session_key(nonce, cookie, self.settings.secret)
        asking.wait_s, asking.retry_at = FIRST_RETRY_S, now

    def _take_accept(self, datagram: bytes, now: float) -> None:
        nonce, number = wire.decode_accept(datagram)
        asking = self._asking
        if asking is None or asking.cookie is None or nonce != asking.nonce:
            raise DatagramError("a session that was not asked for")
        wire.require_check(datagram, 0, asking.key)
        asking.number = number
        if not self.connected:
            # Frames that waited for the first session have all their time from now on.
            self._queue.postpone(now + self.settings.deadline_s)
        self._session, self._asking = asking, None
        self._under_way.clear()
        self._flying = 0
        self._reports, self._silent_since = ReplayWindow(), None
        self.counters.sessions += 1

    def _take_reset(self, datagram: bytes, now: float) -> None:
        session, number = wire.numbered(datagram)
        if self._session is None or session != self._session.number or self._asking is not None:
            raise DatagramError("a reset of another session")
        if whole_number(number, self._session.sent) not in self._under_way:
            raise DatagramError("a reset of a datagram that was not sent")
        self._begin(now)

    def _take_feedback(self, datagram: bytes, now: float) -> None:
        if self._session is None:
            raise DatagramError("a report without a session")
        session, low = wire.numbered(datagram)
        number = whole_number(low, self._reports.highest)
        if session != self._session.number or number <= self._reports.highest:
            raise DatagramError(f"a report of session {session} that is old or not of this session")
        wire.require_check(datagram, number, self._session.key)
        report = wire.decode_feedback(datagram)
        self._reports.add(number)
        self._silent_since = None
        self.counters.reports += 1
        self._acknowledge(report, now)
        self._take_wanted(report, now)

    def _acknowledge(self, report: wire.Feedback, now: float) -> None:
        newest = whole_number(report.largest, self._session.sent)
        rtt_s, acknowledged = None, 0
        if newest in self._under_way:
            rtt_s = now - self._under_way[newest][0] - report.delay_s
        for number in list(self._under_way):
            if number > newest:
                break
            behind = newest - number
            if not behind or report.before >> (behind - 1) & 1:
                acknowledged += self._land(number)
            elif behind >= 64 or self._under_way[number][0] < now - 1.5 * self.congestion.smoothed_rtt_s:
                self._land(number)
                self.counters.datagrams_lost += 1
                self.congestion.on_loss(now)
        if rtt_s is not None and rtt_s >= 0:
            limited = bool(self._queue) or self._flying + acknowledged > self.congestion.window * self.settings.mtu / 2
            self.congestion.on_ack(rtt_s, acknowledged / self.settings.mtu, now, limited)

    def _land(self, number: int) -> int:
        size = self._under_way.pop(number)[1]
        self._flying -= size
        return size

    def _take_wanted(self, report: wire.Feedback, now: float) -> None:
        newest = max(self._queue.frames, default=0)
        for low, packets in report.wanted:
            frame = self._queue.frames.get(whole_number(low, newest))
            if frame is None:
                continue
            if not packets:
                if frame.left == 0:
                    self._queue.drop(frame.frame_id)
                continue
            # What went out within the last round trip may still come.
            ripe = now - self.congestion.smoothed_rtt_s
            again = [each for each in packets if each < len(frame.payloads) and frame.sent_at[each] <= ripe]
            if again:
                self.counters.packets_repeated += len(again)
                frame.sent_at[again] = np.inf
                self._queue.repeat(frame, np.array(again))

    def _begin(self, now: float) -> None:
        self._asking = _Session(self._nonces(), retry_at=now)

    def poll(self, now: float) -> list[bytes]:
        """Datagrams to send now. Call again at `next_time`, and after every `offer` and `receive`."""
        if self.connected:
            self._queue.expire(now)
        self.counters.frames_expired = self._queue.forgotten
        session = self._session
        if self._asking is None and self._formats:
            silent = self._silent_since is not None and now - self._silent_since > SILENCE_S
            if session is None or silent or len(self._formats) > session.formats:
                self._begin(now)
        out = self._handshake(now)
        self._give_up(now)
        if session is None or len(self._formats) > session.formats:
            return out
        self._bucket.rate = max(self.congestion.datagrams_per_s * self.settings.mtu, 1.0)
        self._make_up(now)
        while self._queue and self._may_send(now):
            datagram = self._next_datagram(now)
            if datagram is None:
                break
            out.append(datagram)
        return out

    def _make_up(self, now: float) -> None:
        """Let as much more go at once as could have gone since the time at which `poll` should have been called."""
        late_s, self._paced_until = max(now - self._paced_until, 0.0), np.inf
        for bucket in (self._bucket, self._limit):
            if bucket is not None:
                more = min(late_s * bucket.rate, (LATE_BURST - BURST) * self.settings.mtu)
                bucket.burst = BURST * self.settings.mtu + more

    def _handshake(self, now: float) -> list[bytes]:
        asking = self._asking
        if asking is None or now < asking.retry_at:
            return []
        asking.retry_at, asking.wait_s = now + asking.wait_s, min(2 * asking.wait_s, LAST_RETRY_S)
        if asking.cookie is None:
            return [wire.encode_hello(asking.nonce)]
        if asking.wait_s == LAST_RETRY_S:
            # The cookie may have grown too old, or be of a receiver that was started again since.
            self._begin(now + LAST_RETRY_S)
            return []
        asking.formats = len(self._formats)
        return [wire.encode_connect(asking.nonce, asking.cookie, self._formats, asking.key)]

    def _give_up(self, now: float) -> None:
        """Hold for lost what no report has told of for long."""
        patience = max(4 * self.congestion.smoothed_rtt_s, 0.25)
        if self._under_way and next(iter(self._under_way.values()))[0] < now - patience:
            if self._silent_since is not None and now - self._silent_since > patience:
                self.congestion.on_silence()
            while self._under_way and next(iter(self._under_way.values()))[0] < now - patience:
                self._land(next(iter(self._under_way)))
                self.counters.datagrams_lost += 1

    def _fits_window(self) -> bool:
        """Whether the window has room for a datagram of full size."""
        return not self._flying or self._flying + self.settings.mtu <= self.congestion.window * self.settings.mtu

    def _may_send(self, now: float) -> bool:
        size = self.settings.mtu
        if not self._fits_window():
            return False
        return self._bucket.wait(size, now) <= 0 and (self._limit is None or self._limit.wait(size, now) <= 0)

    def _next_datagram(self, now: float) -> bytes | None:
        session = self._session
        batches = self._queue.next_batches(self.settings.mtu - wire.HEAD_BYTES)
        if not batches:
            return None
        body = b"".join(
            encode_section(section, batch.frame.form)
            for section, batch in zip(sections_of(batches, now), batches, strict=True)
        )
        session.sent += 1
        priority = int(min(each.frame.classes[each.rows[0]] for each in batches))
        datagram = wire.encode_data(session.number, session.sent, priority, body, session.key)
        self._under_way[session.sent] = now, len(datagram)
        if self._silent_since is None:
            self._silent_since = now
        self._flying += len(datagram)
        for bucket in (self._bucket, self._limit):
            if bucket is not None:
                bucket.take(len(datagram), now)
        self.counters.datagrams += 1
        self.counters.packets += sum(len(each.rows) for each in batches)
        self.counters.bytes += len(datagram)
        return datagram

    def next_time(self, now: float) -> float | None:
        """Time of the next `poll` in seconds; None: not before the next `offer` or `receive`."""
        times: list[float] = []
        if self._asking is not None:
            times.append(self._asking.retry_at)
        elif self._formats and self._session is None:
            times.append(now)
        if self._session is not None and self._queue and len(self._formats) <= self._session.formats:
            if self._fits_window():
                waits = [each.wait(self.settings.mtu, now) for each in (self._bucket, self._limit) if each is not None]
                self._paced_until = now + max(waits)
                times.append(self._paced_until)
        if self._under_way:
            oldest = next(iter(self._under_way.values()))[0]
            times.append(oldest + max(4 * self.congestion.smoothed_rtt_s, 0.25) + 1e-3)
        if self._queue.frames and self.connected:
            times.append(next(iter(self._queue.frames.values())).deadline)
        return max(min(times), now) if times else None

    def close(self) -> list[bytes]:
        """The datagram that ends the session; of none where there is no session."""
        if self._session is None:
            return []
        self._session.sent += 1
        datagram = wire.encode_close(self._session.number, self._session.sent, self._session.key)
        self._session = None
        return [datagram]
