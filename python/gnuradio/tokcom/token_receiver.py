import os
from collections.abc import Sequence

from gnuradio import gr

from tokcom.models.zoo import DEFAULT_MODEL

from .burst_demodulator import burst_demodulator
from .burst_sync import burst_sync
from .link_monitor import link_monitor
from .packet_decoder import packet_decoder
from .stream_filter import stream_filter
from .token_recovery import token_recovery


class token_receiver(gr.hier_block2):
    """Turn samples into tokens of any kind and figures: what all receivers have in common, in one block.

    Inside are Burst Sync, Stream Filter, Burst Demodulator, Packet Decoder, Token Recovery and a Link Monitor. It needs
    nothing but the samples and the models: all else stands in the bursts.

    Input: complex samples, from a radio or a channel.
    Output: message ports "lost": PDUs of s32 tokens, one frame each, as they were received, -1 where a packet failed;
    "recovered": the same made whole, with the confidence in each token; "bits": frames of bits of any kind, -1 where
    lost; "figures": the link's running figures, once a second, as the Link Monitor gives them; "cqi": what each burst
    tells of the channel; "symbols": the equalised symbols of each burst, for a QT GUI Constellation Sink; "hints": what
    keeps bursts from being received, for Image View's "counters".

    Parameters:
        sample_rate: in Hz; it turns the frequency offset into Hz, nothing else depends on it.
        models: models of the zoo, by name or folder, in a list or between commas: those of the transmitters.
        profile: "any", "standard" or "robust": the bursts to find.
        mode: "context": channel, CRC and model decide together; "list": channel and CRC; "mask": lost tokens are
            guessed by the model (the paper); "keep": the Viterbi decoder's tokens as they are.
        use_cmi: tell the model the class label that came with the frame.
        max_seconds: time per frame, after which the best so far counts (mode "context"); 0: no limit.
        queue_size: frames that may wait for recovery, at least 1; of more, the oldest are dropped and counted.
        seed: of the draws when tokens are guessed, at least 0.
        streams: numbers of the streams to receive, between commas; empty: all.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".
        keys: files of the keys that bursts may be encrypted with, in a list or between commas; empty: bursts that are
            encrypted are counted, and not shown.
    """

    def __init__(
        self, sample_rate: float = 1e6, models: str | Sequence[str] = DEFAULT_MODEL, profile: str = "any",
        mode: str = "context", use_cmi: bool = True, max_seconds: float = 0.0, queue_size: int = 16, seed: int = 0,
        streams: str = "", device: str = "auto", keys: str | Sequence[str] = "",
    ):  # fmt: skip
        gr.hier_block2.__init__(
            self, "TokCom Token Receiver", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.burst_sync = burst_sync(profile)
        self.stream_filter = stream_filter(streams)
        self.burst_demodulator = burst_demodulator(keys=keys)
        self.packet_decoder = packet_decoder(models, keys)
        self.token_recovery = token_recovery(
            models, mode, use_cmi, max_seconds=max_seconds, seed=seed, queue_size=queue_size, device=device, keys=keys
        )
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
