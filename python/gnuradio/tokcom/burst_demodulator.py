from collections.abc import Mapping

import numpy as np
import pmt

from tokcom import keys
from tokcom.link.bursts import Receiver
from tokcom.phy.demodulator import Synchronization
from tokcom.phy.profile import profile
from tokcom.phy.searcher import FoundBurst

from ._pdu import PduBlock, header_keys, header_of, make_pdu, required, vector_of


class burst_demodulator(PduBlock):
    """Demodulate a burst: frequency, timing, channel and noise from its preamble and header, phase and clock drift
    followed through all of it, and a log-likelihood ratio for each coded bit. Where the metadata
    tells the header, that is believed; else it is decoded.

    Input: message port "bursts", PDUs of c32 samples from burst_sync.
    Output: message port "llrs", PDUs of f32 LLRs, one packet after the other, positive where the bit is likelier 1,
    with what the header says and esn0_db, cfo, clock_offset_ppm, evm_db, carrier_esn0_db. Message port "cqi": the same
    metadata, without LLRs.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bursts", "llrs", "complex64", "demodulator"
    CQI = pmt.intern("cqi")

    def __init__(self):
        PduBlock.__init__(self, "Burst Demodulator")
        self._receiver = Receiver()
        self.message_port_register_out(self.CQI)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        sync = Synchronization(
            profile(required(meta, keys.PROFILE, str)),
            required(meta, keys.LONG_START, int),
            required(meta, keys.CFO, float),
            required(meta, keys.SYNC_METRIC, float),
        )
        header = header_of(meta) if keys.LAYOUT_SEED in meta else None
        burst = self._receiver.demodulate(FoundBurst(data, sync, 0, header))
        quality = burst.quality
        added = {
            keys.ESN0_DB: quality.esn0_db,
            keys.CFO: quality.cfo,
            keys.CLOCK_OFFSET_PPM: quality.clock_offset_ppm,
            keys.EVM_DB: quality.evm_db,
            keys.SYNC_METRIC: quality.sync_metric,
            keys.CARRIER_ESN0_DB: vector_of(quality.carrier_esn0_db),
        }
        if header is None:
            added |= header_keys(burst.header)
        self.message_port_pub(self.CQI, make_pdu(self._received, added, np.zeros(0, np.uint8)))
        return added, self._receiver.demap(burst)
