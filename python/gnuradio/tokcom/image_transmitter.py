from collections.abc import Sequence

from gnuradio import gr

from tokcom.errors import ParameterError
from tokcom.models.folders import DEFAULT_MODEL

from .image_detokenizer import image_detokenizer
from .image_source import image_source
from .image_tokenizer import image_tokenizer
from .token_transmitter import token_transmitter


class image_transmitter(gr.hier_block2):
    """Send pictures as bursts of samples: the whole transmitter in one block.

    Inside are Image Source, Image Tokenizer and TokCom Token Transmitter, and an Image Detokenizer for the port
    "tokenized".

    Input: message port "delivered", one message of any kind per delivered picture (the receiver's "recovered" in a
        simulation, this block's "bursts" for a radio); it need be connected only if `window` is above 0.
    Output: complex samples, to a radio or a channel. Message ports "sent": the original pictures; "tokenized": the
        pictures decoded from their tokens, with the tokens, for comparison with the receiver's; "bursts": the metadata
        of each burst when it is sent.

    Parameters:
        images: a picture, a folder of pictures, or a list of both; "camera:0" or "camera:/dev/video0" for a camera
            (needs OpenCV); empty for four sample photographs.
        repeat: start again after the last picture.
        interval: seconds from one picture to the next, at least 0.
        window: largest number of pictures under way; 0 for no limit, in which case the interval must be above 0.
        model: a model of the zoo, by name or folder; the receiver needs the same.
        cmi: class label sent beside each picture: "auto": the model's classifier chooses it; "none": no label; else the
            class, by name or number.
        mcs: modulation and coding of every packet, by name ("16qam-1/2") or index (0 to 14).
        amplitude: root mean square of a burst's samples, above 0; peaks are about 10 dB higher and should stay below 1
            for a radio.
        profile: "standard", or "robust" with a longer preamble and a header sent three times, for use below 0 dB.
        stream_id: stream number, for channels shared by several transmitters, 0 to 63.
        tokens_per_packet: tokens in each packet, at least 1.
        padding: samples of silence after each burst, at least 0; 200 or more flush its end through filters.
        length_tag: name of the tag with a burst's length, padding included; empty for tx_sob and tx_eob instead.
        continuous: send silence between bursts, for a simulated channel; a radio does so itself.
        sample_rate: sample rate in Hz at which bursts and silence are sent; used only if continuous.
        seed: seed of the permutation that spreads tokens over packets, 0 to 1023.
        visits: search passes per picture, for better tokens; 0 for no search; -1 for the value in the model's card.
            Four take a few tenths of a second.
        patience: seconds to wait for a confirmation before the pictures under way count as lost.
        queue_size: largest number of pictures, and of bursts, waiting inside, at least 1; beyond it the oldest are
            dropped and counted. For live use, one or two: the newest picture is sent.
        tx_time: time in seconds of the first burst, at least 0; 0 for at once. As in Burst Framer.
        period: minimum number of seconds from one burst to the next, in slots that begin at tx_time, so that
            transmitters on one channel take turns; 0 to send bursts back to back.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        key: file of the key that encrypts bursts, from `tokcom keys new`; empty to send them in clear.
        direction: 0 or 1; two ends that both transmit with one key use one each.
        sentence: what the pictures show, in words, sent along in a few bytes, as in Image Tokenizer; empty for none.
        sound: file of a sound that belongs to the pictures, in place of a sentence; empty for none.
        sentences: tell the receiver the text beside each picture, if there is one, as in Image Source.
    """

    def __init__(
        self, images: str | Sequence[str] = "", repeat: bool = True, interval: float = 0.5, window: int = 0,
        model: str = DEFAULT_MODEL, cmi: str = "auto", mcs: str = "16qam-1/2", amplitude: float = 0.25,
        profile: str = "standard", stream_id: int = 0, tokens_per_packet: int = 4, padding: int = 256,
        length_tag: str = "packet_len", continuous: bool = False, sample_rate: float = 1e6, seed: int = 0,
        visits: int = -1, patience: float = 60.0, queue_size: int = 64, tx_time: float = 0.0, period: float = 0.0,
        device: str = "auto", key: str = "", direction: int = 0, sentence: str = "",
        sound: str = "", sentences: bool = False,
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Image Transmitter", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        if not window and not interval > 0:
            raise ParameterError(
                f"interval is {interval} and window {window}: pictures would accumulate; one must be above 0"
            )
        self.image_source = image_source(images, repeat, interval, window, patience, stream_id, sentences=sentences)
        self.image_tokenizer = image_tokenizer(model, cmi, visits, queue_size, device, sentence, sound)
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

    def set_sentence(self, sentence: str) -> None:
        self.image_tokenizer.set_sentence(sentence)

    def set_mcs(self, mcs: str) -> None:
        self.token_transmitter.set_mcs(mcs)

    def set_amplitude(self, amplitude: float) -> None:
        self.token_transmitter.set_amplitude(amplitude)
