from collections.abc import Sequence

from gnuradio import blocks, gr

from tokcom.errors import ParameterError
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.packets.labels import NATURAL
from tokcom.packets.layout import SPREAD

from .burst_framer import burst_framer
from .packet_encoder import packet_encoder
from .token_mapper import token_mapper
from .token_packetizer import token_packetizer


class token_transmitter(gr.hier_block2):
    """Send tokens of any kind as bursts of samples: what all transmitters have in common, in one block.

    Inside are Token Packetizer, Packet Encoder, Token Mapper and Burst Framer.

    Input: message port "tokens", PDUs of s32 tokens, one frame each, from a tokenizer; or of s32 bits, 0 and 1, where
    the metadata has the key payload with the value "bits", beside codebook (what the bits hold) and frame_id.
    Output: complex samples, to a radio or a channel. Message port "bursts": the metadata of each burst as it goes out.

    Parameters:
        mcs: modulation and coding of every packet, by name ("16qam-1/2") or index (0 to 14).
        amplitude: root mean square of a burst's samples, above 0; peaks are about 10 dB higher and should stay below 1
            for a radio.
        profile: "standard", or "robust" with a longer preamble and a header sent three times, for use below 0 dB.
        stream_id: of several transmitters on one channel, 0 to 63.
        tokens_per_packet: tokens in each packet, 1 to 64.
        layout: which tokens travel together, as of Token Packetizer.
        seed: of the order in which tokens are spread over packets, 0 to 1023.
        bits_per_packet: bits in each packet of a frame of bits, 1 to 2048.
        labels: numbers under which tokens are sent, as of Packet Encoder.
        models: models whose labels are known, by name or folder, in a list or between commas; natural labels need none.
        padding: samples of silence behind each burst, at least 0; 200 or more carry its end through filters.
        length_tag: name of the tag that holds a burst's length with its padding; empty: tx_sob and tx_eob instead.
        continuous: send silence between bursts, for a simulated channel; a radio sends it by itself.
        sample_rate: in Hz, at which bursts and silence are sent (continuous); without, nothing depends on it.
        queue_size: bursts that may wait, at least 1; of more, the oldest are dropped and counted.
        tx_time: time in seconds of the first burst, at least 0; 0: at once. As of Burst Framer.
        period: seconds at least from one burst to the next, in slots that begin at tx_time, so that transmitters on one
            channel take turns; 0: one follows the other.
        key: file of the key that bursts are encrypted with, from `tokcom keys new`; empty: they are sent in clear.
        direction: 0 or 1; two ends that both transmit with one key take one each.
    """

    def __init__(
        self, mcs: str = "16qam-1/2", amplitude: float = 0.25, profile: str = "standard", stream_id: int = 0,
        tokens_per_packet: int = 4, layout: str = SPREAD, seed: int = 0, bits_per_packet: int = 256,
        labels: str = NATURAL, models: str | Sequence[str] = DEFAULT_MODEL, padding: int = 256,
        length_tag: str = "packet_len", continuous: bool = False, sample_rate: float = 1e6, queue_size: int = 64,
        tx_time: float = 0.0, period: float = 0.0, key: str = "", direction: int = 0,
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Token Transmitter", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        if not 0 < sample_rate <= 1e12:
            raise ParameterError(f"sample_rate is {sample_rate}; it must be above 0 Hz and at most 1e12")
        self.token_packetizer = token_packetizer(tokens_per_packet, seed, layout, bits_per_packet)
        self.packet_encoder = packet_encoder(mcs, labels, models, stream_id, key, direction)
        self.token_mapper = token_mapper()
        self.burst_framer = burst_framer(
            amplitude, profile, stream_id, padding, length_tag, continuous, queue_size, tx_time=tx_time, period=period,
            sample_rate=sample_rate,
        )  # fmt: skip
        if not continuous:
            # A burst in one piece: split over calls it makes a radio stutter. Of silence it would only be a queue.
            self.burst_framer.set_min_output_buffer(1 << 16)

        self.message_port_register_hier_in("tokens")
        self.message_port_register_hier_out("bursts")
        self.msg_connect(self, "tokens", self.token_packetizer, "tokens")
        self.msg_connect(self.token_packetizer, "packets", self.packet_encoder, "packets")
        self.msg_connect(self.packet_encoder, "bits", self.token_mapper, "bits")
        self.msg_connect(self.token_mapper, "symbols", self.burst_framer, "symbols")
        self.msg_connect(self.burst_framer, "sent", self, "bursts")
        if continuous:
            self.throttle = blocks.throttle(gr.sizeof_gr_complex, sample_rate)
            self.connect(self.burst_framer, self.throttle, self)
        else:
            self.connect(self.burst_framer, self)

    def set_mcs(self, mcs: str) -> None:
        self.packet_encoder.set_mcs(mcs)

    def set_amplitude(self, amplitude: float) -> None:
        self.burst_framer.set_amplitude(amplitude)

    def set_schedule(self, tx_time: float, period: float) -> None:
        self.burst_framer.set_schedule(tx_time, period)
