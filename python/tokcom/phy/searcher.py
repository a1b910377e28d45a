"""Search for bursts in an unbounded stream of samples, each cut out whole, in constant memory."""

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
"""Samples processed at a time."""
MAX_PENDING = 16
"""Largest number of bursts under way at a time; more are counted and dropped."""
LONGEST_LAG = SYMBOL_LENGTH
"""Longest lag of the detectors in samples: a long symbol with its guard."""
HISTORY = LONGEST_LAG + BLOCK
"""Samples of history: that lag plus the predictor's, in whole blocks."""
DELAY = (AHEAD + 1) * BLOCK
"""Delay of the detector in samples, needed to tell impulses from bursts."""
SEEK_TONE_DB, BURST_TONE_DB = 10.0, 13.0
"""Power of a line relative to its neighbours from which it counts as a tone: in a few hundred samples where the
detector saw one, and in a burst."""
LONG_SHARE, REPEATED_SHARE = 0.2, 0.3
"""Smallest metric of a long training, which measures a single path, relative to that of its short training and of its
own repetition."""
SAME_PREAMBLE = 32
"""Distance in samples within which two long trainings are paths of one."""
SIDELOBE = 0.7
"""Relative metric below which a second preamble within the span of the first is its sidelobe."""
DC_SHARE = 1.0 / 4096
"""Weight of each sample in the running mean, which is subtracted to remove DC and the local oscillator's leakage."""
LARGEST_STEP = 8.0
"""Magnitude, relative to the usual, to which samples are limited in the mean: an impulse must not move it for long."""
LARGEST_GROWTH = 2.0
"""Magnitude, relative to the usual, to which samples are limited in the usual magnitude itself: a strong burst must not
shift the mean either, or a weak one after it would suffer from a DC offset that is not there."""


