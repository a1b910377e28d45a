"""Block with one PDU in and one out: refusal of bad PDUs, queue, timing."""

import time
from collections import Counter

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import TokcomError
from tokcom.frame import Payload

from ._pdu import Metadata, make_pdu, open_pdu


class PduBlock(gr.basic_block):
    """Block with one PDU in, one library call, one PDU out.

    A subclass names its ports and element kind (None for any kind, without content) and implements `process`, during
    which `_received` is the PDU's metadata. If FORWARDS is set, the metadata is forwarded with the added keys.
    Exceptions are logged and counted in `frames_refused`, and the block continues with the next frame.

    Parameters:
        name: name of the block in GNU Radio.
        queue_size: largest number of PDUs waiting at the input; beyond it the oldest are dropped, logged and counted in
            `inputs_dropped`, and both numbers are in the metadata. 0 for no limit.
    """

    INPUT: str
    OUTPUT: str
    INPUT_KIND: str | None
    STAGE: str
    FORWARDS = True

    def __init__(self, name: str, queue_size: int = 0):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self.frames_refused = self.inputs_dropped = 0
        self._queue_size = queue_size
        self._received = pmt.make_dict()
        self._input, self._output = pmt.intern(self.INPUT), pmt.intern(self.OUTPUT)
        self.message_port_register_in(self._input)
        self.message_port_register_out(self._output)
        self.set_msg_handler(self._input, self._on_pdu)

    def process(self, meta: "Metadata", data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        """Process a PDU: return keys to add to the metadata (or, with value None, to remove) and the new content; None
        to send nothing (now)."""
        raise NotImplementedError

    def _on_pdu(self, pdu: object) -> None:
        started = time.perf_counter()
        if self._queue_size and self.counters()[0] >= self._queue_size:
            self.count_drop(self._queue_size, "oldest")
            return
        try:
            meta, data = open_pdu(pdu, self.INPUT_KIND)
            self._received = pmt.car(pdu)
            result = self.process(meta, data)
            if result is not None:
                self._publish(self._received, *result, time.perf_counter() - started)
        except Exception as error:
            self.refuse(error)

    def _publish(self, received: object, added: dict, out: np.ndarray, seconds: float) -> None:
        """Send the result of a PDU."""
        added = {**added, keys.SECONDS + self.STAGE: seconds}
        counters = self.counters()
        if counters is not None:
            added |= {keys.QUEUED + self.STAGE: counters[0], keys.DROPPED + self.STAGE: counters[1]}
        meta = received if self.FORWARDS else pmt.make_dict()
        self.message_port_pub(self._output, make_pdu(meta, added, out))

    def counters(self) -> tuple[int, int] | None:
        """Return the numbers of PDUs waiting and dropped so far; None without a limit."""
        return (self.to_basic_block().nmsgs(self._input), self.inputs_dropped) if self._queue_size else None

    def is_connected(self, port: object) -> bool:
        """Tell whether an output is connected, so that PDUs for unconnected ones need not be made."""
        return not pmt.is_null(self.to_basic_block().message_subscribers(port))

    def count_drop(self, size: int, which: str) -> None:
        """Count and log a PDU dropped because the queue was full."""
        self.inputs_dropped += 1
        # Log whenever their number has doubled: logging each would cost more time than processing them.
        if self.inputs_dropped.bit_count() == 1:
            said = f"queue of {size} {self.INPUT} is full: the {which} dropped ({self.inputs_dropped} so far)"
            self.logger.warn(said)

    def refuse(self, error: Exception) -> None:
        """Log and count a frame that cannot be processed."""
        self.frames_refused += 1
        self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")


class Unknown:
    """Counts frames whose codebook, or key, a block does not have, or that it does not believe, and tells of each kind
    the first time.

    Parameters:
        block: what counts them.
        counter: its attribute: `frames_unknown`, by the codebook's name; `frames_locked`, by the key's id; or
            `frames_rejected`, by `RejectedError.kind`.
    """

    def __init__(self, block: PduBlock, counter: str = "frames_unknown"):
        self._block, self._counts = block, Counter()
        setattr(block, counter, self._counts)

    def count(self, lacking: str | int, said: str) -> None:
        """Count a frame; log `said` if it is the first with this codebook or key."""
        self._counts[lacking] += 1
        if self._counts[lacking] == 1:
            self._block.logger.warn(said)

    def count_frame(self, frame: Payload, known: str, fate: str) -> None:
        """Count a frame whose codebook is not among `known`; log its `fate` if it is the first with this codebook."""
        self.count(
            frame.codebook,
            f"frame {frame.frame_id} has codebook {frame.codebook}; the models here have {known}: such frames are "
            f"{fate}",
        )


def reason(error: Exception) -> str:
    """Format the reason of a refusal; unexpected exceptions include their type."""
    return str(error) if isinstance(error, TokcomError) else f"{type(error).__name__}: {error}"
