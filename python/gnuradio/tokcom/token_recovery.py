from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tokcom import keys
from tokcom.coding.list_decoding import ListSettings
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.recovery import RecoverySettings
from tokcom.frame import TokenFrame
from tokcom.link.bursts import compile_kernels
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import LeftOver, RecoveredFrame
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.models.by_codebook import load_recoveries
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.security.keyring import Keyring

from ._background import BackgroundPduBlock
from ._burst_keys import header_of, misfit_of
from ._frame_keys import frame_of
from ._pdu import vector_of
from ._pdu_block import Unknown


class token_recovery(BackgroundPduBlock):
    """Recover frames: decode failed packets jointly with a masked transformer that knows the other tokens and the class
    label, and let it guess the rest.

    It works in a separate thread behind a bounded queue, so that the flowgraph never waits for it; on a GPU, waiting
    frames are decoded together. At the end of a finite run the block finishes when its queue is empty; if it is stopped
    before, the rest is counted as dropped. A frame of an unknown codebook is passed on unchanged and counted in
    `frames_unknown`, and its codebook is logged the first time.

    Input: message port "tokens", PDUs of s32 tokens, -1 where lost, with the LLRs, their misfit and the fields of the
        burst's header in their metadata. Without LLRs, lost tokens are guessed in every mode; without misfit, LLRs are
        taken at face value, even if the received signal matches nothing that could have been sent.
    Output: message port "tokens_recovered", the same frames without losses, with mode, confidence and, if the packets
        are known, packets_open added and LLRs and misfit removed, and queued.recovery and dropped.recovery: numbers of
        frames waiting and dropped so far.

    Parameters:
        models: models of the zoo, by name or folder, as a list or separated by commas. A single one is loaded at once;
            of several, each with its first frame; modes "list" and "keep" load networks only when a packet was not
            sent.
        mode: "context": channel, CRC and model decide jointly; "list": channel and CRC; "mask": lost tokens are guessed
            by the model (the paper); "keep": the Viterbi decoder's tokens are kept.
        use_cmi: use the class label and the description sent with the frame.
        rounds: largest number of decodings per failed packet with the model, at least 1 (mode "context").
        list_size: largest number of token sequences on a packet's list, at least 1 (modes "list" and "context").
        max_seconds: time limit per frame, after which the best result so far is used (mode "context"); 0 for no limit.
        steps: largest number of passes in which tokens are guessed, at least 1.
        temperature: temperature of guessed tokens; 0 takes the most likely.
        choice_temperature: temperature of the noise on the order in which tokens are settled, falling to 0 at the last
            step.
        guidance: weight of classifier-free guidance towards the label.
        seed: seed of the draws.
        queue_size: largest number of frames waiting, at least 1.
        drop: "oldest" or "newest": which frame is dropped, logged and counted when the queue is full.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        keys: files of the keys of encrypted bursts, as a list or separated by commas, as in Packet Decoder.
        server: address of an edge server (`tokcom serve`) that has the models' contexts, such as tcp://127.0.0.1:5570;
            where it fails, which is logged, the device's own model answers within the same deadline. Empty for none.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "tokens_recovered", "int32", "recovery"

    def __init__(
        self, models: str | Sequence[str] = DEFAULT_MODEL, mode: str = "context", use_cmi: bool = True, rounds: int = 6,
        list_size: int = 4096, max_seconds: float = 0.0, steps: int = 8, temperature: float = 0.0,
        choice_temperature: float = 0.0, guidance: float = 0.0, seed: int = 0, queue_size: int = 16,
        drop: str = "oldest", device: str = "auto", keys: str | Sequence[str] = "", server: str = "",
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Token Recovery", queue_size, drop)
        compile_kernels()
        self._recoveries = load_recoveries(
            models, mode, device, masked=RecoverySettings(steps, temperature, choice_temperature, guidance, seed),
            context=ContextSettings(rounds=rounds, seconds=max_seconds or None), lists=ListSettings(list_size),
            server=server, told=self.logger.warn,
        )  # fmt: skip
        self._streams = StreamRecovery(self._recoveries)
        self.at_once = self._recoveries.at_once
        codebooks = list(self._recoveries.members.codebooks.values())
        self._receiver = Receiver(codebooks, keys=Keyring.of_files(keys))
        self._mode, self._use_cmi = mode, use_cmi
        self._unknown = Unknown(self)
        self.frames_recovered = 0

    @property
    def frames_dropped(self) -> int:
        """Number of frames dropped because the queue was full or the flowgraph stopped."""
        return self.inputs_dropped

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        (result,) = self.process_all([(meta, data)])
        if isinstance(result, Exception):
            raise result
        return result

    def process_all(
        self, frames: list[tuple[Mapping, np.ndarray]]
    ) -> list[tuple[dict, np.ndarray] | Exception | None]:  # fmt: skip
        results: list[tuple[dict, np.ndarray] | Exception | None] = [None] * len(frames)
        left: dict[int, tuple[Hashable, LeftOver]] = {}
        for number, (meta, data) in enumerate(frames):
            try:
                frame = frame_of(meta, data)
                if self._recoveries.find(frame) is None:
                    results[number] = self._passed_on(frame)
                else:
                    left[number] = _stream_of(meta), self._left_over(frame, meta)
            except Exception as error:
                results[number] = error
        recovered = self._streams.recover_all(list(left.values()), lambda: self._stopping)
        for (number, (_, each)), found in zip(left.items(), recovered, strict=True):
            results[number] = found if isinstance(found, Exception) else self._made_whole(each, found)
        return results

    def _left_over(self, frame: TokenFrame, meta: Mapping) -> LeftOver:
        if not self._use_cmi:
            frame = replace(frame, cmi=None, description=b"")
        llrs = meta.get(keys.LLRS)
        if llrs is None:
            return LeftOver(frame)
        return LeftOver(frame, self._receiver.received(llrs, header_of(meta), misfit_of(meta)))

    def _passed_on(self, frame: TokenFrame) -> tuple[dict, np.ndarray]:
        self._unknown.count_frame(frame, self._recoveries.known(), "passed on unchanged")
        return {keys.LLRS: None, keys.MISFIT: None}, frame.tokens

    def _made_whole(self, left: LeftOver, recovered: RecoveredFrame) -> tuple[dict, np.ndarray] | None:
        if recovered.frame.lost.any():
            self.inputs_dropped += 1
            self.logger.warn(f"stopped: the frame in progress is dropped ({self.inputs_dropped} so far)")
            return None
        self.frames_recovered += 1
        added = {
            keys.MODE: self._mode,
            keys.CONFIDENCE: vector_of(recovered.confidence),
            keys.LLRS: None,
            keys.MISFIT: None,
        }
        if left.received is not None or not left.frame.lost.any():
            added[keys.PACKETS_OPEN] = int((~recovered.packets_ok).sum())
        return added, recovered.frame.tokens


def _stream_of(meta: Mapping) -> Hashable:
    """Name the stream of a frame: what a key protects must not continue what none does."""
    seal = meta.get(keys.SEAL)
    return meta.get(keys.STREAM_ID), None if seal is None else tuple(seal)[:2]