@dataclass(frozen=True)
class FoundBurst:
    """Burst cut out of the stream.

    Attributes:
        samples: complex64, from a little before the preamble to the burst's end.
        sync: position of the burst in these samples.
        position: index, in the stream, of the burst's first sample.
        header: header of the burst; None if still to be decoded.
        tones: number of tones removed, each counted once per thousand samples.
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
        """Length of the burst itself in samples."""
        return len(self.samples) - (self.sync.long_start - self.sync.profile.long_start)


@dataclass
class SearchCounters:
    """Counters of events in the stream."""

    samples: int = 0
    bad_samples: int = 0
    """Samples that were NaN, infinite or impossibly large, replaced by 0."""
    blanked_samples: int = 0
    """Samples of impulses, replaced by 0."""
    candidates: int = 0
    """Candidates for a training."""
    preambles: int = 0
    """Candidates with a long training."""
    bursts: int = 0
    """Preambles with a valid header."""
    headers_failed: dict[str, int] = field(
        default_factory=lambda: {"crc": 0, "version": 0, "element": 0, "contents": 0}
    )
    dropped: int = 0
    """Bursts dropped because too many were under way."""
    hints: dict[str, int] = field(default_factory=dict)
    """Number of times each of `hints.REMEDIES` applied."""

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {kind}" for kind, count in self.headers_failed.items())
        return (
            f"{self.samples} samples ({self.bad_samples} bad, {self.blanked_samples} blanked), "
            f"{self.preambles} preambles, {self.bursts} bursts ({self.dropped} given up), failed headers: {failed}"
            + "".join(f", {count} x {hint}" for hint, count in self.hints.items())
        )


STRONG = 0.5
"""Metric of a short training from which a missing long one is reported."""
RISE_BLOCKS, RISE = 16, 4.0
"""A signal begins where RISE_BLOCKS blocks have RISE times the energy of the RISE_BLOCKS before."""
SUSPECT_SPAN = 4096
"""Samples after an unrecognised preamble in which it is searched for in other forms (`hints`)."""
RECALL = 2 * SUSPECT_SPAN
"""Samples for which a preamble is remembered: anything else found at its position comes sooner."""
SUSPECT_PAUSE = 1 << 19
"""Minimum distance in samples between such searches, so that they do not slow the search for bursts."""

SEEK, DECODE, CUT_OUT, EXPLAIN = range(4)


@dataclass(frozen=True, order=True)
class Step:
    """Step to take once enough samples are there. The sort order of steps does not depend on how the stream was split
    into pieces.

    Attributes:
        ready: index in the stream of the sample after the last one needed.
        stage: SEEK a long training, DECODE a header, CUT_OUT a burst or EXPLAIN why there is no burst.
        place: index in the stream of the end of a short training, the start of a long one, or the start of an unknown
            signal.
        profile: index of the profile among those searched for.
        what: candidate or position in full.
        header: header of a burst to cut out.
        tried: end of the samples of a header whose decoding failed before the impulses in it were known.
    """

    ready: int
    stage: int
    place: int
    profile: int
    what: Candidate | Synchronization | None = field(default=None, compare=False)
    header: BurstHeader | None = field(default=None, compare=False)
    tried: int | None = field(default=None, compare=False)


class BurstSearcher:
    """Search for bursts in a stream given in pieces of any size.

    The search continues during a burst, so a burst that overlaps another, or is announced by a false header, hides no
    other burst.

    Args:
        profiles: names of the profiles to search for; empty for all.
    """

    MARGIN = 64
    """Samples kept before a burst's preamble."""

    def __init__(self, profiles: Sequence[str] = ()):
        self._profiles = [profile(name) for name in (profiles or profile_names())]
        self._spacings = np.array([each.long_spacing for each in self._profiles])
        longest = max(longest_burst(each) for each in self._profiles)
        preamble = max(each.preamble_length for each in self._profiles)
        self._reach = longest + preamble + 4 * self.MARGIN
        self._buffer = np.zeros(2 * self._reach + 2 * CHUNK, np.complex64)
        self.counters = SearchCounters()
        self.last_error = ""
        """Error of the last complete header that was invalid."""
        self.reset()

    def reset(self, position: int = 0) -> None:
        """Reset the search to a stream that continues at sample `position`; counters are kept."""
        self._detectors = [ShortTrainingDetector(each) for each in self._profiles]
        self._long_detectors = [LongTrainingDetector(each) for each in self._profiles]
        self._used = HISTORY  # zeros before the first sample
        self._buffer[: self._used] = 0
        self._origin = position - HISTORY
        self._scanned = position
        self._measured = position
        self._mean = np.zeros(9)
        self._impulses = ImpulseFinder()
        self._blanks = np.zeros((2, 0), np.int64)
        self._predictor = TonePredictor()
        self._factors = np.zeros(LONGEST_LAG // BLOCK, np.complex64)
        self._levels = np.full(
            2 * RISE_BLOCKS, np.inf
        )  # the signal at the start of the stream does not count as a rise
        self._rate_offset = 0.0
        self._next_rise = self._next_search = self._next_suspect = position
        self._steps: list[Step] = []
        self._recent: list[Synchronization] = []
        self._decoded: list[Synchronization] = []

    def push(self, samples: np.ndarray) -> list[FoundBurst]:
        """Process the next samples of the stream, complex (n,), and return the bursts that end within them."""
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
        """Index in the stream after the last sample present."""
        return self._origin + self._used

    def _make_room(self, count: int) -> None:
        if self._used + count > len(self._buffer):
            drop = self._used - self._reach
            self._buffer[: self._reach] = self._buffer[drop : self._used]
            self._origin += drop
            self._used = self._reach
            self._blanks = self._blanks[:, self._blanks[0] >= self._origin]

    def _view(self, first: int, stop: int, known: int) -> np.ndarray:
        """Return samples without the impulses known when the stream has reached `known`; possibly a view of the
        buffer."""
        view = self._buffer[first - self._origin : stop - self._origin]
        if self._blanks.size:
            places, known_at = self._blanks
            inside = places[(places >= first) & (places < stop) & (known_at <= known)]
            if inside.size:
                view = view.copy()
                view[inside - first] = 0
        return view

    def _find_rises(self, energies: np.ndarray) -> None:
        """Note the start of signals: without a preamble there, it may be one in another form (`hints`)."""
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
        """Tell whether impulses within these samples have become known since the stream reached `known`."""
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
        # The first path may precede the strongest.
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
            # Require two consecutive ones that agree: in noise, one of many may show anything.
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
        """Return a burst's samples without tones, and the number of tones. The short training, a line spectrum itself,
        is not used to find them."""
        return excise(self._view(first, stop, known), sync.long_start - sync.profile.long_guard, BURST_TONE_DB)

    def _local(self, sync: Synchronization) -> tuple[int, Synchronization]:
        """Return the first sample to pass on for a burst, and its synchronization relative to it."""
        first = max(sync.long_start - sync.profile.long_start - self.MARGIN, self._origin)
        return first, Synchronization(sync.profile, sync.long_start - first, sync.frequency, sync.metric)

    def _queue(
        self, stage: int, ready: int, step: Step, sync: Synchronization, header: BurstHeader | None = None
    ) -> None:
        """Queue a step; if there are too many of its stage, drop the oldest."""
        pending = [other for other in self._steps if other.stage == stage]
        if len(pending) >= MAX_PENDING:
            self.counters.dropped += 1
            self._steps.remove(min(pending, key=lambda other: other.place))
            heapq.heapify(self._steps)
        heapq.heappush(self._steps, Step(max(ready, step.ready), stage, sync.long_start, step.profile, sync, header))


@cache
def compile_search() -> None:
    """Compile the search by running it on a stream with a tone, impulses and a preamble of inverted spectrum:
    compilation on first use would stall a radio's samples."""
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
    """Tell whether a candidate of the long detector is the shorter preamble of a burst with a decoded header."""
    end = known.long_start - known.profile.long_guard
    return known.profile.window < sought.window and candidate.end - sought.window < end <= candidate.end + BLOCK


def _overlaps(known: Synchronization, long_start: int, sought: Profile) -> bool:
    """Tell whether a known preamble overlaps the long training that begins at `long_start`."""
    first = known.long_start - known.profile.long_start
    stop = long_start + sought.preamble_length - sought.long_start
    return first < stop and long_start < first + known.profile.preamble_length


def _is_edge(candidate: Candidate, long_start: int, known: Synchronization) -> bool:
    """Tell whether a candidate is the edge of a known preamble: a long training there would be its sidelobe."""
    near = abs(long_start - known.long_start) < known.profile.preamble_length
    return near and not candidate.tonal and candidate.metric < SIDELOBE * known.metric


def _is_sidelobe(sync: Synchronization, known: Synchronization) -> bool:
    """Tell whether a preamble is merely a sidelobe, in the detector, of a known one."""
    apart = sync.long_start - known.long_start
    span = known.profile.preamble_length
    return abs(apart) < SAME_PREAMBLE or (abs(apart) < span and sync.metric < SIDELOBE * known.metric)


@kernel
def _clean(samples, out, state, energies, largest, share):
    """Copy samples minus their running mean, which is constant over a block; return the number of invalid ones and the
    number of completed blocks, whose energies are filled in.

    state: real and imaginary part of the mean; usual magnitude of the result, which limits the influence of samples;
        and, for the block in progress, its number of samples, their energy, the sums of their limited components and
        magnitudes, and their largest magnitude.
    """
    bad = blocks = i = 0
    real, imag, usual = state[0], state[1], state[2]
    inside, energy, sum_real, sum_imag, sum_size, most = int(state[3]), state[4], state[5], state[6], state[7], state[8]
    while i < samples.shape[0]:
        stop = min(i + BLOCK - inside, samples.shape[0])
        # Nothing is known of the first non-zero samples: they move the mean without limit.
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
