import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.multiple_access.searcher import MultiUserSearcher

from ._pdu import make_pdu
from ._pdu_block import reason


class multiuser_sync(gr.sync_block):
    """Find bursts that several transmitters send at once, and cut each out whole.

    A burst is found by its training, which each transmitter repeats on carriers of its own. Memory is constant. A burst
    is handed on once 400 samples behind it have come.

    Input: complex samples.
    Output: message port "bursts", PDUs of c32 samples, one burst each with 64 samples on either side, with burst_start,
    burst_length, long_start, cfo and sync_metric.

    Parameters:
        length: carriers of a token, 2 to 64.
        n_tokens: tokens of a frame, 1 to 4096.
        codebook_size: modulation vectors, 2 to 4096.
    """

    BURSTS = pmt.intern("bursts")

    def __init__(self, length: int = 12, n_tokens: int = 256, codebook_size: int = 1024):
        gr.sync_block.__init__(self, name="Multiuser Sync", in_sig=[np.complex64], out_sig=None)
        self._plan = MultiUserPlan(ModulationCodebook(codebook_size, length), n_tokens)
        self._searcher = MultiUserSearcher(self._plan)
        self._begun = False
        self.bursts_found = 0
        self.message_port_register_out(self.BURSTS)

    def start(self) -> bool:
        self._begun = False
        return True

    def work(self, input_items: list, output_items: list) -> int:
        samples = input_items[0]
        if not self._begun:
            # After a restart, samples may have been lost.
            self._searcher.reset(self.nitems_read(0))
            self._begun = True
        try:
            found = self._searcher.push(samples)
        except Exception as error:
            # Nothing in a stream may stop the reception of later bursts.
            self.logger.error(f"search begun again: {reason(error)}")
            self._searcher.reset(self.nitems_read(0) + len(samples))
            return len(samples)
        for burst in found:
            self.bursts_found += 1
            meta = {
                keys.BURST_START: burst.position,
                keys.BURST_LENGTH: self._plan.length,
                keys.LONG_START: burst.start,
                keys.CFO: burst.frequency,
                keys.SYNC_METRIC: burst.metric,
            }
            self.message_port_pub(self.BURSTS, make_pdu(pmt.make_dict(), meta, burst.samples))
        return len(samples)
