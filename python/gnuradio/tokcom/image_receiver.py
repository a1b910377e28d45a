from collections.abc import Sequence

from gnuradio import gr

from tokcom.models.zoo import DEFAULT_MODEL

from .image_detokenizer import image_detokenizer
from .token_receiver import token_receiver


class image_receiver(gr.hier_block2):
    """Turn samples into pictures and figures: the whole receiver in one block.

    Inside are a TokCom Token Receiver and an Image Detokenizer for each of a frame's two pictures. It needs nothing but
    the samples and the models: all else stands in the bursts.

    Input: complex samples, from a radio or a channel.
    Output: message ports "lost": each picture as it was received, patches of lost tokens grey; "recovered": the same
    made whole, with the confidence in each token; "figures": the link's running figures, once a second, as the Link
    Monitor gives them; "cqi": what each burst tells of the channel; "symbols": the equalised symbols of each burst, for
    a QT GUI Constellation Sink; "hints": what keeps bursts from being received, for Image View's "counters".

    Parameters:
        sample_rate: in Hz; it turns the frequency offset into Hz, nothing else depends on it.
        models: models of the zoo, by name or folder, in a list or between commas: those of the transmitters.
        profile: "any", "standard" or "robust": the bursts to find.
        mode: "context": channel, CRC and model decide together; "list": channel and CRC; "mask": lost tokens are
            guessed by the model (the paper); "keep": the Viterbi decoder's tokens as they are.
        use_cmi: tell the model the class label that came with the picture.
        max_seconds: time a picture, after which the best so far counts (mode "context"); 0: no limit.
        queue_size: pictures that may wait for recovery, at least 1; of more, the oldest are dropped and counted.
        seed: of the draws when tokens are guessed, at least 0.
        streams: numbers of the streams to receive, between commas; empty: all.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        keys: files of the keys that bursts may be encrypted with, in a list or between commas; empty:
            bursts that are encrypted are counted, and not shown.
    """

    def __init__(
        self, sample_rate: float = 1e6, models: str | Sequence[str] = DEFAULT_MODEL, profile: str = "any",
        mode: str = "context", use_cmi: bool = True, max_seconds: float = 0.0, queue_size: int = 16, seed: int = 0,
        streams: str = "", device: str = "auto", keys: str | Sequence[str] = "",
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Image Receiver", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.token_receiver = token_receiver(
            sample_rate, models, profile, mode, use_cmi, max_seconds, queue_size, seed, streams, device, keys
        )
        self.detokenize_lost, self.detokenize_recovered = (image_detokenizer(models, device) for _ in range(2))

        for port in ("lost", "recovered", "figures", "cqi", "symbols", "hints"):
            self.message_port_register_hier_out(port)
        self.connect(self, self.token_receiver)
        for port in ("figures", "cqi", "symbols", "hints"):
            self.msg_connect(self.token_receiver, port, self, port)
        for port, detokenizer in (("lost", self.detokenize_lost), ("recovered", self.detokenize_recovered)):
            self.msg_connect(self.token_receiver, port, detokenizer, "tokens")
            self.msg_connect(detokenizer, "pictures", self, port)

    def set_streams(self, streams: str) -> None:
        self.token_receiver.set_streams(streams)
