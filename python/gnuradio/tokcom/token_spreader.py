import math
import time
from collections.abc import Mapping

import numpy as np
import pmt

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.schedule import BurstSchedule
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.frames import modulate_frame
from tokcom.multiple_access.plan import MultiUserPlan, require_port

from ._frame_keys import frame_of
from ._pdu_block import PduBlock

QUEUE_SIZE = 64
"""Largest number of frames waiting."""
LEAD_SECONDS = 0.1
"""Lead time in seconds with which a radio gets its bursts at least."""


class token_spreader(PduBlock):
    """Turn frames of tokens into bursts that several transmitters send at once: each token as a modulation vector of a
    codebook that all share.

    All transmitters of a burst must start it within a few samples of each other: add their streams in a simulation, or
    give radios one clock, one pulse per second and the same tx_time and period.

    Input: message port "tokens", PDUs of s32 tokens, one frame each of n_tokens.
    Output: message port "bursts", PDUs of c32 samples, with silence behind, for PDU to Tagged Stream; stream_id (the
    port), airtime_samples and, where it is timed, tx_time added.

    Parameters:
        port: of this transmitter, 0 to 3; no other has it at the same time.
        length: carriers of a token, 2 to 64; more are safer and slower.
        n_tokens: tokens of a frame, 1 to 4096.
        codebook_size: modulation vectors, as many as the tokens' codebook has words, 2 to 4096.
        codebook_seed: of the modulation vectors, the same everywhere; 0: fitted ones, if there are any of this
            length.
        rotate: turn the symbols of each port in its own way, which tells tokens apart where channels are alike; the
            same everywhere.
        amplitude: root mean square of a burst's samples, above 0.
        padding: samples of silence behind each burst, at least 0.
        tx_time: seconds, in the radio's clock, at which the first burst goes out; 0: at once, untimed.
        period: seconds from the start of one burst to the next; 0: untimed.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "bursts", "int32", "spreader"

    def __init__(
        self, port: int = 0, length: int = 12, n_tokens: int = 256, codebook_size: int = 1024, codebook_seed: int = 0,
        rotate: bool = False, amplitude: float = 0.25, padding: int = 512, tx_time: float = 0.0, period: float = 0.0,
    ):  # fmt: skip
        PduBlock.__init__(self, "Token Spreader", QUEUE_SIZE)
        require_port(port)
        if padding < 0:
            raise ParameterError(f"padding is {padding}; it must be at least 0 samples")
        if (tx_time > 0) != (period > 0):
            raise ParameterError(f"tx_time is {tx_time} and period {period}; bursts at times need both above 0")
        self.set_amplitude(amplitude)
        self._plan = MultiUserPlan(ModulationCodebook(codebook_size, length, codebook_seed), n_tokens, rotate)
        self._port, self._padding = port, padding
        self._schedule = BurstSchedule(tx_time, period) if period else None
        self._clock: tuple[float, float] | None = None

    def set_amplitude(self, amplitude: float) -> None:
        if not 0 < amplitude < 1e6:
            raise ParameterError(f"amplitude is {amplitude}; it must be above 0")
        self._amplitude = np.float32(amplitude)

    def set_schedule(self, period: float, radio_time: float) -> None:
        """Send bursts at whole multiples of a period, which all radios of one time share.

        Parameters:
            period: seconds, above 0.
            radio_time: what the radio's clock reads now, in seconds.
        """
        if not period > 0:
            raise ParameterError(f"period is {period}; it must be above 0 seconds")
        self._clock = radio_time + LEAD_SECONDS, time.monotonic()
        self._schedule = BurstSchedule(math.ceil(self._clock[0] / period) * period, period)

    def _now(self) -> float:
        """The earliest time that a burst can have; 0 where no radio's clock is known."""
        return 0.0 if self._clock is None else self._clock[0] + time.monotonic() - self._clock[1]

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame = frame_of(meta, data)
        if not isinstance(frame, TokenFrame):
            raise FrameError(f"frame {frame.frame_id} holds bits; multiple access sends tokens")
        burst = modulate_frame(self._plan, self._port, frame)
        added = {keys.STREAM_ID: self._port, keys.AIRTIME_SAMPLES: len(burst)}
        if self._schedule is not None:
            seconds = self._schedule.next_time(self._now())
            whole = int(seconds)
            added[keys.TX_TIME] = pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(seconds - whole))
        return added, np.pad(burst * self._amplitude, (0, self._padding))
