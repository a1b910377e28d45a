"""From an endless stream of samples to bursts, each cut out whole, in constant memory."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from tokcom.errors import HeaderError
from tokcom.kernels import kernel
from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import longest_burst
from tokcom.phy.demodulator import LARGEST_SAMPLE, burst_end, header_end, receive_header
from tokcom.phy.detector import (
    BACKOFF,
    BLOCK,
    Candidate,
    LongTrainingDetector,
    ShortTrainingDetector,
    block_sums,
    lag_sums,
    long_training,
    places,
)
from tokcom.phy.hints import (
    CLEAR,
    CLIPPED,
    CLIPPED_SHARE,
    FASTER,
    LARGEST_RATE_OFFSET,
    SLOWER,
    clipped_share,
    first_rise,
    rate_offset,
    what_is_wrong,
)
from tokcom.phy.impulses import AHEAD, ImpulseFinder, loud_samples
from tokcom.phy.narrowband import LAG, LEFT_OVER, TonePredictor, excise, find_tones, unforeseen, without_tones
from tokcom.phy.numerology import SHORT_PERIOD, SYMBOL_LENGTH
from tokcom.phy.profile import Profile, profile, profile_names
from tokcom.phy.synchronization import Synchronization

CHUNK = 8192
"""Samples that are worked on together."""
MAX_PENDING = 16
"""Bursts that may be under way at one time; more are counted and dropped."""
LONGEST_LAG = SYMBOL_LENGTH
"""Samples that the detectors look back: a long symbol with its guard."""
HISTORY = LONGEST_LAG + BLOCK
"""The same with the predictor's lag, in whole blocks."""
DELAY = (AHEAD + 1) * BLOCK
"""Samples by which the detector is behind, to see that a loud moment is an impulse and no burst."""
SEEK_TONE_DB, BURST_TONE_DB = 10.0, 13.0
"""A line's power over its neighbours' from which it is taken for a tone: among some hundred samples where the detector
saw one, and in a burst."""
LONG_SHARE, REPEATED_SHARE = 0.2, 0.3
"""Metric of a long training, relative to that of its short training, or of its own repetition, at least: it shows one
path."""
SAME_PREAMBLE = 32
"""Samples within which two long trainings are paths of one."""
SIDELOBE = 0.7
"""Within the span of a preamble, another one that is weaker than this share of it is its sidelobe."""
DC_SHARE = 1.0 / 4096
"""Share of each sample in the running mean that is taken off: direct current and the local oscillator's leakage."""
LARGEST_STEP = 8.0
"""Times the usual size from which a sample says no more of the mean: an impulse must not move it for long."""
LARGEST_GROWTH = 2.0
"""Times the usual size from which a sample makes it grow no faster: a strong burst must not move the mean, either, or a
weak one behind it lies under direct current that nobody sent."""


@dataclass(frozen=True)
class FoundBurst:
    """A burst cut out of the stream.

    Attributes:
        samples: complex64, from a little before the preamble to the burst's end.
        sync: where the burst is in them.
        position: index, in the stream, of the burst's first sample.
        header: what the burst's header says; None where that is still to be decoded.
        tones: that were taken off, each counted in every thousand samples.
        clipped: share of the samples at the receiver's limits.
    """

    samples: np.ndarray
    sync: Synchronization
    position: int
    header: BurstHeader | None = None
    tones: int = 0
    clipped: float = 0.0

    @property
    def length(self) -> int:
        """Samples of the burst itself."""
        return len(self.samples) - (self.sync.long_start - self.sync.profile.long_start)


