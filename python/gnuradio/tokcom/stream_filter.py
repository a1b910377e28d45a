import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.packets.header_fields import FIELDS

from ._pdu import open_pdu, required
from ._pdu_block import reason

STREAM_IDS = 1 << FIELDS["stream_id"]


class stream_filter(gr.basic_block):
    """Pass PDUs of selected streams on a channel.

    After Burst Sync it saves the work for other bursts; it may also be placed later.

    Input: message port "in": PDUs with stream_id in their metadata.
    Output: message port "out": those of the selected streams, unchanged.

    Parameters:
        streams: numbers of the streams to pass, 0 to 63, separated by commas; empty for all.
    """

    IN, OUT = pmt.intern("in"), pmt.intern("out")

    def __init__(self, streams: str = ""):
        gr.basic_block.__init__(self, name="Stream Filter", in_sig=None, out_sig=None)
        self.set_streams(streams)
        self.frames_passed = self.frames_held = self.frames_refused = 0
        self.message_port_register_in(self.IN)
        self.message_port_register_out(self.OUT)
        self.set_msg_handler(self.IN, self._on_pdu)

    def set_streams(self, streams: str) -> None:
        self._streams = streams_of(streams)

    def _on_pdu(self, pdu: object) -> None:
        try:
            passes = not self._streams or self._stream_of(pdu) in self._streams
        except FrameError as error:
            self.frames_refused += 1
            self.logger.warn(f"frame refused ({self.frames_refused} so far): {reason(error)}")
            return
        if passes:
            self.frames_passed += 1
            self.message_port_pub(self.OUT, pdu)
        else:
            self.frames_held += 1

    def _stream_of(self, pdu: object) -> int:
        return required(open_pdu(pdu, None)[0], keys.STREAM_ID, int)


def streams_of(text: str) -> frozenset[int]:
    """Parse numbers of streams separated by commas.

    Raises:
        ParameterError: an entry is not a number, or out of range.
    """
    try:
        streams = frozenset(int(number) for number in str(text).split(",") if number.strip())
    except ValueError:
        streams = frozenset({-1})
    if not streams <= set(range(STREAM_IDS)):
        raise ParameterError(f"streams is {text!r}; it must be numbers from 0 to {STREAM_IDS - 1} separated by commas")
    return streams
