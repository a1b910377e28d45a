from collections.abc import Mapping, Sequence

import numpy as np
import pmt

from tokcom import keys
from tokcom.errors import LockedError, ParameterError, RejectedError
from tokcom.link.bursts import compile_kernels
from tokcom.link.receiver import Receiver
from tokcom.packets.header import BurstHeader
from tokcom.phy.found_burst import FoundBurst
from tokcom.phy.profile import profile
from tokcom.phy.synchronization import Synchronization
from tokcom.security.keyring import Keyring

from ._burst_keys import header_keys, header_of
from ._pdu import make_pdu, required, vector_of
from ._pdu_block import PduBlock


class burst_demodulator(PduBlock):
    """Demodulate a burst: frequency, timing, channel and noise from its preamble and header, phase and clock drift
    tracked through all of it, and a log-likelihood ratio for each coded bit. The header is taken from the metadata if
    present, else it is decoded.

    Input: message port "bursts", PDUs of c32 samples from burst_sync.
    Output: message port "llrs", PDUs of f32 LLRs, one packet after the other, positive where the bit is likelier 1,
    with what the header says and esn0_db, cfo, clock_offset_ppm, evm_db, carrier_esn0_db, misfit, gap_samples where
    samples are missing, and queued.demodulator and dropped.demodulator (bursts that wait and that were dropped so far).
    Message port "cqi": what was measured, without LLRs and misfit, of bursts that the keys open. Message port
    "symbols": PDUs of c32 symbols of all packets, equalised, with the same metadata: for a QT GUI Constellation Sink.

    Parameters:
        queue_size: largest number of bursts waiting at the input, at least 1; beyond it the oldest are dropped, logged
            and counted.
        keys: files of the keys of encrypted bursts, as a list or separated by commas, as in Packet Decoder: packets
            decrypted with them help to demodulate the others.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bursts", "llrs", "complex64", "demodulator"
    CQI, SYMBOLS = pmt.intern("cqi"), pmt.intern("symbols")

    def __init__(self, queue_size: int = 256, keys: str | Sequence[str] = ""):
        PduBlock.__init__(self, "Burst Demodulator", queue_size)
        if queue_size < 1:
            raise ParameterError(f"queue_size is {queue_size}; it must be at least 1")
        compile_kernels()
        self._receiver = Receiver(keys=Keyring.of_files(keys))
        self.message_port_register_out(self.CQI)
        self.message_port_register_out(self.SYMBOLS)

    @property
    def bursts_dropped(self) -> int:
        """Number of bursts dropped because the queue was full."""
        return self.inputs_dropped

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
        if quality.gap_samples:
            added[keys.GAP_SAMPLES] = quality.gap_samples
        if header is None:
            added |= header_keys(burst.header)
        if self.is_connected(self.CQI) and self._believed(burst.header):
            self.message_port_pub(self.CQI, make_pdu(self._received, added, np.zeros(0, np.uint8)))
        if self.is_connected(self.SYMBOLS):
            self.message_port_pub(self.SYMBOLS, make_pdu(self._received, added, burst.symbols))
        return added | {keys.MISFIT: vector_of(self._receiver.misfit(burst))}, self._receiver.demap(burst)

    def _believed(self, header: BurstHeader) -> bool:
        """Whether a transmitter may be guided by a burst: not by one that anybody may have sent."""
        try:
            self._receiver.opened(header)
        except (LockedError, RejectedError):
            return False
        return True
