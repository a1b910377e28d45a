"""The receiving end of sessions, without sockets and without a clock: datagrams in, reports and frames out."""

import secrets
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tokcom.errors import DatagramError, ParameterError, TokcomError
from tokcom.link.assembly import Assembly, FrameAssembler
from tokcom.packets.codebook import Codebook, by_id
from tokcom.protocol import datagrams as wire
from tokcom.protocol.cookies import Cookies
from tokcom.protocol.frame_queue import FrameQueue
from tokcom.protocol.incoming import IncomingFrames, WaitSettings
from tokcom.protocol.sections import decode_sections
from tokcom.protocol.sequence import ReplayWindow, whole_number

NONE, ALL, CONTEXT = "none", "all", "context"
REPEATS = (NONE, ALL, CONTEXT)
"""Choices of the lost packets that are requested: none, all, or those that the model cannot tell."""
REPORT_DATAGRAMS, REPORT_S = 8, 0.01
"""A report is sent after this number of datagrams, or this time after the first that it covers."""
TOLD_TWICE = 2
"""Number of reports that repeat each request for a packet, since a report may be lost."""
MAX_TO_TELL = 4096
"""Frames of a session of which something is to be reported; of more, the oldest are left to their sender's deadline."""
FIRST_PATIENCE_S = 0.15
MAX_OUTPUT = 4096
"""Frames that may wait to be fetched; of more, the oldest are dropped."""


