import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from tokcom import keys
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError, TokcomError
from tokcom.frame import BITS, BitFrame
from tokcom.link.modes import MODES
from tokcom.models.by_codebook import load_recoveries
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_repeat_risk
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.installed import model_card, model_names
from tokcom.models.zoo import load_context
from tokcom.protocol.incoming import ReceivedFrame, WaitSettings
from tokcom.protocol.receiver import REPEATS, Question, Receiver, ReceiverSettings
from tokcom.protocol.repeat_requests import RepeatPolicy
from tokcom.protocol.udp import UdpReceiver, resolve
from tokcom.protocol.whole import FrameKeeper
from tokcom.security.keys import load_key

from ._frame_keys import frame_keys
from ._network import NetworkThread
from ._pdu import make_pdu, vector_of
from ._pdu_block import reason

MAX_SECONDS = 10.0
"""Seconds per frame for which a language model may fill in."""
MAX_WAITING = 256
"""Largest number of frames waiting to be made whole; those that come then, or that would make them more than
`ReceiverSettings.max_bytes` together, are refused."""


class token_datagram_source(gr.basic_block):
    """Receive frames of tokens, or of bits, over UDP by the token protocol: a flowgraph may begin at a network.

    Output: message port "tokens", PDUs of s32 tokens, one frame each, -1 where a token is lost and nobody guesses it,
    with modality, codebook, codebook_size, grid, cmi_name, packets and packets_lost in the metadata, and the confidence
    in each token where some were guessed: for Token Packetizer, Image Detokenizer or Text Detokenizer. Message port
    "bits": the same of frames of bits.

    Parameters:
        port: UDP port to listen at.
        host: address to listen at; "0.0.0.0": all of them.
        models: models whose codebooks are known, by name or folder, in a list or between commas.
        repeats: which lost packets are asked for: "context": those that the model cannot tell; "all"; "none".
        alpha: share of a frame's tokens that may be wrong because they were not asked for.
        deadline: seconds from a frame's first packet until it goes on as it is.
        mode: how lost tokens are recovered: "mask", "keep", "list", "context", or "none": they stay -1.
        key: file of a key that both ends share; empty: none.
        server: address of an edge server whose context model recovers lost tokens, as in Token Recovery; empty: none.
    """

    TOKENS, BITS = pmt.intern("tokens"), pmt.intern("bits")

    def __init__(
        self, port: int = 4000, host: str = "127.0.0.1", models: str | Sequence[str] = DEFAULT_MODEL,
        repeats: str = "context", alpha: float = 0.1, deadline: float = 0.5, mode: str = "mask", key: str = "",
        server: str = "",
    ):  # fmt: skip
        gr.basic_block.__init__(self, name="Token Datagram Source", in_sig=None, out_sig=None)
        if repeats not in REPEATS:
            raise ParameterError(f"repeats is {repeats!r}; it must be one of {', '.join(REPEATS)}")
        if mode not in (*MODES, "none"):
            raise ParameterError(f"mode is {mode!r}; it must be one of {', '.join((*MODES, 'none'))}")
        if not 0 < alpha < 1 or not deadline > 0:
            raise ParameterError(
                f"alpha is {alpha}, deadline {deadline}; the first lies between 0 and 1, the other above 0"
            )
        self.message_port_register_out(self.TOKENS)
        self.message_port_register_out(self.BITS)
        resolve(host, port)
        self._bind, self._alpha = (host, port), alpha
        self._books = {codebook(name).name: name for name in model_names(models)}
        self._classes = {book: model_card(name).classes for book, name in self._books.items()}
        recovery = None
        if mode != "none":
            limits = ContextSettings(seconds=MAX_SECONDS)
            recovery = load_recoveries(models, mode, server=server, told=self.logger.warn, context=limits)
        self._keeper = FrameKeeper(recovery, self._policy)
        if repeats == "context":
            for book in self._books:
                self._keeper.prepare(book)
        secret = load_key(Path(key)).derive("token session") if key else b""
        self._settings = ReceiverSettings(repeats, WaitSettings(deadline_s=deadline), secret=secret)
        self._thread: NetworkThread | None = None
        self._end: UdpReceiver | None = None
        self.frames_refused = 0

    def _policy(self, book: str) -> RepeatPolicy | None:
        name = self._books.get(book)
        if name is None:
            return None
        prior: Prior = load_context(name)
        try:
            return RepeatPolicy(prior, load_repeat_risk(name), self._alpha)
        except ModelError as error:
            self.logger.warn(f"all lost packets are asked for: {error}")
            return None

    @property
    def port(self) -> int:
        """The port that is listened at."""
        return self._bind[1] if self._end is None else self._end.port

    def start(self) -> bool:
        known = [codebook(name) for name in self._books.values()]
        # One worker keeps the frames in order.
        self._worker, self._waiting, self._waiting_bytes = ThreadPoolExecutor(1), 0, 0
        thread, receiver = NetworkThread("datagram_source"), Receiver(known, self._settings)
        self._end = thread.begin(lambda: UdpReceiver(receiver, *self._bind, self._deliver, self._judge))
        self._thread = thread
        return True

    def stop(self) -> bool:
        if self._thread is not None:
            self._thread.call(self._end.close)
            self._worker.shutdown()
            self._thread.stop()
            self._thread = None
        return True

    async def _judge(self, question: Question) -> np.ndarray:
        return await asyncio.get_running_loop().run_in_executor(None, self._keeper.wanted, question)

    def _deliver(self, received: ReceivedFrame) -> None:
        n_bytes = received.n_bytes
        full = self._waiting_bytes + n_bytes > self._settings.max_bytes
        if self._waiting >= MAX_WAITING or (self._waiting and full):
            self._refuse(f"{self._waiting} of {self._waiting_bytes} bytes wait already")
            return
        self._waiting += 1
        self._waiting_bytes += n_bytes
        published = asyncio.get_running_loop().run_in_executor(self._worker, self._publish, received)
        published.add_done_callback(lambda _: self._done(n_bytes))

    def _done(self, n_bytes: int) -> None:
        self._waiting -= 1
        self._waiting_bytes -= n_bytes

    def _refuse(self, why: str) -> None:
        self.frames_refused += 1
        self.logger.warn(f"frame refused ({self.frames_refused} so far): {why}")

    def _publish(self, received: ReceivedFrame) -> None:
        try:
            whole = self._keeper.whole(received)
            frame = whole.frame
            meta = frame_keys(frame) | {keys.PACKETS: whole.packets, keys.PACKETS_LOST: whole.packets_lost}
            classes = self._classes.get(frame.codebook, ())
            if frame.cmi is not None and frame.cmi < len(classes):
                meta[keys.CMI_NAME] = classes[frame.cmi]
            if isinstance(frame, BitFrame):
                meta[keys.PAYLOAD] = BITS
            elif whole.guessed:
                meta[keys.CONFIDENCE] = vector_of(whole.confidence)
            port = self.BITS if isinstance(frame, BitFrame) else self.TOKENS
            self.message_port_pub(port, make_pdu(pmt.make_dict(), meta, frame.tokens))
        except (TokcomError, ValueError) as error:
            self._refuse(reason(error))
