from collections.abc import Mapping, Sequence

import numpy as np
import pmt

from tokcom import keys
from tokcom.models.codebooks import codebook
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.installed import model_names
from tokcom.models.zoo import load_context
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.frames import FrameSeparator, KnownCodebook, SeparatedFrame
from tokcom.multiple_access.plan import MultiUserPlan, require_port
from tokcom.multiple_access.searcher import FoundMultiUserBurst
from tokcom.multiple_access.separation import SeparationSettings

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys
from ._pdu import make_pdu, required, vector_of
from .stream_filter import streams_of

DOUBTFUL = 0.9


class token_separator(BackgroundPduBlock):
    """Tell the tokens of several transmitters in a burst apart, by their channels and by what makes sense.

    Which transmitters there are, their offsets, channels and headers come from the burst itself. It works in a thread
    of its own behind a bounded queue, so that the flowgraph never waits for it.

    Input: message port "bursts", PDUs of c32 samples from Multiuser Sync.
    Output: message port "tokens", PDUs of s32 tokens, one frame of each transmitter, with stream_id (its port),
    frame_id, modality, codebook, codebook_size, grid, cmi, esn0_db, cfo, confidence, others (transmitters beside),
    queued.separator and dropped.separator; every token counts as one of its packets, and as lost where its confidence
    is below 0.9. Message port "superposed": the same frames as they come out where the other transmitters are taken for
    noise. Message port "hints": who is silent, not expected or not understood, in words.

    Parameters:
        models: models of the zoo, by name or folder, in a list or between commas.
        use_context: use what the models expect; without, channels alone decide.
        length: carriers of a token, 2 to 64.
        n_tokens: tokens of a frame, 1 to 4096.
        codebook_size: modulation vectors, 2 to 4096.
        codebook_seed: of the modulation vectors, the same everywhere; 0: fitted ones, if there are any of this
            length.
        rotate: turn the symbols of each port in its own way, which tells tokens apart where channels are alike; the
            same everywhere.
        expected: ports that are expected to send, between commas; empty: any.
        rounds: times at most that the models are asked while certain tokens become more, at least 0.
        sweeps: times at most that all that is doubtful is asked for again, at least 0.
        queue_size: largest number of bursts waiting, at least 1.
        drop: "oldest" or "newest": which burst is dropped, logged and counted when the queue is full.
        device: device of the networks: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "bursts", "tokens", "complex64", "separator"
    SUPERPOSED, HINTS = pmt.intern("superposed"), pmt.intern("hints")

    def __init__(
        self, models: str | Sequence[str] = DEFAULT_MODEL, use_context: bool = True, length: int = 12,
        n_tokens: int = 256, codebook_size: int = 1024, codebook_seed: int = 0, rotate: bool = False,
        expected: str = "", rounds: int = 6, sweeps: int = 3, queue_size: int = 8, drop: str = "oldest",
        device: str = "auto",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Token Separator", queue_size, drop)
        plan = MultiUserPlan(ModulationCodebook(codebook_size, length, codebook_seed), n_tokens, rotate)
        known = [
            KnownCodebook(codebook(name), load_context(name, device) if use_context else None)
            for name in model_names(models)
        ]
        ports = tuple(sorted(streams_of(expected))) or None
        for port in ports or ():
            require_port(port)
        self._separator = FrameSeparator(plan, known, SeparationSettings(rounds, sweeps), ports)
        self._hints: dict[str, int] = {}
        self.frames_separated = 0
        self.message_port_register_out(self.SUPERPOSED)
        self.message_port_register_out(self.HINTS)

    @property
    def bursts_dropped(self) -> int:
        """Bursts that found the queue full, or that were left when the flowgraph stopped."""
        return self.inputs_dropped

    def process(self, meta: Mapping, data: np.ndarray) -> None:
        burst = FoundMultiUserBurst(
            data, required(meta, keys.LONG_START, int), required(meta, keys.CFO, float),
            required(meta, keys.BURST_START, int), required(meta, keys.SYNC_METRIC, float),
        )  # fmt: skip
        result = self._separator.separate(burst, lambda: self._stopping)
        for hint in result.hints:
            self._tell(hint)
        queued = dict(zip((keys.QUEUED + self.STAGE, keys.DROPPED + self.STAGE), self.counters(), strict=True))
        for each in result.frames:
            self.frames_separated += 1
            described = self._described(each, burst) | queued | {keys.OTHERS: len(result.observed.users) - 1}
            self.message_port_pub(self._output, make_pdu(self._received, described, each.frame.tokens))
            self.message_port_pub(self.SUPERPOSED, make_pdu(self._received, described, each.superposed.tokens))

    def _described(self, each: SeparatedFrame, burst: FoundMultiUserBurst) -> dict:
        return frame_keys(each.frame) | {
            keys.STREAM_ID: each.user.port,
            keys.ESN0_DB: each.user.esn0_db,
            keys.CFO: burst.frequency + each.user.channel.frequency,
            keys.CONFIDENCE: vector_of(each.confidence),
            keys.PACKETS: len(each.confidence),
            keys.PACKETS_LOST: int((each.confidence < DOUBTFUL).sum()),
        }

    def _tell(self, hint: str) -> None:
        """Log a hint, and send it, each time that its number has doubled."""
        self._hints[hint] = self._hints.get(hint, 0) + 1
        if self._hints[hint].bit_count() == 1:
            self.logger.warn(f"{hint} ({self._hints[hint]} so far)")
            self.message_port_pub(self.HINTS, make_pdu(pmt.make_dict(), {keys.HINT: hint}, np.zeros(0, np.uint8)))
