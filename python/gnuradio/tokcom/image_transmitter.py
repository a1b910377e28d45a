from collections.abc import Sequence

from gnuradio import gr

from tokcom.errors import ParameterError
from tokcom.models.zoo import DEFAULT_MODEL

from .image_detokenizer import image_detokenizer
from .image_source import image_source
from .image_tokenizer import image_tokenizer
from .token_transmitter import token_transmitter


class image_transmitter(gr.hier_block2):
    """Send pictures as bursts of samples: the whole transmitter in one block.

    Inside are Image Source, Image Tokenizer and TokCom Token Transmitter, and an Image Detokenizer for the port
    "tokenized".

    Input: message port "delivered", one message of any kind for each picture that has reached its end (the receiver's
    "recovered" in a simulation, the own "bursts" for a radio); it need be connected only where `window` is above 0.
    Output: complex samples, to a radio or a channel. Message ports "sent": the pictures as they set out; "tokenized":
    the same as their tokens alone would show them, with the tokens: what a receiver is compared with; "bursts": the
    metadata of each burst as it goes out.

    Parameters:
        images: a picture, a folder of pictures, or a list of both; "camera:0" or "camera:/dev/video0" for a camera
            (needs OpenCV); empty for four sample photographs.
        repeat: start again after the last picture.
        interval: seconds from one picture to the next, at least 0.
        window: pictures under way at most; 0 for no limit, then the interval must be above 0.
        model: a model of the zoo, by name or folder; the receiver needs the same.
        cmi: class label sent beside each picture: "auto": the model's classifier names it; "none": no label; else the
            class, by name or number.
        mcs: modulation and coding of every packet, by name ("16qam-1/2") or index (0 to 14).
        amplitude: root mean square of a burst's samples, above 0; peaks are about 10 dB higher and should stay below 1
            for a radio.
        profile: "standard", or "robust" with a longer preamble and a header sent three times, for use below 0 dB.
        stream_id: of several transmitters on one channel, 0 to 63.
        tokens_per_packet: tokens in each packet, at least 1.
        padding: samples of silence behind each burst, at least 0; 200 or more carry its end through filters.
        length_tag: name of the tag that holds a burst's length with its padding; empty: tx_sob and tx_eob instead.
        continuous: send silence between bursts, for a simulated channel; a radio sends it by itself.
        sample_rate: in Hz, at which bursts and silence are sent (continuous); without, nothing depends on it.
        seed: of the order in which tokens are spread over packets, 0 to 1023.
        visits: of the search for better tokens to every picture; 0: none; -1: as the model's card says. Four take some
            tenths of a second.
        patience: seconds to wait for word of a delivery before the pictures under way count as lost.
        queue_size: pictures and bursts that may wait inside, at least 1; of more, the oldest are dropped and counted.
            Live, one or two: the newest picture is sent.
        tx_time: time in seconds of the first burst, at least 0; 0: at once. As of Burst Framer.
        period: seconds at least from one burst to the next, in slots that begin at tx_time, so that transmitters on one
            channel take turns; 0: one follows the other.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        key: file of the key that bursts are encrypted with, from `tokcom keys new`; empty: they are sent in clear.
        direction: 0 or 1; two ends that both transmit with one key take one each.
    """

    def __init__(
        self, images: str | Sequence[str] = "", repeat: bool = True, interval: float = 0.5, window: int = 0,
        model: str = DEFAULT_MODEL, cmi: str = "auto", mcs: str = "16qam-1/2", amplitude: float = 0.25,
        profile: str = "standard", stream_id: int = 0, tokens_per_packet: int = 4, padding: int = 256,
        length_tag: str = "packet_len", continuous: bool = False, sample_rate: float = 1e6, seed: int = 0,
        visits: int = -1, patience: float = 60.0, queue_size: int = 64, tx_time: float = 0.0, period: float = 0.0,
        device: str = "auto", key: str = "", direction: int = 0,
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Image Transmitter", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        if not window and not interval > 0:
            raise ParameterError(
                f"interval is {interval} and window {window}: pictures would pile up without end; one must be above 0"
            )
        self.image_source = image_source(images, repeat, interval, window, patience, stream_id)
        self.image_tokenizer = image_tokenizer(model, cmi, visits, queue_size, device)
        self.image_detokenizer = image_detokenizer(model, device)
        self.token_transmitter = token_transmitter(
            mcs, amplitude, profile, stream_id, tokens_per_packet, seed=seed, padding=padding, length_tag=length_tag,
            continuous=continuous, sample_rate=sample_rate, queue_size=queue_size, tx_time=tx_time, period=period,
            key=key, direction=direction,
        )  # fmt: skip

        self.message_port_register_hier_in("delivered")
        for port in ("sent", "tokenized", "bursts"):
            self.message_port_register_hier_out(port)
        self.msg_connect(self, "delivered", self.image_source, "delivered")
        self.msg_connect(self.image_source, "pictures", self, "sent")
        self.msg_connect(self.image_source, "pictures", self.image_tokenizer, "pictures")
        self.msg_connect(self.image_tokenizer, "tokens", self.token_transmitter, "tokens")
        self.msg_connect(self.image_tokenizer, "tokens", self.image_detokenizer, "tokens")
        self.msg_connect(self.image_detokenizer, "pictures", self, "tokenized")
        self.msg_connect(self.token_transmitter, "bursts", self, "bursts")
        self.connect(self.token_transmitter, self)

    def set_mcs(self, mcs: str) -> None:
        self.token_transmitter.set_mcs(mcs)

    def set_amplitude(self, amplitude: float) -> None:
        self.token_transmitter.set_amplitude(amplitude)
