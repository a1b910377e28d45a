from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tokcom import keys
from tokcom.coding.list_decoding import ListSettings
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.recovery import RecoverySettings
from tokcom.link.bursts import compile_kernels
from tokcom.models.zoo import DEFAULT_MODEL, load_recovery

from ._background import BackgroundPduBlock
from ._pdu import frame_of, header_of, misfit_of, vector_of


class token_recovery(BackgroundPduBlock):
    """Make frames whole: decode failed packets together with a masked transformer that knows the other tokens and the
    class label, and let it guess what is left.

    It works in a thread of its own behind a bounded queue, so that the flowgraph never waits for it. At the end of a
    finite run the block ends when its queue is empty; stopped before, it counts what is left as dropped.

    Input: message port "tokens", PDUs of s32 tokens, -1 where lost, with the LLRs, their misfit and what the burst's
    header says in their metadata. Without LLRs, lost tokens are guessed in every mode; without misfit, LLRs are
    believed as they are, though what was received be nothing that was ever sent.
    Output: message port "tokens_recovered", the same frames without losses, with mode, confidence and, where the
    packets are known, packets_open added and LLRs and misfit taken out, and queued.recovery and dropped.recovery:
    frames that wait and that were dropped so far.

    Parameters:
        model: a model of the zoo, by name or folder.
        mode: "context": channel, CRC and model decide together; "list": channel and CRC; "mask": lost tokens are
            guessed by the model (the paper); "keep": the Viterbi decoder's tokens as they are.
        use_cmi: tell the model the class label that came with the frame.
        rounds: times at most that each failed packet is decoded with the model, at least 1 (mode "context").
        list_size: token sequences at most that a packet's list holds, at least 1 (modes "list" and "context").
        max_seconds: time a frame, after which the best so far counts (mode "context"); 0: no limit.
        steps: passes at most in which tokens are guessed, at least 1.
        temperature: of the tokens guessed; 0 takes the likeliest.
        choice_temperature: of the noise on the order in which tokens are settled, falling to 0 at the last step.
        guidance: weight of classifier-free guidance towards the label.
        seed: seed of the draws.
        queue_size: frames that may wait, at least 1.
        drop: "oldest" or "newest": which frame is dropped, logged and counted when the queue is full.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "tokens_recovered", "int32", "recovery"

    def __init__(
        self, model: str = DEFAULT_MODEL, mode: str = "context", use_cmi: bool = True, rounds: int = 6,
        list_size: int = 4096, max_seconds: float = 0.0, steps: int = 8, temperature: float = 0.0,
        choice_temperature: float = 0.0, guidance: float = 0.0, seed: int = 0, queue_size: int = 16,
        drop: str = "oldest",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Token Recovery", queue_size, drop)
        compile_kernels()
        self._recovery = load_recovery(
            model, mode, masked=RecoverySettings(steps, temperature, choice_temperature, guidance, seed),
            context=ContextSettings(rounds=rounds, seconds=max_seconds or None), lists=ListSettings(list_size),
        )  # fmt: skip
        self._use_cmi = use_cmi
        self.frames_recovered = 0

    @property
    def frames_dropped(self) -> int:
        """Frames that found the queue full, or that were left when the flowgraph stopped."""
        return self.inputs_dropped

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        frame = frame_of(meta, data)
        if not self._use_cmi:
            frame = replace(frame, cmi=None)
        llrs = meta.get(keys.LLRS)
        header = None if llrs is None else header_of(meta)
        misfit = None if llrs is None else misfit_of(meta)
        recovered = self._recovery.recover(frame, header, llrs, lambda: self._stopping, misfit)
        if recovered.frame.lost.any():
            self.inputs_dropped += 1
            self.logger.warn(f"stopped: the frame in work is dropped ({self.inputs_dropped} so far)")
            return None
        self.frames_recovered += 1
        added = {
            keys.MODE: self._recovery.mode,
            keys.CONFIDENCE: vector_of(recovered.confidence),
            keys.LLRS: None,
            keys.MISFIT: None,
        }
        if llrs is not None or not frame.lost.any():
            added[keys.PACKETS_OPEN] = int((~recovered.packets_ok).sum())
        return added, recovered.frame.tokens
