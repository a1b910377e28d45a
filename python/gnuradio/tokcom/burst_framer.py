import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.link.bursts import TransmitConfig, Transmitter, compile_kernels

from ._pdu import labels_of, make_pdu, mcs_of, open_pdu, outline_of, reason, required
from ._queue import BoundedQueue


class burst_framer(gr.sync_block):
    """Turn packets into bursts of samples: preamble, header, packets, and silence behind.

    Each burst starts with the tag of its length, or lies between tx_sob and tx_eob; tx_time, where the metadata has it,
    becomes a tag, too; power_db, where it has that, makes the burst so much stronger. Between bursts the stream waits,
    or is silent where it is to go on.

    Input: message port "symbols", PDUs of c32 symbols, one packet after the other.
    Output: complex samples. Message port "sent": the metadata of each burst as it goes out, with papr_db,
    airtime_samples, queued.framer and dropped.framer (bursts that wait and that were dropped so far) added.

    Parameters:
        amplitude: root mean square of a burst's samples, above 0; peaks are about 10 dB higher and should stay below 1
            for a radio.
        profile: "standard", or "robust" with a longer preamble and a header sent three times, for use below 0 dB.
        stream_id: of several transmitters on one channel, 0 to 63, the same as in Packet Encoder.
        padding: samples of silence behind each burst, at least 0; 200 or more carry its end through filters.
        length_tag: name of the tag that holds a burst's length with its padding; empty: tx_sob and tx_eob instead.
        continuous: send silence between bursts, as fast as the blocks behind take it; not for a radio.
        queue_size: bursts that may wait, at least 1.
        drop: "oldest" or "newest": which burst is dropped, logged and counted when the queue is full.
    """

    SENT, SYMBOLS, SYSTEM = pmt.intern("sent"), pmt.intern("symbols"), pmt.intern("system")
    END, STAGE = pmt.intern("end of run"), "framer"

    def __init__(
        self, amplitude: float = 0.25, profile: str = "standard", stream_id: int = 0, padding: int = 256,
        length_tag: str = "packet_len", continuous: bool = False, queue_size: int = 64, drop: str = "oldest",
    ):  # fmt: skip
        gr.sync_block.__init__(self, name="Burst Framer", in_sig=None, out_sig=[np.complex64])
        if padding < 0:
            raise ParameterError(f"padding is {padding}; it must be at least 0 samples")
        self.set_amplitude(amplitude)
        compile_kernels()
        self._transmitter = Transmitter(TransmitConfig(profile=profile, stream_id=stream_id))
        self._profile, self._padding, self._length_tag = profile, padding, length_tag
        self._continuous, self._queue = continuous, BoundedQueue(queue_size, drop)
        self._burst, self._done = np.zeros(0, np.complex64), 0
        self._ending = False
        self.bursts_sent = self.bursts_dropped = self.frames_refused = 0
        self.message_port_register_in(self.SYMBOLS)
        self.message_port_register_out(self.SENT)
        self.set_msg_handler(self.SYMBOLS, self._on_symbols)
        self.set_msg_handler(self.SYSTEM, self._on_system)

    def set_amplitude(self, amplitude: float) -> None:
        if not 0 < amplitude < 1e6:
            raise ParameterError(f"amplitude is {amplitude}; it must be above 0")
        self._amplitude = np.float32(amplitude)

    def start(self) -> bool:
        self._ending = False
        return True

    def stop(self) -> bool:
        if self._queue:
            self.bursts_dropped += len(self._queue)
            self.logger.warn(f"stopped: {len(self._queue)} bursts dropped ({self.bursts_dropped} so far)")
            self._queue.clear()
        return True

    def _on_system(self, message: object) -> None:
        """The end is announced: it takes its place behind the bursts that wait at the input port."""
        self.to_basic_block()._post(self.SYMBOLS, self.END)

    def _on_symbols(self, pdu: object) -> None:
        if pmt.eq(pdu, self.END):
            self._ending = True
            return
        try:
            meta, symbols = open_pdu(pdu, "complex64")
            seed, per_packet = required(meta, keys.LAYOUT_SEED, int), required(meta, keys.TOKENS_PER_PACKET, int)
            header = self._transmitter.header(outline_of(meta), seed, mcs_of(meta), per_packet, labels_of(meta))
            if meta.get(keys.STREAM_ID, header.stream_id) != header.stream_id:
                raise FrameError(
                    f"the packets are coded for stream {meta[keys.STREAM_ID]}, and this Burst Framer is of stream "
                    f"{header.stream_id}: give Packet Encoder and Burst Framer the same stream_id"
                )
            samples = self._transmitter.modulate(symbols, header)
            papr = 10 * np.log10(float(np.max(np.abs(samples) ** 2)) / float(np.mean(np.abs(samples) ** 2)))
            report = {
                keys.PAPR_DB: papr,
                keys.AIRTIME_SAMPLES: len(samples),
                keys.STREAM_ID: header.stream_id,
                keys.PROFILE: self._profile,
            }
            if keys.TX_TIME in meta:
                report[keys.TX_TIME] = _tx_time(meta[keys.TX_TIME])
            power_db = required(meta, keys.POWER_DB, float) if keys.POWER_DB in meta else 0.0
            amplitude = self._amplitude * np.float32(10 ** (power_db / 20))
            padded = np.concatenate([samples * amplitude, np.zeros(self._padding, np.complex64)])
            self._enqueue((pmt.car(pdu), report, padded))
        except Exception as error:
            self.frames_refused += 1
            self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")

    def _enqueue(self, burst: tuple[object, dict, np.ndarray]) -> None:
        if self._queue.put(burst):
            self.bursts_dropped += 1
            self.logger.warn(
                f"queue of {self._queue.size} bursts is full: {self._queue.drop} dropped ({self.bursts_dropped} so far)"
            )

    def work(self, input_items: list, output_items: list) -> int:
        out = output_items[0]
        produced = 0
        while produced < len(out):
            if self._done == len(self._burst) and not self._next_burst(self.nitems_written(0) + produced):
                break
            part = self._burst[self._done : self._done + len(out) - produced]
            out[produced : produced + len(part)] = part
            self._done += len(part)
            produced += len(part)
        if not produced and self._ending:
            return -1
        if self._continuous:
            out[produced:] = 0
            return len(out)
        return produced

    def _next_burst(self, offset: int) -> bool:
        """Take up the next burst, tagged from this place on; False where none waits."""
        if not self._queue:
            return False
        meta, report, self._burst = self._queue.popleft()
        self._done = 0
        self.bursts_sent += 1
        if self._length_tag:
            self.add_item_tag(0, offset, pmt.intern(self._length_tag), pmt.from_long(len(self._burst)))
        else:
            self.add_item_tag(0, offset, pmt.intern("tx_sob"), pmt.PMT_T)
            self.add_item_tag(0, offset + len(self._burst) - 1, pmt.intern("tx_eob"), pmt.PMT_T)
        if keys.TX_TIME in report:
            seconds, fraction = report[keys.TX_TIME]
            time = pmt.make_tuple(pmt.from_uint64(seconds), pmt.from_double(fraction))
            self.add_item_tag(0, offset, pmt.intern("tx_time"), time)
        report |= {keys.QUEUED + self.STAGE: len(self._queue), keys.DROPPED + self.STAGE: self.bursts_dropped}
        self.message_port_pub(self.SENT, make_pdu(meta, report, np.zeros(0, np.uint8)))
        return True


def _tx_time(value: object) -> tuple[int, float]:
    try:
        seconds, fraction = value
        seconds, fraction = int(seconds), float(fraction)
    except (OverflowError, TypeError, ValueError):
        seconds, fraction = -1, 0.0
    if not (0 <= seconds < 1 << 63 and 0 <= fraction < 1):
        raise FrameError(f"tx_time is {value!r}; it must be whole seconds from 0 on and a fraction below 1")
    return seconds, fraction