@dataclass(frozen=True)
class ReceiverSettings:
    """Settings of a receiver: what it accepts and what it requests.

    Args:
        repeats: one of REPEATS.
        wait: how long frames are waited for.
        max_sessions: sessions at once, and max_host_sessions of one host, at least 1.
        idle_s: a session without datagrams for so long ends.
        max_tokens: of a frame.
        max_bytes, max_frames: what frames that are not whole may take, of all sessions; those handed on may wait in
            the same number of bytes.
        secret: what receiver and sender share, at most 32 bytes; empty: nothing.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    repeats: str = CONTEXT
    wait: WaitSettings = field(default_factory=WaitSettings)
    max_sessions: int = 256
    max_host_sessions: int = 32
    idle_s: float = 30.0
    max_tokens: int = 1 << 16
    max_bytes: int = 64 << 20
    max_frames: int = 1024
    secret: bytes = b""

    def __post_init__(self) -> None:
        if self.repeats not in REPEATS:
            raise ParameterError(f"repeats is {self.repeats!r}; it must be one of {', '.join(REPEATS)}")
        for name in ("max_sessions", "max_host_sessions", "idle_s", "max_tokens", "max_bytes", "max_frames"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.max_sessions > 1 << 15:
            raise ParameterError(f"max_sessions is {self.max_sessions}; it must be at most {1 << 15}")
        if len(self.secret) > 32:
            raise ParameterError(f"the secret has {len(self.secret)} bytes; it must have at most 32")


@dataclass
class ReceiverCounters:
    """Counters of a receiver.

    Attributes:
        datagrams, bytes: of sessions, whose check held; replayed of them had come before.
        packets: in them; late: after their frame was done.
        refused: datagrams that could not be used, by whatever reason.
        strangers: datagrams of sessions that are not known; each gets a reset.
        sessions: accepted; turned_away: for want of room.
        frames: handed on; frames_whole of them with all their packets; frames_dropped: for want of room.
        packets_wanted: asked for again.
        frames_sought: requests for frames of which nothing had come.
        reports, report_bytes: sent.
        moved: times that a sender's address changed within a session.
    """

    datagrams: int = 0
    bytes: int = 0
    replayed: int = 0
    packets: int = 0
    late: int = 0
    refused: int = 0
    strangers: int = 0
    sessions: int = 0
    turned_away: int = 0
    frames: int = 0
    frames_whole: int = 0
    frames_dropped: int = 0
    packets_wanted: int = 0
    frames_sought: int = 0
    reports: int = 0
    report_bytes: int = 0
    moved: int = 0


@dataclass(frozen=True)
class Question:
    """A frame with missing packets, for the policy that decides which of them are wanted.

    Attributes:
        session, frame_id: the frame; `Receiver.answer` wants them back.
        assembly: what has come of it.
    """

    session: int
    frame_id: int
    assembly: Assembly


@dataclass(eq=False)
class _Session:
    number: int
    nonce: bytes
    key: bytes
    address: Hashable
    host: Hashable
    frames: IncomingFrames
    formats: list
    heard_at: float
    window: ReplayWindow = field(default_factory=ReplayWindow)
    newest_at: float = 0.0
    credit: int = 0
    reports: int = 0
    unreported: int = 0
    report_at: float | None = None
    wanted: dict[int, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    patience_s: float = FIRST_PATIENCE_S
    asked_at: dict[int, float] = field(default_factory=dict)


class Receiver:
    """Datagrams of any number of senders to frames.

    Args:
        codebooks: those that it knows.
        settings: what it takes and asks for.
        cookies: makes cookies; None: with a secret of this process.

    Attributes:
        counters: what it has seen.
        refused: why the last datagram was not used.
        frames: `ReceivedFrame`s, for the host to fetch.
        questions: `Question`s, for the host to fetch and to answer; with repeats "context" only.
    """

    def __init__(
        self, codebooks: Sequence[Codebook] = (), settings: ReceiverSettings | None = None,
        cookies: Cookies | None = None,
    ):  # fmt: skip
        self.settings = settings or ReceiverSettings()
        self._codebooks = by_id(codebooks)  # sessions share it
        self._cookies = cookies or Cookies()
        self._assembler = FrameAssembler(self.settings.max_bytes, self.settings.max_frames)
        self._sessions: OrderedDict[int, _Session] = OrderedDict()
        self._by_nonce: dict[bytes, _Session] = {}
        self._hosts: dict[Hashable, int] = {}
        self.counters, self.refused = ReceiverCounters(), ""
        self.frames = FrameQueue(self.settings.max_bytes, MAX_OUTPUT)
        self.questions: deque[Question] = deque()

    @property
    def sessions(self) -> int:
        """Sessions at the moment."""
        return len(self._sessions)

    def receive(self, datagram: bytes, address: Hashable, now: float) -> bytes | None:
        """Take a datagram; one that cannot be used is counted in `counters.refused`.

        Args:
            datagram: as it came.
            address: where from: a tuple that begins with the host, or anything else that can be compared.
            now: seconds, of a clock that does not jump.

        Returns:
            What to send back at once; it is shorter than the datagram.
        """
        try:
            kind = wire.kind_of(datagram)
            if kind == wire.DATA:
                return self._take_data(datagram, address, now)
            if kind == wire.HELLO:
                nonce = wire.decode_hello(datagram)
                return wire.encode_cookie(nonce, self._cookies.make(address, nonce, now))
            if kind == wire.CONNECT:
                return self._take_connect(datagram, address, now)
            if kind == wire.CLOSE:
                self._take_close(datagram, now)
                return None
            raise DatagramError(f"a datagram of kind {kind} is not for a receiver")
        except TokcomError as error:
            self.counters.refused += 1
            self.refused = str(error)
            return None

    def _take_connect(self, datagram: bytes, address: Hashable, now: float) -> bytes:
        nonce, cookie, formats = wire.decode_connect(datagram)
        if not self._cookies.holds(cookie, address, nonce, now):
            raise DatagramError("a cookie is not of this receiver, this address and this minute")
        key = wire.session_key(nonce, cookie, self.settings.secret)
        wire.require_check(datagram, 0, key)
        session = self._by_nonce.get(nonce)
        if session is None:
            session = self._new_session(nonce, key, formats, address, now)
        elif session.key != key:
            raise DatagramError("a session is asked for twice, with different cookies")
        return wire.encode_accept(nonce, session.number, session.key)

    def learn(self, codebook: Codebook) -> None:
        """Add a codebook; frames that begin from now on are of it, in sessions that have begun, too.

        Raises:
            ParameterError: another codebook has the same id.
        """
        by_id([*self._codebooks.values(), codebook])
        self._codebooks[codebook.id] = codebook

    def _new_session(self, nonce: bytes, key: bytes, formats: list, address: Hashable, now: float) -> _Session:
        self._end_idle(now)
        host = address[0] if isinstance(address, tuple) else address
        if len(self._sessions) >= self.settings.max_sessions or (
            self._hosts.get(host, 0) >= self.settings.max_host_sessions
        ):
            self.counters.turned_away += 1
            raise DatagramError(f"there is no room for one more session ({len(self._sessions)}, of {host})")
        number = secrets.randbelow(1 << 16)
        while number in self._sessions:
            number = secrets.randbelow(1 << 16)
        frames = IncomingFrames(
            (number, nonce), formats, self._codebooks, self._assembler, self.settings.wait, self.settings.max_tokens
        )
        session = _Session(number, nonce, key, address, host, frames, formats, now)
        self._sessions[number] = self._by_nonce[nonce] = session
        self._hosts[host] = self._hosts.get(host, 0) + 1
        self.counters.sessions += 1
        return session

    def _take_data(self, datagram: bytes, address: Hashable, now: float) -> bytes | None:
        body = wire.body_of(datagram)
        low_session, low = wire.numbered(datagram)
        session = self._sessions.get(low_session)
        if session is None:
            self.counters.strangers += 1
            return wire.encode_reset(low_session, low)
        number = whole_number(low, session.window.highest)
        wire.require_check(datagram, number, session.key)
        if not session.window.is_new(number):
            self.counters.replayed += 1
            return None
        newest = number > session.window.highest
        session.window.add(number)
        self.counters.datagrams += 1
        self.counters.bytes += len(datagram)
        session.heard_at = now
        if newest:
            session.newest_at = now
            if address != session.address:
                session.address, session.credit = address, 0
                self.counters.moved += 1
        session.credit += len(datagram)
        session.unreported += 1
        due = now if session.unreported >= REPORT_DATAGRAMS else now + REPORT_S
        session.report_at = due if session.report_at is None else min(session.report_at, due)
        for section in decode_sections(body, session.formats):
            held = session.frames.n_bytes
            frame_id = session.frames.add(section, number, now)
            self.counters.packets += len(section.payloads)
            if frame_id is None:
                self.counters.late += len(section.payloads)
                continue
            if frame_id in session.asked_at and session.frames.frames[frame_id].wanted:
                took = now - session.asked_at.pop(frame_id)
                session.patience_s = 0.75 * session.patience_s + 0.25 * max(2 * took, 0.02)
            if session.frames.n_bytes > held:
                self._make_room(session, now)
        session.frames.note_taken(number)
        return None

    def _make_room(self, session: _Session, now: float) -> None:
        """Hand on, as they are, the oldest frames of a session that holds more than a quarter of the memory, and of
        those that hold most if all together hold too much."""
        most, most_frames = self.settings.max_bytes, self.settings.max_frames
        while session.frames.n_bytes > most // 4:
            self._drop_oldest(session, now)
        held = [each.frames for each in self._sessions.values()]
        while sum(each.n_bytes for each in held) > most or sum(len(each.frames) for each in held) > most_frames:
            self._drop_oldest(max(self._sessions.values(), key=lambda each: each.frames.n_bytes), now)

    def _drop_oldest(self, session: _Session, now: float) -> None:
        self.counters.frames_dropped += 1
        self._finish(session, next(iter(session.frames.frames)), now)

    def _take_close(self, datagram: bytes, now: float) -> None:
        number, low = wire.numbered(datagram)
        session = self._sessions.get(number)
        if session is None:
            raise DatagramError(f"session {number} is not known")
        whole = whole_number(low, session.window.highest)
        wire.require_check(datagram, whole, session.key)
        if not session.window.is_new(whole):
            raise DatagramError(f"the end of session {number} is told again")
        self._end(session, now)

    def _end(self, session: _Session, now: float) -> None:
        """End a session; its frames are handed on as they are."""
        for frame_id in list(session.frames.frames):
            self._finish(session, frame_id, now)
        del self._sessions[session.number], self._by_nonce[session.nonce]
        self._hosts[session.host] -= 1
        if not self._hosts[session.host]:
            del self._hosts[session.host]

    def _end_idle(self, now: float) -> None:
        for session in [each for each in self._sessions.values() if each.heard_at <= now - self.settings.idle_s]:
            self._end(session, now)

    def answer(self, session_number: int, frame_id: int, wanted: np.ndarray, now: float) -> None:
        """Tell what is wanted of a frame that was asked about.

        Args:
            session_number, frame_id: of the `Question`.
            wanted: int (n,), packets; none: the frame is handed on as it is.
            now: seconds.
        """
        session = self._sessions.get(session_number)
        frame = None if session is None else session.frames.frames.get(frame_id)
        if frame is None or frame.whole:
            return
        if not len(wanted):
            self._finish(session, frame_id, now)
            return
        session.frames.ask(frame_id, wanted, session.patience_s, now)
        session.asked_at.setdefault(frame_id, now)
        session.wanted[frame_id] = tuple(int(each) for each in wanted), TOLD_TWICE
        self._bound_wanted(session)
        session.report_at = now
        self.counters.packets_wanted += len(wanted)

    def _seek(self, session: _Session, now: float) -> None:
        """Request the frames of which nothing has come: all their packets, since no model knows anything of them."""
        for frame_id, packets in session.frames.skipped.due(session.patience_s, now):
            session.wanted[frame_id] = tuple(range(packets)), TOLD_TWICE
            self._bound_wanted(session)
            session.report_at = now
            self.counters.frames_sought += 1

    def _finish(self, session: _Session, frame_id: int, now: float) -> None:
        whole = session.frames.frames[frame_id].whole
        received = session.frames.take(frame_id, now)
        session.asked_at.pop(frame_id, None)
        session.wanted[frame_id] = (), 1
        self._bound_wanted(session)
        if session.report_at is None:
            session.report_at = now + REPORT_S
        self.counters.frames += 1
        self.counters.frames_whole += whole
        self.counters.frames_dropped += self.frames.put(received)

    @staticmethod
    def _bound_wanted(session: _Session) -> None:
        if len(session.wanted) > MAX_TO_TELL:
            del session.wanted[next(iter(session.wanted))]

    def poll(self, now: float) -> list[tuple[bytes, Hashable]]:
        """Reports to send now, and where to; frames that are due move to `frames` or `questions`. Call again at
        `next_time`, and after every `receive` and `answer`."""
        self._end_idle(now)
        out = []
        for session in list(self._sessions.values()):
            self._move_frames(session, now)
            report = self._report(session, now)
            if report is not None:
                out.append((report, session.address))
        return out

    def _move_frames(self, session: _Session, now: float) -> None:
        if self.settings.repeats != NONE:
            self._seek(session, now)
        for frame_id, frame in list(session.frames.frames.items()):
            if frame.whole or frame.deadline <= now:
                self._finish(session, frame_id, now)
            elif frame.judge_at is not None and frame.judge_at <= now:
                self._judge(session, frame_id, now)

    def _judge(self, session: _Session, frame_id: int, now: float) -> None:
        frame = session.frames.frames[frame_id]
        if not session.frames.place(frame_id):
            session.frames.wait(frame_id, now)
            return
        assembly = session.frames.assembly(frame_id)
        if self.settings.repeats == NONE or frame.rounds >= self.settings.wait.rounds:
            # What was asked for may still come until the deadline.
            if frame.rounds:
                frame.judge_at = None
            else:
                self._finish(session, frame_id, now)
            return
        if assembly is None:
            frame.judge_at = None
            return
        if self.settings.repeats == ALL:
            self.answer(session.number, frame_id, assembly.missing, now)
        else:
            frame.judge_at = None
            self.questions.append(Question(session.number, frame_id, assembly))
            if len(self.questions) > MAX_OUTPUT:
                self.questions.popleft()

    def _report(self, session: _Session, now: float) -> bytes | None:
        if session.report_at is None or now < session.report_at or session.window.highest == 0:
            return None
        wanted = tuple((frame_id & 0xFFFF, packets) for frame_id, (packets, _) in session.wanted.items())
        feedback = wire.Feedback(
            session.window.highest & 0xFFFF, now - session.newest_at, session.window.count, session.window.before(),
            wanted,
        )  # fmt: skip
        limit = min(wire.DEFAULT_MTU, session.credit)
        datagram = wire.encode_feedback(feedback, session.number, session.reports + 1, session.key, limit)
        session.report_at, session.unreported = None, 0
        if len(datagram) > session.credit:
            return None
        session.credit -= len(datagram)
        session.reports += 1
        told = dict(wire.decode_feedback(datagram).wanted)
        session.wanted = _left_to_tell(session.wanted, told)
        # Where nothing found room, only the next datagram makes some.
        if session.wanted and told:
            session.report_at = now + REPORT_S
        self.counters.reports += 1
        self.counters.report_bytes += len(datagram)
        return datagram

    def next_time(self) -> float | None:
        """Time of the next `poll` in seconds; None: not before the next `receive` or `answer`."""
        times = []
        for session in self._sessions.values():
            times.append(session.heard_at + self.settings.idle_s)
            if session.report_at is not None:
                times.append(session.report_at)
            seek_at = session.frames.skipped.next_time()
            if self.settings.repeats != NONE and seek_at is not None:
                times.append(seek_at)
            for frame in session.frames.frames.values():
                times.append(frame.deadline if frame.judge_at is None else min(frame.judge_at, frame.deadline))
        return min(times) if times else None


def _left_to_tell(
    wanted: dict[int, tuple[tuple[int, ...], int]], told: dict[int, tuple[int, ...]]
) -> dict[int, tuple[tuple[int, ...], int]]:  # fmt: skip
    """Return what is left to report: entries that found no room first, then those to be repeated."""
    untold, again = {}, {}
    for frame_id, (packets, n) in wanted.items():
        here = told.get(frame_id & 0xFFFF)
        if here is None or len(here) < len(packets):
            said = set(here or ())
            untold[frame_id] = tuple(each for each in packets if each not in said), n
        elif n > 1:
            again[frame_id] = packets, n - 1
    return untold | again
