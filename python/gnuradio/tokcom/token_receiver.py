import os
from collections.abc import Sequence

from gnuradio import gr

from tokcom.models.folders import DEFAULT_MODEL

from .burst_demodulator import burst_demodulator
from .burst_sync import burst_sync
from .link_monitor import link_monitor
from .packet_decoder import packet_decoder
from .stream_filter import stream_filter
from .token_recovery import token_recovery


class token_receiver(gr.hier_block2):
    """Turn samples into tokens of any kind and figures: what all receivers have in common, in one block.

    It contains Burst Sync, Stream Filter, Burst Demodulator, Packet Decoder, Token Recovery and a Link Monitor. It
    needs only the samples and the models: everything else is in the bursts.

    Input: complex samples, from a radio or a channel.
    Output: message ports "lost": PDUs of s32 tokens, one per frame, as received, with -1 where a packet failed;
        "recovered": the same after recovery, with the confidence in each token; "bits": frames of bits of any kind,
        with -1 where lost; "figures": the link's running figures, once per second, as from the Link Monitor; "cqi":
        channel quality from each burst; "symbols": the equalised symbols of each burst, for a QT GUI Constellation
        Sink; "hints": causes of failed reception, for Image View's "counters".

    Parameters:
        sample_rate: sample rate in Hz, used only to convert the frequency offset to Hz.
        models: models of the zoo, by name or folder, as a list or separated by commas: those of the transmitters.
        profile: "any", "standard" or "robust": the bursts to find.
        mode: "context": channel, CRC and model decide jointly; "list": channel and CRC; "mask": lost tokens are guessed
            by the model (the paper); "keep": the Viterbi decoder's tokens are kept.
        use_cmi: use the class label sent with the frame.
        max_seconds: time limit per frame, after which the best result so far is used (mode "context"); 0 for no
            limit.
        queue_size: largest number of frames waiting for recovery, at least 1; beyond it the oldest are dropped and
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
            self, "TokCom Token Receiver", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.burst_sync = burst_sync(profile)
        self.stream_filter = stream_filter(streams)
        self.burst_demodulator = burst_demodulator(keys=keys)
        self.packet_decoder = packet_decoder(models, keys)
        self.token_recovery = token_recovery(
            models, mode, use_cmi, max_seconds=max_seconds, seed=seed, queue_size=queue_size, device=device, keys=keys,
            server=server,
        )  # fmt: skip
        self.link_monitor = link_monitor(sample_rate)
        # They take turns anyway: on one processor they are faster than on several.
        if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
            for block in (self.burst_sync, self.stream_filter, self.burst_demodulator, self.packet_decoder):
                block.set_processor_affinity([min(os.sched_getaffinity(0))])

        for port in ("lost", "recovered", "bits", "figures", "cqi", "symbols", "hints"):
            self.message_port_register_hier_out(port)
        self.connect(self, self.burst_sync)
        self.msg_connect(self.burst_sync, "bursts", self.stream_filter, "in")
        self.msg_connect(self.stream_filter, "out", self.burst_demodulator, "bursts")
        self.msg_connect(self.burst_demodulator, "llrs", self.packet_decoder, "llrs")
        self.msg_connect(self.burst_sync, "hints", self, "hints")
        self.msg_connect(self.burst_sync, "hints", self.link_monitor, "counters")
        self.msg_connect(self.burst_demodulator, "cqi", self, "cqi")
        self.msg_connect(self.burst_demodulator, "symbols", self, "symbols")
        self.msg_connect(self.packet_decoder, "tokens", self.token_recovery, "tokens")
        self.msg_connect(self.packet_decoder, "tokens", self, "lost")
        self.msg_connect(self.packet_decoder, "bits", self, "bits")
        self.msg_connect(self.token_recovery, "tokens_recovered", self.link_monitor, "recovered")
        self.msg_connect(self.token_recovery, "tokens_recovered", self, "recovered")
        self.msg_connect(self.link_monitor, "figures", self, "figures")

    def set_streams(self, streams: str) -> None:
        self.stream_filter.set_streams(streams)
