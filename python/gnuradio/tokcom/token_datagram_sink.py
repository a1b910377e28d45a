from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tokcom.errors import ParameterError
from tokcom.protocol.sender import DROPS, Sender, SenderSettings
from tokcom.protocol.udp import UdpSender, parse_address
from tokcom.security.keys import load_key

from ._frame_keys import frame_of
from ._network import NetworkThread
from ._pdu_block import PduBlock


class token_datagram_sink(PduBlock):
    """Send frames of tokens, or of bits, over UDP by the token protocol: a flowgraph may end at a network.

    Input: message port "tokens", PDUs of s32 tokens, or of bits, one frame each, as from image_tokenizer or
    packet_decoder. Packets with a lost token stay behind: the receiver guesses them.
    Output: message port "sent", the same PDUs.

    Parameters:
        address: "HOST:PORT" of a Token Datagram Source, of `tokcom listen`, or of a relay ahead of them.
        tokens_per_packet: tokens in each packet, 1 to 64.
        deadline: seconds for which a frame is sent and, where the receiver asks for it, sent again.
        rate: bytes per second at most; 0: what congestion control allows.
        drop: what is dropped where the rate does not suffice: "surest" or "random".
        key: file of a key that both ends share; empty: none.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "sent", "int32", "datagram_sink"

    def __init__(
        self, address: str = "127.0.0.1:4000", tokens_per_packet: int = 4, deadline: float = 2.0, rate: float = 0.0,
        drop: str = "surest", key: str = "",
    ):  # fmt: skip
        PduBlock.__init__(self, "Token Datagram Sink")
        if drop not in DROPS:
            raise ParameterError(f"drop is {drop!r}; it must be one of {', '.join(DROPS)}")
        if not rate >= 0:
            raise ParameterError(f"rate is {rate}; it must be at least 0 bytes per second")
        self._to = parse_address(address)
        secret = load_key(Path(key)).derive("token session") if key else b""
        self._settings = SenderSettings(
            tokens_per_packet, deadline_s=deadline, max_rate=rate or None, drop=drop, secret=secret
        )
        self._thread: NetworkThread | None = None
        self._end: UdpSender | None = None

    def start(self) -> bool:
        thread = NetworkThread(self.STAGE)
        self._end = thread.begin(lambda: UdpSender(Sender(self._settings), *self._to))
        self._thread = thread
        return True

    def stop(self) -> bool:
        if self._thread is not None:
            self._thread.wait_for(self._end.finish(self._settings.deadline_s), self._settings.deadline_s + 10)
            self._thread.call(self._end.close)
            self._thread.stop()
            self._thread = None
        return True

    @property
    def connected(self) -> bool:
        """Whether the receiver has answered."""
        return self._end is not None and self._end.sender.connected

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame, end = frame_of(meta, data), self._end
        self._thread.call(lambda: end.offer(frame))
        return {}, data
