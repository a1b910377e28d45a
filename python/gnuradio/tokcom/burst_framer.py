import time

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.link.bursts import compile_kernels
from tokcom.link.schedule import BurstSchedule
from tokcom.link.transmitter import TransmitConfig, Transmitter

from ._burst_keys import labels_of, layout_of, mcs_of, seal_of
from ._frame_keys import outline_of
from ._pdu import make_pdu, open_pdu, required
from ._pdu_block import reason
from ._queue import BoundedQueue

LEAD_SECONDS = 0.1
"""Lead time in seconds with which a radio gets its bursts at least."""


class burst_framer(gr.sync_block):
    """Turn packets into bursts of samples: preamble, header, packets, and trailing silence.

    Each burst starts with a tag of its length, or has tags tx_sob and tx_eob; tx_time in the metadata becomes a tag,
    too; power_db in the metadata changes the burst's power. Between bursts the stream pauses or, if continuous, is
    silent.

    With `tx_time` or `period`, bursts are sent at given times: for a radio by tags tx_time in its clock, in a
    continuous stream at the samples themselves. A burst that is too late for its slot takes the next one.

    Input: message port "symbols", PDUs of c32 symbols, one packet after the other.
    Output: complex samples. Message port "sent": the metadata of each burst when it is sent, with papr_db,
        airtime_samples, queued.framer and dropped.framer (numbers of bursts waiting and dropped so far) added.

    Parameters:
        amplitude: root mean square of a burst's samples, above 0; peaks are about 10 dB higher and should stay below 1
            for a radio.
        profile: "standard", or "robust" with a longer preamble and a header sent three times, for use below 0 dB.
        stream_id: stream number, for channels shared by several transmitters, 0 to 63, the same as in Packet Encoder.
        padding: samples of silence after each burst, at least 0; 200 or more flush its end through filters.
        length_tag: name of the tag with a burst's length, padding included; empty for tx_sob and tx_eob instead.
        continuous: send silence between bursts, as fast as the following blocks take it; not for a radio.
        queue_size: largest number of bursts waiting, at least 1.
        drop: "oldest" or "newest": which burst is dropped, logged and counted when the queue is full.
        tx_time: time in seconds, in the radio's clock or since the start of the stream, of the first burst; 0 for at
            once.
        period: seconds from the start of one burst to the next, at least 0; 0 to send bursts back to back. For a radio,
            a period needs a tx_time.
        sample_rate: sample rate in Hz; used only in a continuous stream, to convert seconds to samples.
    """

    SENT, SYMBOLS, SYSTEM = pmt.intern("sent"), pmt.intern("symbols"), pmt.intern("system")
    END, STAGE = pmt.intern("end of run"), "framer"

    def __init__(
        self, amplitude: float = 0.25, profile: str = "standard", stream_id: int = 0, padding: int = 256,
        length_tag: str = "packet_len", continuous: bool = False, queue_size: int = 64, drop: str = "oldest",
        tx_time: float = 0.0, period: float = 0.0, sample_rate: float = 1e6,
    ):  # fmt: skip
        gr.sync_block.__init__(self, name="Burst Framer", in_sig=None, out_sig=[np.complex64])
        if padding < 0:
            raise ParameterError(f"padding is {padding}; it must be at least 0 samples")
        if not 0 < sample_rate <= 1e12:
            raise ParameterError(f"sample_rate is {sample_rate}; it must be above 0 Hz and at most 1e12")
        self.set_amplitude(amplitude)
        compile_kernels()
        self._transmitter = Transmitter(TransmitConfig(profile=profile, stream_id=stream_id))
        self._profile, self._padding, self._length_tag = profile, padding, length_tag
        self._continuous, self._queue = continuous, BoundedQueue(queue_size, drop)
        self._sample_rate = sample_rate
        self.set_schedule(tx_time, period)
        self._begin_anew()
        self.bursts_sent = self.bursts_dropped = self.frames_refused = 0
        self.message_port_register_in(self.SYMBOLS)
        self.message_port_register_out(self.SENT)
        self.set_msg_handler(self.SYMBOLS, self._on_symbols)
        self.set_msg_handler(self.SYSTEM, self._on_system)

    def set_amplitude(self, amplitude: float) -> None:
        if not 0 < amplitude < 1e6:
            raise ParameterError(f"amplitude is {amplitude}; it must be above 0")
        self._amplitude = np.float32(amplitude)

    def set_schedule(self, tx_time: float, period: float = 0.0, radio_time: float | None = None) -> None:
        """Start a schedule: the next burst is sent at tx_time, the others in periods from there.

        Parameters:
            tx_time, period: as for the block.
            radio_time: present time of the radio's clock in seconds, if available. Then no burst gets a time in the
                past; without it, the first burst is assumed to be in time.
        """
        if period and not tx_time and radio_time is None and not self._continuous:
            raise ParameterError(f"period is {period} and tx_time 0; for a radio, set the time of the first burst")
        self._schedule = BurstSchedule(tx_time, period) if tx_time or period else None
        self._clock = None if radio_time is None else (radio_time + LEAD_SECONDS, time.monotonic())

    def start(self) -> bool:
        self._begin_anew()
        return True

    def _begin_anew(self) -> None:
        self._burst, self._done = np.zeros(0, np.complex64), 0
        self._next: tuple[object, dict, np.ndarray] | None = None
        self._silence = 0
        self._ending = False

    def stop(self) -> bool:
        left = len(self._queue) + (self._next is not None) + (self._done < len(self._burst))
        if left:
            self.bursts_dropped += left
            self.logger.warn(f"stopped: {left} bursts dropped ({self.bursts_dropped} so far)")
            self._queue.clear()
        return True

    def _on_system(self, message: object) -> None:
        """Queue the announcement of the end behind the bursts waiting at the input port."""
        self.to_basic_block()._post(self.SYMBOLS, self.END)

    def _on_symbols(self, pdu: object) -> None:
        if pmt.eq(pdu, self.END):
            self._ending = True
            return
        try:
            meta, symbols = open_pdu(pdu, "complex64")
            seed, per_packet = required(meta, keys.LAYOUT_SEED, int), required(meta, keys.TOKENS_PER_PACKET, int)
            header = self._transmitter.header(
                outline_of(meta), seed, mcs_of(meta), per_packet, labels_of(meta), layout_of(meta),
                seal_of(meta),
            )  # fmt: skip
            if meta.get(keys.STREAM_ID, header.stream_id) != header.stream_id:
                raise FrameError(
                    f"the packets are coded for stream {meta[keys.STREAM_ID]}, but this Burst Framer has stream "
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
            if self._done == len(self._burst):
                offset = self.nitems_written(0) + produced
                if self._next is None and not self._take_up(offset):
                    break
                if self._silence:
                    silent = min(self._silence, len(out) - produced)
                    out[produced : produced + silent] = 0
                    self._silence -= silent
                    produced += silent
                    continue
                self._begin_burst(offset)
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

    def _take_up(self, offset: int) -> bool:
        """Take the next burst from the queue and assign its time; return False if none is waiting."""
        if not self._queue:
            return False
        self._next = self._queue.popleft()
        report = self._next[1]
        if self._schedule is not None and keys.TX_TIME not in report:
            start = self._schedule.next_time(self._now(offset))
            if self._continuous:
                self._silence = max(0, round(start * self._sample_rate) - offset)
            report[keys.TX_TIME] = int(start), start % 1
            if not self._schedule.period:
                self._schedule = None  # later ones follow at once
        return True

    def _now(self, offset: int) -> float:
        """Return the present time in seconds, on the scale of tx_time."""
        if self._continuous:
            return offset / self._sample_rate
        # Only differences of this computer's clock are used; without the radio's time, assume at most tx_time.
        clock = time.monotonic()
        self._clock = self._clock or (self._schedule.first, clock)
        return self._clock[0] + clock - self._clock[1]

    def _begin_burst(self, offset: int) -> None:
        """Start the current burst, with tags from this offset on."""
        meta, report, self._burst = self._next
        self._next, self._done = None, 0
        self.bursts_sent += 1
        if self._length_tag:
            self.add_item_tag(0, offset, pmt.intern(self._length_tag), pmt.from_long(len(self._burst)))
        else:
            self.add_item_tag(0, offset, pmt.intern("tx_sob"), pmt.PMT_T)
            self.add_item_tag(0, offset + len(self._burst) - 1, pmt.intern("tx_eob"), pmt.PMT_T)
        if keys.TX_TIME in report:
            seconds, fraction = report[keys.TX_TIME]
            moment = pmt.make_tuple(pmt.from_uint64(seconds), pmt.from_double(fraction))
            self.add_item_tag(0, offset, pmt.intern("tx_time"), moment)
        report |= {keys.QUEUED + self.STAGE: len(self._queue), keys.DROPPED + self.STAGE: self.bursts_dropped}
        self.message_port_pub(self.SENT, make_pdu(meta, report, np.zeros(0, np.uint8)))


def _tx_time(value: object) -> tuple[int, float]:
    try:
        seconds, fraction = value
        seconds, fraction = int(seconds), float(fraction)
    except (OverflowError, TypeError, ValueError):
        seconds, fraction = -1, 0.0
    if not (0 <= seconds < 1 << 63 and 0 <= fraction < 1):
        raise FrameError(f"tx_time is {value!r}; it must be whole seconds from 0 on and a fraction below 1")
    return seconds, fraction
