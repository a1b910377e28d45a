import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.link.bursts import compile_kernels
from tokcom.phy.searcher import BurstSearcher, SearchCounters

from ._pdu import header_keys, make_pdu, reason


class burst_sync(gr.sync_block):
    """Find bursts in a stream of samples and cut each out whole.

    A preamble is found by its repetition, its timing and frequency by its long training symbols; the header then tells
    how long the burst is. Memory is constant. Bursts that overlap are all handed on.

    Input: complex samples. An rx_time tag after the first sample, as a radio sends it after an overflow, begins the
    search anew.
    Output: message port "bursts", PDUs of c32 samples, one burst each, with profile, long_start, cfo, sync_metric,
    burst_start and burst_length, and what the header says: frame_id, stream_id, grid, mcs, cmi …

    Parameters:
        profile: "any", "standard" or "robust": the bursts to find.
    """

    BURSTS, RX_TIME = pmt.intern("bursts"), pmt.intern("rx_time")

    def __init__(self, profile: str = "any"):
        gr.sync_block.__init__(self, name="Burst Sync", in_sig=[np.complex64], out_sig=None)
        compile_kernels()
        self._searcher = BurstSearcher(() if profile == "any" else (profile,))
        self._reported = {"version": 0, "contents": 0}
        self.discontinuities = 0
        self.message_port_register_out(self.BURSTS)

    @property
    def counters(self) -> SearchCounters:
        """What has happened in the stream."""
        return self._searcher.counters

    def start(self) -> bool:
        self._searcher.reset()
        return True

    def stop(self) -> bool:
        self.logger.info(str(self.counters))
        return True

    def work(self, input_items: list, output_items: list) -> int:
        samples = input_items[0]
        read = self.nitems_read(0)
        done = 0
        for tag in self.get_tags_in_window(0, 0, len(samples), self.RX_TIME):
            if tag.offset > 0:
                self._search(samples[done : tag.offset - read], tag.offset)
                done = tag.offset - read
                self._searcher.reset(position=int(tag.offset))
                self.discontinuities += 1
        self._search(samples[done:], read + len(samples))
        return len(samples)

    def _report(self) -> None:
        """Log headers that came whole and cannot be used: the first, and each time that they have doubled."""
        for kind in ("version", "contents"):
            count = self.counters.headers_failed[kind]
            if count >= max(1, 2 * self._reported[kind]):
                self._reported[kind] = count
                self.logger.warn(f"burst skipped ({count} for its {kind} so far): {self._searcher.last_error}")

    def _search(self, samples: np.ndarray, end: int) -> None:
        try:
            found = self._searcher.push(samples)
        except Exception as error:
            # Nothing in a stream may end the reception of what follows.
            self.logger.error(f"search begun anew: {reason(error)}")
            self._searcher.reset(end)
            return
        self._report()
        for burst in found:
            meta = {
                keys.PROFILE: burst.sync.profile.name,
                keys.LONG_START: burst.sync.long_start,
                keys.CFO: burst.sync.frequency,
                keys.SYNC_METRIC: burst.sync.metric,
                keys.BURST_START: burst.position,
                keys.BURST_LENGTH: burst.length,
            }
            meta |= header_keys(burst.header)
            self.message_port_pub(self.BURSTS, make_pdu(pmt.make_dict(), meta, burst.samples))
