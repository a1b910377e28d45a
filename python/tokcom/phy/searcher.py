"""Search for bursts in an unbounded stream of samples, each cut out whole, in constant memory."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from tokcom.errors import HeaderError
from tokcom.packets.header import BurstHeader
from tokcom.phy.burst import longest_burst
from tokcom.phy.demodulator import burst_end, header_end, receive_header
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
from tokcom.phy.found_burst import FoundBurst
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
from tokcom.phy.impulses import AHEAD
from tokcom.phy.narrowband import LAG, LEFT_OVER, TonePredictor, excise, find_tones, unforeseen, without_tones
from tokcom.phy.numerology import SHORT_PERIOD
from tokcom.phy.preambles import explains, is_edge, is_sidelobe, overlaps
from tokcom.phy.profile import profile, profile_names
from tokcom.phy.recent_samples import CHUNK, LONGEST_LAG, RecentSamples
from tokcom.phy.search_counters import SearchCounters
from tokcom.phy.synchronization import Synchronization

MAX_PENDING = 16
"""Largest number of bursts under way at a time; more are counted and dropped."""
DELAY = (AHEAD + 1) * BLOCK
"""Delay of the detector in samples, needed to tell impulses from bursts."""
SEEK_TONE_DB, BURST_TONE_DB = 10.0, 13.0
"""Power of a line relative to its neighbours from which it counts as a tone: in a few hundred samples where the
detector saw one, and in a burst."""
LONG_SHARE, REPEATED_SHARE = 0.2, 0.3
"""Smallest metric of a long training, which measures a single path, relative to that of its short training and of its
own repetition."""
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
        self._samples = RecentSamples(longest + preamble + 4 * self.MARGIN)
        self.counters = SearchCounters()
        self.last_error = ""
        """Error of the last complete header that was invalid."""
        self.reset()

    def reset(self, position: int = 0) -> None:
        """Reset the search to a stream that continues at sample `position`; counters are kept."""
        self._detectors = [ShortTrainingDetector(each) for each in self._profiles]
        self._long_detectors = [LongTrainingDetector(each) for each in self._profiles]
        self._samples.reset(position)
        self._scanned = position
        self._predictor = TonePredictor()
        self._factors = np.zeros(LONGEST_LAG // BLOCK, np.complex64)
        # The signal at the start of the stream does not count as a rise.
        self._levels = np.full(2 * RISE_BLOCKS, np.inf)
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
        bad, energies = self._samples.push(samples)
        self.counters.samples += len(samples)
        self.counters.bad_samples += bad
        self._find_rises(energies)
        self.counters.blanked_samples += self._samples.find_impulses(energies)
        self._scan()
        found = []
        while self._steps and self._steps[0].ready <= self._samples.end:
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

    def _find_rises(self, energies: np.ndarray) -> None:
        """Note the start of signals: without a preamble there, it may be one in another form (`hints`)."""
        levels = np.concatenate([self._levels, energies])
        origin = self._samples.measured - len(self._levels) * BLOCK
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
        first = max(step.place - self.MARGIN, self._samples.origin)
        stop = step.place + SUSPECT_SPAN
        if step.place < self._next_search or any(first <= known.long_start < stop for known in self._recent):
            return
        self._next_search = step.place + SUSPECT_PAUSE
        hint = what_is_wrong(self._samples.view(first, stop, step.ready), self._profiles)
        if hint:
            self._note(hint)

    def _note(self, hint: str) -> None:
        self.counters.hints[hint] = self.counters.hints.get(hint, 0) + 1

    def _scan(self) -> None:
        stop = self._samples.measured - DELAY
        if stop <= self._scanned:
            return
        samples = self._samples.view(self._scanned - LONGEST_LAG, stop, stop + DELAY)
        sums = block_sums(samples[LONGEST_LAG - SHORT_PERIOD :])
        factors = self._predictor.push(sums)
        both = np.concatenate([self._factors, factors])
        sums[3] = 0
        if both.any():
            tonal = factors != 0
            whole = sums[2]
            samples = unforeseen(self._samples.view(self._scanned - LONGEST_LAG - LAG, stop, stop + DELAY), both, BLOCK)
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
        if short and any(explains(known, step.what, each) for known in self._decoded):
            return
        middle = (first + stop - each.preamble_length + each.long_start) // 2
        if short and any(is_edge(step.what, middle, known) for known in self._recent):
            return
        least = (LONG_SHARE if short else REPEATED_SHARE) * step.what.metric
        if not short and any(known.metric > least and overlaps(known, middle, each) for known in self._recent):
            return
        first = max(first, self._samples.origin)
        # The first path may precede the strongest.
        back = min(self.MARGIN, first - self._samples.origin)
        samples = self._samples.view(first - back, stop, step.ready)
        if step.what.tonal:
            samples = without_tones(samples, find_tones(samples, SEEK_TONE_DB))
        sync = long_training(samples, back, each, step.what.frequency, least, step.what.lag)
        if sync is None:
            if short and step.what.metric > STRONG and not step.what.tonal and step.place >= self._next_suspect:
                self._next_suspect = step.place + SUSPECT_SPAN
                self._suspect(step.place - each.window)
            return
        absolute = Synchronization(each, first - back + sync.long_start, sync.frequency, sync.metric)
        if any(is_sidelobe(absolute, known) for known in self._recent):
            return
        near = [known for known in self._recent[-MAX_PENDING:] if abs(known.long_start - absolute.long_start) < RECALL]
        self._recent = [*near, absolute]
        self.counters.preambles += 1
        self._queue(DECODE, header_end(absolute), step, absolute)

    def _decode_header(self, step: Step) -> None:
        sync, stop = step.what, step.tried or step.ready
        first, local = self._local(sync)
        if step.tried and not self._samples.impulses_within(first, stop, step.ready):
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
            before, self._rate_offset = self._rate_offset, rate_offset(self._samples.view(first, stop, known), sync)
            # Require two consecutive ones that agree: in noise, one of many may show anything.
            least, most = sorted((self._rate_offset, before), key=abs)
            if LARGEST_RATE_OFFSET < abs(least) and abs(most - least) < 0.2 * abs(most):
                self._note(FASTER if most > 0 else SLOWER)

    def _cut_out(self, step: Step) -> FoundBurst:
        sync = step.what
        first, local = self._local(sync)
        samples, tones = self._without_tones(first, step.ready, step.ready, local)
        position = sync.long_start + BACKOFF - sync.profile.long_start
        clipped = clipped_share(self._samples.view(max(position, self._samples.origin), step.ready))
        if clipped > CLIPPED_SHARE:
            self._note(CLIPPED)
        return FoundBurst(samples.copy(), local, position, step.header, tones, clipped)

    def _without_tones(self, first: int, stop: int, known: int, sync: Synchronization) -> tuple[np.ndarray, int]:
        """Return a burst's samples without tones, and the number of tones. The short training, a line spectrum itself,
        is not used to find them."""
        return excise(self._samples.view(first, stop, known), sync.long_start - sync.profile.long_guard, BURST_TONE_DB)

    def _local(self, sync: Synchronization) -> tuple[int, Synchronization]:
        """Return the first sample to pass on for a burst, and its synchronization relative to it."""
        first = max(sync.long_start - sync.profile.long_start - self.MARGIN, self._samples.origin)
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
