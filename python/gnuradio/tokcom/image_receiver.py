from collections.abc import Sequence

from gnuradio import gr

from tokcom.models.folders import DEFAULT_MODEL

from .image_detokenizer import image_detokenizer
from .token_receiver import token_receiver


class image_receiver(gr.hier_block2):
    """Turn samples into pictures and figures: the whole receiver in one block.

    Inside are a TokCom Token Receiver and an Image Detokenizer for each of a frame's two pictures. It needs nothing but
    the samples and the models: all else stands in the bursts.

    Input: complex samples, from a radio or a channel.
    Output: message ports "lost": each picture as received, with patches of lost tokens in grey; "recovered": the same
        after recovery, with the confidence in each token; "figures": the link's running figures, once per second, as
        from the Link Monitor; "cqi": channel quality from each burst; "symbols": the equalised symbols of each burst,
        for a QT GUI Constellation Sink; "hints": causes of failed reception, for Image View's "counters".

    Parameters:
        sample_rate: sample rate in Hz, used only to convert the frequency offset to Hz.
        models: models of the zoo, by name or folder, as a list or separated by commas: those of the transmitters.
        profile: "any", "standard" or "robust": the bursts to find.
        mode: "context": channel, CRC and model decide jointly; "list": channel and CRC; "mask": lost tokens are guessed
            by the model (the paper); "keep": the Viterbi decoder's tokens are kept.
        use_cmi: use the class label sent with the picture.
        max_seconds: time limit per picture, after which the best result so far is used (mode "context"); 0 for no
            limit.
        queue_size: largest number of pictures waiting for recovery, at least 1; beyond it the oldest are dropped and
            counted.
        seed: seed of the draws when tokens are guessed, at least 0.
        streams: numbers of the streams to receive, separated by commas; empty for all.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        keys: files of the keys that bursts may be encrypted with, in a list or between commas. With any, bursts are
            believed that come from a holder of one, each once; others are counted, and not shown. The word clear among
            them: bursts without a key are taken, too; the word replays: bursts are taken again, as from a recording.
        server: address of an edge server that has the models' contexts, as in Token Recovery; empty for none.
    """

    def __init__(
        self, sample_rate: float = 1e6, models: str | Sequence[str] = DEFAULT_MODEL, profile: str = "any",
        mode: str = "context", use_cmi: bool = True, max_seconds: float = 0.0, queue_size: int = 16, seed: int = 0,
        streams: str = "", device: str = "auto", keys: str | Sequence[str] = "",
        server: str = "",
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Image Receiver", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.token_receiver = token_receiver(
            sample_rate, models, profile, mode, use_cmi, max_seconds, queue_size, seed, streams, device, keys, server
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