@dataclass
class SearchCounters:
    """What has happened in the stream so far."""

    samples: int = 0
    bad_samples: int = 0
    """NaN, infinite or absurdly large; taken for 0."""
    blanked_samples: int = 0
    """Parts of impulses; taken for 0."""
    candidates: int = 0
    """Places that looked like a short training."""
    preambles: int = 0
    """Those with a long training behind."""
    bursts: int = 0
    """Those whose header could be used."""
    headers_failed: dict[str, int] = field(
        default_factory=lambda: {"crc": 0, "version": 0, "element": 0, "contents": 0}
    )
    dropped: int = 0
    """Bursts given up because too many were under way."""
    hints: dict[str, int] = field(default_factory=dict)
    """How often each of `hints.REMEDIES` was called for."""

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {kind}" for kind, count in self.headers_failed.items())
        return (
            f"{self.samples} samples ({self.bad_samples} bad, {self.blanked_samples} blanked), "
            f"{self.preambles} preambles, {self.bursts} bursts ({self.dropped} given up), failed headers: {failed}"
            + "".join(f", {count} x {hint}" for hint, count in self.hints.items())
        )


STRONG = 0.5
"""Metric of a short training from which its long one is missed."""
RISE_BLOCKS, RISE = 16, 4.0
"""Something begins where so many blocks have so many times the energy of as many before."""
SUSPECT_SPAN = 4096
"""Samples, from a place where a preamble may be that was not understood, in which it is sought in other guises."""
RECALL = 2 * SUSPECT_SPAN
"""Samples for which a preamble is recalled: whatever else is found in its place comes sooner."""
SUSPECT_PAUSE = 1 << 19
"""Samples from one such search to the next: the search for bursts must not be slower for it."""

SEEK, DECODE, CUT_OUT, EXPLAIN = range(4)


@dataclass(frozen=True, order=True)
class Step:
    """Something to do once the samples reach far enough. Steps are sorted by what does not depend on how the stream was
    cut into pieces.

    Attributes:
        ready: index in the stream of the sample after the last one needed.
        stage: SEEK a long training, DECODE a header, CUT_OUT a burst or EXPLAIN why there is none.
        place: index in the stream of the end of a short training, of the start of a long one, or of something unknown.
        profile: index of the profile among those sought.
        what: the place in full.
        header: of a burst to cut out.
        tried: where the samples of a header ended that was decoded in vain before the impulses in it were known.
    """

    ready: int
    stage: int
    place: int
    profile: int
    what: Candidate | Synchronization | None = field(default=None, compare=False)
    header: BurstHeader | None = field(default=None, compare=False)
    tried: int | None = field(default=None, compare=False)


