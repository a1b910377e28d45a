import math

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.link.bursts import compile_kernels
from tokcom.phy.found_burst import FoundBurst
from tokcom.phy.hints import REMEDIES
from tokcom.phy.search_counters import SearchCounters
from tokcom.phy.searcher import BurstSearcher, compile_search
from tokcom.phy.stream_clock import StreamClock, stamp_of

from ._burst_keys import header_keys
from ._pdu import make_pdu
from ._pdu_block import reason


class burst_sync(gr.sync_block):
    """Find bursts in a stream of samples and cut each out whole.

    A preamble is found by its repetition, its timing and frequency by its long training symbols; the header then gives
    the length of the burst. Memory is constant. Overlapping bursts are all passed on. Tones and impulses are removed
    first. Causes of failed reception (an inverted spectrum, another sample rate, clipping, headers of another version
    or with unknown mandatory elements, missing samples) are logged the first time and whenever their count has doubled.

    Input: complex samples. If an rx_time tag shows that samples are missing, as after a radio's overflow, the gap is
        counted, and a burst is demodulated across it. The search restarts at a new rx_rate, at an rx_time tag that goes
        back, and at the first rx_time tag if samples came before it.
    Output: message port "bursts", PDUs of c32 samples, one burst each, with profile, long_start, cfo, sync_metric,
    burst_start, burst_length and clipped; rx_time if known from tags; tones if some were removed; and the fields of the
    header: frame_id, stream_id, grid, mcs, cmi … Message port "hints": one PDU with the key hint per line of the log,
        for Image View and Link Monitor ("counters").

    Parameters:
        profile: "any", "standard" or "robust": the bursts to find.
    """

    HINTS = pmt.intern("hints")
    BURSTS, RX_TIME, RX_RATE = pmt.intern("bursts"), pmt.intern("rx_time"), pmt.intern("rx_rate")

    def __init__(self, profile: str = "any"):
        gr.sync_block.__init__(self, name="Burst Sync", in_sig=[np.complex64], out_sig=None)
        compile_kernels()
        compile_search()
        self._searcher = BurstSearcher(() if profile == "any" else (profile,))
        self._clock = StreamClock()
        self._reported: dict[str, int] = {}
        self._begun = False
        self.discontinuities = self.samples_missing = self.tags_refused = 0
        self.message_port_register_out(self.BURSTS)
        self.message_port_register_out(self.HINTS)

    @property
    def counters(self) -> SearchCounters:
        """Counters of events in the stream."""
        return self._searcher.counters

    def start(self) -> bool:
        self._clock.reset()
        self._begun = False
        return True

    def stop(self) -> bool:
        self.logger.info(str(self.counters))
        return True

    def work(self, input_items: list, output_items: list) -> int:
        samples = input_items[0]
        first = self.nitems_read(0)
        if not self._begun:
            # After a restart, or while the flowgraph was locked, samples may have been lost.
            self._searcher.reset(position=first)
            self._begun = True
        done = 0
        tags = self.get_tags_in_window(0, 0, len(samples))
        for offset in sorted({tag.offset for tag in tags}):
            here = [tag for tag in tags if tag.offset == offset]
            # The rate first: it is needed to check the time.
            stamps = [tag for key in (self.RX_RATE, self.RX_TIME) for tag in here if pmt.eq(tag.key, key)]
            if not stamps:
                continue
            # Bursts up to here use the earlier stamps.
            self._search(samples[done : offset - first], offset)
            done = offset - first
            if any([self._begins_anew(tag) for tag in stamps]):
                self._searcher.reset(position=int(offset))
                self.discontinuities += 1
        self._search(samples[done:], first + len(samples))
        return len(samples)

    def _begins_anew(self, tag: object) -> bool:
        """Process a tag; return whether a new stream begins after it. Missing samples do not begin one: a burst is
        demodulated across the gap."""
        try:
            value = pmt.to_python(tag.value)
            if pmt.eq(tag.key, self.RX_RATE):
                return self._clock.set_rate(float(value))
            missing = self._clock.stamp(stamp_of(tag.offset, value))
        except Exception as error:
            # Tags help, but reception does not depend on them.
            self.tags_refused += 1
            self._report("tag", self.tags_refused, f"a tag cannot be used: {reason(error)}")
            return False
        if math.isnan(missing):
            return tag.offset > 0
        if missing > 0:
            self.samples_missing += round(missing)
            self.discontinuities += 1
            self._report("gap", self.discontinuities, f"gap of {round(missing)} samples before {tag.offset}")
        elif missing < 0:
            self._report("clock", self.discontinuities + 1, f"the radio's clock goes back at sample {tag.offset}")
        return missing < 0

    def _report(self, kind: str, count: int, text: str) -> None:
        """Log events of a kind: the first one, and whenever their number has doubled."""
        if count >= max(1, 2 * self._reported.get(kind, 0)):
            self._reported[kind] = count
            self.logger.warn(f"{text} ({count} so far)")
            self.message_port_pub(self.HINTS, make_pdu(pmt.make_dict(), {keys.HINT: text}, np.zeros(0, np.uint8)))

    def _report_search(self) -> None:
        for kind in ("version", "element", "contents"):
            self._report(
                kind, self.counters.headers_failed[kind], f"burst skipped for its {kind}: {self._searcher.last_error}"
            )
        for hint, count in self.counters.hints.items():
            self._report(hint, count, REMEDIES[hint])

    def _search(self, samples: np.ndarray, end: int) -> None:
        try:
            found = self._searcher.push(samples)
        except Exception as error:
            # Nothing in a stream may stop the reception of later bursts.
            self.logger.error(f"search restarted: {reason(error)}")
            self._searcher.reset(end)
            return
        self._report_search()
        for burst in found:
            self.message_port_pub(self.BURSTS, make_pdu(pmt.make_dict(), self._meta(burst), burst.samples))

    def _meta(self, burst: FoundBurst) -> dict:
        meta = {
            keys.PROFILE: burst.sync.profile.name,
            keys.LONG_START: burst.sync.long_start,
            keys.CFO: burst.sync.frequency,
            keys.SYNC_METRIC: burst.sync.metric,
            keys.BURST_START: burst.position,
            keys.BURST_LENGTH: burst.length,
            keys.CLIPPED: burst.clipped,
        }
        if burst.tones:
            meta[keys.TONES] = burst.tones
        time = self._clock.time_of(burst.position)
        if time is not None:
            meta[keys.RX_TIME] = time
        return meta | header_keys(burst.header)