class BurstSearcher:
    """Finds bursts in a stream given in pieces of any size.

    The search goes on while a burst comes in, so a burst that another one overlaps, or that a false header announces,
    hides no other.

    Args:
        profiles: names of the profiles to seek; empty for all.
    """

    MARGIN = 64
    """Samples kept ahead of a burst's preamble."""

    def __init__(self, profiles: Sequence[str] = ()):
        self._profiles = [profile(name) for name in (profiles or profile_names())]
        self._spacings = np.array([each.long_spacing for each in self._profiles])
        longest = max(longest_burst(each) for each in self._profiles)
        preamble = max(each.preamble_length for each in self._profiles)
        self._reach = longest + preamble + 4 * self.MARGIN
        self._buffer = np.zeros(2 * self._reach + 2 * CHUNK, np.complex64)
        self.counters = SearchCounters()
        self.last_error = ""
        """Why the last header that came whole could not be used."""
        self.reset()

    def reset(self, position: int = 0) -> None:
        """Forget the stream, which goes on with the sample of this index; counters go on, too."""
        self._detectors = [ShortTrainingDetector(each) for each in self._profiles]
        self._long_detectors = [LongTrainingDetector(each) for each in self._profiles]
        self._used = HISTORY  # zeros ahead of the first sample
        self._buffer[: self._used] = 0
        self._origin = position - HISTORY
        self._scanned = position
        self._measured = position
        self._mean = np.zeros(9)
        self._impulses = ImpulseFinder()
        self._blanks = np.zeros((2, 0), np.int64)
        self._predictor = TonePredictor()
        self._factors = np.zeros(LONGEST_LAG // BLOCK, np.complex64)
        self._levels = np.full(2 * RISE_BLOCKS, np.inf)  # what the stream begins with has not begun here
        self._rate_offset = 0.0
        self._next_rise = self._next_search = self._next_suspect = position
        self._steps: list[Step] = []
        self._recent: list[Synchronization] = []
        self._decoded: list[Synchronization] = []

    def push(self, samples: np.ndarray) -> list[FoundBurst]:
        """Bursts that end within the next samples, complex (n,), of the stream."""
        found = []
        with np.errstate(over="ignore", invalid="ignore"):
            samples = np.ascontiguousarray(samples, dtype=np.complex64)
        for start in range(0, len(samples), CHUNK):
            found += self._push_chunk(samples[start : start + CHUNK])
        return found

    def _push_chunk(self, samples: np.ndarray) -> list[FoundBurst]:
        self._make_room(len(samples))
        place = self._buffer[self._used : self._used + len(samples)]
        self.counters.samples += len(samples)
        energies = np.empty(len(samples) // BLOCK + 1)
        bad, blocks = _clean(samples, place, self._mean, energies, LARGEST_SAMPLE, DC_SHARE)
        self.counters.bad_samples += bad
        self._used += len(samples)
        self._find_rises(energies[:blocks])
        self._find_impulses(energies[:blocks])
        self._scan()
        found = []
        while self._steps and self._steps[0].ready <= self._end:
            step = heapq.heappop(self._steps)
            if step.stage == SEEK:
                self._seek_long_training(step)
            elif step.stage == DECODE:
                self._decode_header(step)
            elif step.stage == EXPLAIN:
                self._explain(step)
            else:
                found.append(self._cut_out(step))
        return found

    @property
    def _end(self) -> int:
        """Index in the stream of the sample after the last one here."""
        return self._origin + self._used

    def _make_room(self, count: int) -> None:
        if self._used + count > len(self._buffer):
            drop = self._used - self._reach
            self._buffer[: self._reach] = self._buffer[drop : self._used]
            self._origin += drop
            self._used = self._reach
            self._blanks = self._blanks[:, self._blanks[0] >= self._origin]

    def _view(self, first: int, stop: int, known: int) -> np.ndarray:
        """Samples without the impulses that are known once the stream has come to a place; maybe the buffer's own."""
        view = self._buffer[first - self._origin : stop - self._origin]
        if self._blanks.size:
            places, known_at = self._blanks
            inside = places[(places >= first) & (places < stop) & (known_at <= known)]
            if inside.size:
                view = view.copy()
                view[inside - first] = 0
        return view

    def _find_rises(self, energies: np.ndarray) -> None:
        """Note where something begins: should no preamble be found there, it may be one in another guise."""
        levels = np.concatenate([self._levels, energies])
        origin = self._measured - len(self._levels) * BLOCK
        block = 0
        while block >= 0:
            block = first_rise(levels, (self._next_rise - origin) // BLOCK, RISE_BLOCKS, RISE)
            if block >= 0:
                self._next_rise = origin + block * BLOCK + SUSPECT_SPAN
                self._suspect(origin + block * BLOCK)
        self._next_rise = max(self._next_rise, origin + (len(levels) - RISE_BLOCKS + 1) * BLOCK)
        self._levels = levels[-2 * RISE_BLOCKS :].copy()

    def _suspect(self, place: int) -> None:
        heapq.heappush(self._steps, Step(place + SUSPECT_SPAN + DELAY, EXPLAIN, place, 0))

    def _explain(self, step: Step) -> None:
        first = max(step.place - self.MARGIN, self._origin)
        stop = step.place + SUSPECT_SPAN
        if step.place < self._next_search or any(first <= known.long_start < stop for known in self._recent):
            return
        self._next_search = step.place + SUSPECT_PAUSE
        hint = what_is_wrong(self._view(first, stop, step.ready), self._profiles)
        if hint:
            self._note(hint)

    def _note(self, hint: str) -> None:
        self.counters.hints[hint] = self.counters.hints.get(hint, 0) + 1

    def _impulses_within(self, first: int, stop: int, known: int) -> bool:
        """Whether impulses are known now, of those within samples, that were not when these came to their end."""
        places, known_at = self._blanks
        return bool(np.any((places >= first) & (places < stop) & (known_at > stop) & (known_at <= known)))

    def _find_impulses(self, energies: np.ndarray) -> None:
        for block, power in zip(*self._impulses.push(energies), strict=True):
            start = self._measured + int(block) * BLOCK
            first = max(start - BLOCK, self._origin)
            # The block's neighbours may hold the impulse's edges.
            places = first + loud_samples(self._view(first, start + 2 * BLOCK, -1), power)
            places = np.setdiff1d(places, self._blanks[0])
            known_at = np.full(len(places), start + (AHEAD + 1) * BLOCK)
            self._blanks = np.concatenate([self._blanks, [places, known_at]], axis=1)
            self.counters.blanked_samples += len(places)
        self._measured += len(energies) * BLOCK

    def _scan(self) -> None:
        stop = self._measured - DELAY
        if stop <= self._scanned:
            return
        samples = self._view(self._scanned - LONGEST_LAG, stop, stop + DELAY)
        sums = block_sums(samples[LONGEST_LAG - SHORT_PERIOD :])
        factors = self._predictor.push(sums)
        both = np.concatenate([self._factors, factors])
        sums[3] = 0
        if both.any():
            tonal = factors != 0
            whole = sums[2]
            samples = unforeseen(self._view(self._scanned - LONGEST_LAG - LAG, stop, stop + DELAY), both, BLOCK)
            sums = block_sums(samples[LONGEST_LAG - SHORT_PERIOD :])
            sums[2] += LEFT_OVER * whole * tonal
            sums[3] = tonal
        self._factors = both[-len(self._factors) :]
        repeated = lag_sums(samples[LONGEST_LAG - self._spacings.max() :], self._spacings)
        for index, each in enumerate(self._profiles):
            both = self._detectors[index].push(sums[:4], self._scanned)
            both += self._long_detectors[index].push(sums[:4], repeated[index], self._scanned)
            for candidate in both:
                self.counters.candidates += 1
                ready = max(places(each, candidate)[1], candidate.known_at) + DELAY
                heapq.heappush(self._steps, Step(ready, SEEK, candidate.end, index, candidate))
        self._scanned = stop

    def _seek_long_training(self, step: Step) -> None:
        each = self._profiles[step.profile]
        first, stop = places(each, step.what)
        short = step.what.lag == SHORT_PERIOD
        if short and any(_explains(known, step.what, each) for known in self._decoded):
            return
        middle = (first + stop - each.preamble_length + each.long_start) // 2
        if short and any(_is_edge(step.what, middle, known) for known in self._recent):
            return
        least = (LONG_SHARE if short else REPEATED_SHARE) * step.what.metric
        if not short and any(known.metric > least and _overlaps(known, middle, each) for known in self._recent):
            return
        first = max(first, self._origin)
        # The first path may lie before the strongest.
        back = min(self.MARGIN, first - self._origin)
        samples = self._view(first - back, stop, step.ready)
        if step.what.tonal:
            samples = without_tones(samples, find_tones(samples, SEEK_TONE_DB))
        sync = long_training(samples, back, each, step.what.frequency, least, step.what.lag)
        if sync is None:
            if short and step.what.metric > STRONG and not step.what.tonal and step.place >= self._next_suspect:
                self._next_suspect = step.place + SUSPECT_SPAN
                self._suspect(step.place - each.window)
            return
        absolute = Synchronization(each, first - back + sync.long_start, sync.frequency, sync.metric)
        if any(_is_sidelobe(absolute, known) for known in self._recent):
            return
        near = [known for known in self._recent[-MAX_PENDING:] if abs(known.long_start - absolute.long_start) < RECALL]
        self._recent = [*near, absolute]
        self.counters.preambles += 1
        self._queue(DECODE, header_end(absolute), step, absolute)

    def _decode_header(self, step: Step) -> None:
        sync, stop = step.what, step.tried or step.ready
        first, local = self._local(sync)
        if step.tried and not self._impulses_within(first, stop, step.ready):
            self._fail_crc(first, stop, step.ready, local)
            return
        samples, _ = self._without_tones(first, stop, step.ready, local)
        try:
            reception = receive_header(samples, local)
        except HeaderError as error:
            if error.kind == "crc" and not step.tried:
                heapq.heappush(self._steps, replace(step, ready=stop + DELAY, tried=stop))
                return
            if error.kind == "crc":
                self._fail_crc(first, stop, step.ready, local)
            else:
                self.counters.headers_failed[error.kind] += 1
                self.last_error = str(error)
            return
        if isinstance(reception, int):
            self._queue(DECODE, first + reception, step, sync)
            return
        self.counters.bursts += 1
        self._decoded = [*self._decoded[-3:], sync]
        self._queue(CUT_OUT, first + burst_end(local, reception.plan), step, sync, reception.header)

    def _fail_crc(self, first: int, stop: int, known: int, sync: Synchronization) -> None:
        self.counters.headers_failed["crc"] += 1
        if sync.metric > CLEAR and sync.long_start >= 0:
            before, self._rate_offset = self._rate_offset, rate_offset(self._view(first, stop, known), sync)
            # Two in a row that agree: in noise, one of many may show anything.
            least, most = sorted((self._rate_offset, before), key=abs)
            if LARGEST_RATE_OFFSET < abs(least) and abs(most - least) < 0.2 * abs(most):
                self._note(FASTER if most > 0 else SLOWER)

    def _cut_out(self, step: Step) -> FoundBurst:
        sync = step.what
        first, local = self._local(sync)
        samples, tones = self._without_tones(first, step.ready, step.ready, local)
        position = sync.long_start + BACKOFF - sync.profile.long_start
        clipped = clipped_share(self._buffer[max(position - self._origin, 0) : step.ready - self._origin])
        if clipped > CLIPPED_SHARE:
            self._note(CLIPPED)
        return FoundBurst(samples.copy(), local, position, step.header, tones, clipped)

    def _without_tones(self, first: int, stop: int, known: int, sync: Synchronization) -> tuple[np.ndarray, int]:
        """Samples of a burst, and how many tones were taken off. The short training, itself a row of lines, tells
        nothing of them."""
        return excise(self._view(first, stop, known), sync.long_start - sync.profile.long_guard, BURST_TONE_DB)

    def _local(self, sync: Synchronization) -> tuple[int, Synchronization]:
        """First sample to hand on for a burst, and its synchronization counted from there."""
        first = max(sync.long_start - sync.profile.long_start - self.MARGIN, self._origin)
        return first, Synchronization(sync.profile, sync.long_start - first, sync.frequency, sync.metric)

    def _queue(
        self, stage: int, ready: int, step: Step, sync: Synchronization, header: BurstHeader | None = None
    ) -> None:
        """The step after a step; the oldest of its stage makes room for it where there are too many."""
        pending = [other for other in self._steps if other.stage == stage]
        if len(pending) >= MAX_PENDING:
            self.counters.dropped += 1
            self._steps.remove(min(pending, key=lambda other: other.place))
            heapq.heapify(self._steps)
        heapq.heappush(self._steps, Step(max(ready, step.ready), stage, sync.long_start, step.profile, sync, header))


@cache
def compile_search() -> None:
    """Search a stream with a tone, impulses and a preamble of an inverted spectrum, so that Numba compiles what that
    takes: the first time, it would hold up a radio's samples."""
    rng = np.random.default_rng(0)
    each = profile("standard")
    stream = np.concatenate([np.zeros(1000), each.preamble, np.zeros(1000), each.preamble.conj(), np.zeros(9000)])
    stream += rng.standard_normal((len(stream), 2)) @ np.array([0.1, 0.1j])
    stream[500:510] += 30
    stream[-4000:] += np.exp(0.5j * np.arange(4000))
    searcher = BurstSearcher()
    searcher.push(stream)
    excise(stream[-2000:].astype(np.complex64), 0, BURST_TONE_DB)


def _explains(known: Synchronization, candidate: Candidate, sought: Profile) -> bool:
    """Whether a long detector's window was filled by the shorter preamble of a burst whose header is decoded."""
    end = known.long_start - known.profile.long_guard
    return known.profile.window < sought.window and candidate.end - sought.window < end <= candidate.end + BLOCK


def _overlaps(known: Synchronization, long_start: int, sought: Profile) -> bool:
    """Whether a known preamble has samples in common with the long training that begins at a place."""
    first = known.long_start - known.profile.long_start
    stop = long_start + sought.preamble_length - sought.long_start
    return first < stop and long_start < first + known.profile.preamble_length


def _is_edge(candidate: Candidate, long_start: int, known: Synchronization) -> bool:
    """Whether what repeats is the edge of a preamble that is known: a long training there would be its sidelobe."""
    near = abs(long_start - known.long_start) < known.profile.preamble_length
    return near and not candidate.tonal and candidate.metric < SIDELOBE * known.metric


def _is_sidelobe(sync: Synchronization, known: Synchronization) -> bool:
    """Whether a preamble is but the echo, in the detector, of one that is known."""
    apart = sync.long_start - known.long_start
    span = known.profile.preamble_length
    return abs(apart) < SAME_PREAMBLE or (abs(apart) < span and sync.metric < SIDELOBE * known.metric)


@kernel
def _clean(samples, out, state, energies, largest, share):
    """Copies the samples without their running mean, which stands still over a block; returns how many were none, and
    how many blocks were completed, whose energies are filled in.

    state: the mean's real and imaginary part, the usual size of what is left, beyond a multiple of which nothing moves
    it further, and of the block under way how many samples it has, their energy, the sums of their limited parts and
    sizes, and their largest size.
    """
    bad = blocks = i = 0
    real, imag, usual = state[0], state[1], state[2]
    inside, energy, sum_real, sum_imag, sum_size, most = int(state[3]), state[4], state[5], state[6], state[7], state[8]
    while i < samples.shape[0]:
        stop = min(i + BLOCK - inside, samples.shape[0])
        # Of the first samples that are not 0 nothing is known: they may move the mean as they like.
        limit = LARGEST_STEP * usual if usual > 0 else np.inf
        growth = LARGEST_GROWTH * usual
        mean_real, mean_imag = np.float32(real), np.float32(imag)
        for k in range(i, stop):
            a, b = samples[k].real, samples[k].imag
            if not (abs(a) <= largest and abs(b) <= largest):
                a, b = np.float32(0), np.float32(0)
                bad += 1
            a, b = a - mean_real, b - mean_imag
            out[k] = complex(a, b)
            energy += a * a + b * b
            size = max(abs(a), abs(b))
            sum_real += min(max(a, -limit), limit)
            sum_imag += min(max(b, -limit), limit)
            sum_size += min(size, growth)
            most = max(most, size)
        inside += stop - i
        i = stop
        if inside == BLOCK:
            energies[blocks] = energy
            blocks += 1
            real += share * sum_real
            imag += share * sum_imag
            usual = usual + share * (sum_size - BLOCK * usual) if usual > 0 else most
            inside, energy, sum_real, sum_imag, sum_size, most = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    state[:] = real, imag, usual, float(inside), energy, sum_real, sum_imag, sum_size, most
    return bad, blocks
