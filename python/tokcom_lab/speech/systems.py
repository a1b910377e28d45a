"""Systems that bring speech through noise: tokens with several receivers, Codec2 and Lyra, all with K=7 and
packets of 80 ms."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.signal import resample_poly

from tokcom.context.condition import NOTHING, Condition
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.link.known_noise import PlainLink
from tokcom.link.packet_link import LinkConfig
from tokcom.link.recovery import FrameRecovery
from tokcom.packets.bits import bits_to_tokens, tokens_to_bits
from tokcom.packets.layout import CONTIGUOUS, SPREAD
from tokcom.tokenizers.codec2 import Codec2Tokenizer
from tokcom.tokenizers.lyra import LyraDecoder, LyraTokenizer
from tokcom.tokenizers.pitch import FRAME, RATE
from tokcom.tokenizers.speech import SpeechDecoder, SpeechTokenizer

PACKET_FRAMES = 2
"""Frames of 40 ms per packet."""
LYRA_WIDTH = 4
"""Bits per word of Lyra's."""
DROP = "drop"
"""Receiver that discards packets whose CRC fails; the decoder goes on with the sound before."""


class SpeechSystem(ABC):
    """Speech through noise that the receiver knows.

    Attributes:
        name: for tables.
        bit_rate: bits per second of the codec.
        symbols: constellation symbols per 80 ms.
        content: everything that determines its results beside its code.
    """

    content: list
    name: str
    bit_rate: float
    symbols: int

    @abstractmethod
    def through_noise(self, signal: np.ndarray, esn0_db: float, rng: np.random.Generator) -> np.ndarray:
        """Send a signal (n,) at an Es/N0, and return what is heard, float32 (n,)."""

    @abstractmethod
    def through_losses(self, signal: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """Send a signal (n,), lose each packet with a probability, and return what is heard, float32 (n,)."""


class TokenSystem(SpeechSystem):
    """Tokens of a `SpeechTokenizer`.

    Args:
        tokenizer: the tokenizer.
        receiver: "keep", "list", "context", "mask" or DROP.
        recovery: recovery of the receiver; None for DROP.
        frames: frames of 40 ms per frame of tokens; each packet has the words of two, spread over the frame.
        modulation: of all packets.
        content: of the model, as far as the receiver uses it.
    """

    def __init__(
        self, tokenizer: SpeechTokenizer, receiver: str, recovery: FrameRecovery | None, frames: int = 16,
        modulation: str = "bpsk", content: Sequence = (),
    ):  # fmt: skip
        self.content = ["tokens", receiver, frames, modulation, *content]
        self.name, self.bit_rate, self.frames = f"tokens {receiver}", tokenizer.bit_rate, frames
        self._tokenizer, self._recovery = tokenizer, recovery
        self._per_packet = PACKET_FRAMES * tokenizer.quantizers
        config = LinkConfig("k7", modulation, self._per_packet)
        self._link = PlainLink(config, tokenizer.codebook_size, layout=SPREAD)
        codec = config.codec(tokenizer.codebook_size)
        self.symbols = -(-codec.coded_length // config.constellation().bits_per_symbol)
        self._informed = recovery is not None and recovery.mode in ("context", "mask")

    def through_noise(self, signal: np.ndarray, esn0_db: float, rng: np.random.Generator) -> np.ndarray:
        def receive(frame: TokenFrame, condition: Condition) -> TokenFrame:
            (arrival,) = self._link.receive(self._link.transmit(frame, frame.frame_id).in_noise(esn0_db, rng))
            if self._recovery is None:
                return arrival.frame
            return self._recovery.recover(arrival.frame, arrival.received, condition=condition).frame

        return self._heard(signal, receive)

    def through_losses(self, signal: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        def receive(frame: TokenFrame, condition: Condition) -> TokenFrame:
            positions = self._link.transmit(frame, frame.frame_id).positions
            tokens = frame.tokens.copy()
            lost = positions[rng.random(len(positions)) < share]
            tokens[lost[lost >= 0]] = LOST
            if self._recovery is None:
                return frame.with_tokens(tokens)
            return self._recovery.recover(frame.with_tokens(tokens), condition=condition).frame

        return self._heard(signal, receive)

    def _heard(self, signal: np.ndarray, receive: object) -> np.ndarray:
        tokenizer, size = self._tokenizer, self.frames * FRAME
        whole = tokenizer.tokenize(np.pad(signal, (0, -len(signal) % size)))
        words = whole.tokens.reshape(whole.grid)
        decoder, heard, condition = SpeechDecoder(tokenizer), [], NOTHING
        for number, start in enumerate(range(0, words.shape[1], self.frames)):
            frame = receive(tokenizer.frame(words[:, start : start + self.frames], number), condition)
            heard.append(decoder.push(frame.tokens.reshape(frame.grid)))
            condition = Condition(before=frame) if self._informed else NOTHING
        return np.concatenate([*heard, decoder.finish()])[: len(signal)]


class BitSystem(SpeechSystem):
    """Bits of a codec; in place of a packet whose CRC fails, the sound before goes on and fades.

    Args:
        name: for tables.
        bit_rate: bits per second of the codec.
        bits: per frame of the codec, which is a whole part of a packet.
        frames: of the codec per packet.
        modulation, rate: of all packets.
    """

    def __init__(self, name: str, bit_rate: float, bits: int, frames: int, modulation: str, rate: str):
        self.name, self.content, self.bit_rate, self._frames = name, [name, modulation, rate], bit_rate, frames
        config = LinkConfig("k7", modulation, frames * bits, rate=rate)
        self._link = PlainLink(config, 2, layout=CONTIGUOUS)
        self.symbols = -(-config.codec(2).coded_length // config.constellation().bits_per_symbol)

    @abstractmethod
    def encode(self, signal: np.ndarray) -> np.ndarray:
        """Bits of a signal of whole packets, uint8 (frames, bits)."""

    @abstractmethod
    def decode(self, bits: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """The signal of bits, float32 (n,), without the codec's delay; `usable`, bool (frames,), says which came."""

    def through_noise(self, signal: np.ndarray, esn0_db: float, rng: np.random.Generator) -> np.ndarray:
        bits = self._encoded(signal)
        frame = BitFrame(bits.ravel().astype(np.int32), self.name)
        (arrival,) = self._link.receive(self._link.transmit(frame).in_noise(esn0_db, rng))
        received = arrival.frame.tokens.reshape(bits.shape)
        usable = (received != LOST).all(1)
        return self.decode(np.where(usable[:, None], received, 0), usable)[: len(signal)]

    def through_losses(self, signal: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        bits = self._encoded(signal)
        usable = np.repeat(rng.random(len(bits) // self._frames) >= share, self._frames)
        return self.decode(np.where(usable[:, None], bits, 0), usable)[: len(signal)]

    def _encoded(self, signal: np.ndarray) -> np.ndarray:
        return self.encode(np.pad(signal, (0, -len(signal) % (PACKET_FRAMES * FRAME))))


class Codec2System(BitSystem):
    """Bits of Codec2.

    Args:
        mode: of `codec2.MODES`, of 40 ms.
        modulation, rate: of all packets.
    """

    def __init__(self, mode: str, modulation: str, rate: str):
        self._codec, self._delay = Codec2Tokenizer(mode), codec2_delay(mode)
        bits = self._codec.mode.bits
        super().__init__(f"Codec2 {mode}", self._codec.bit_rate, bits, PACKET_FRAMES, modulation, rate)

    def encode(self, signal: np.ndarray) -> np.ndarray:
        return self._codec.encode(signal)

    def decode(self, bits: np.ndarray, usable: np.ndarray) -> np.ndarray:
        return np.pad(self._codec.decode(bits, usable)[self._delay :], (0, self._delay))


class LyraSystem(BitSystem):
    """Words of Lyra as bits, the signal brought to its 16 kHz and back.

    Args:
        tokenizer: the tokenizer.
        modulation, rate: of all packets.
    """

    def __init__(self, tokenizer: LyraTokenizer, modulation: str, rate: str):
        self._tokenizer = tokenizer
        hops = PACKET_FRAMES * FRAME * (tokenizer.rate // RATE) // tokenizer.hop
        bits = tokenizer.quantizers * LYRA_WIDTH
        super().__init__(f"Lyra {tokenizer.bit_rate:.0f}", tokenizer.bit_rate, bits, hops, modulation, rate)

    def encode(self, signal: np.ndarray) -> np.ndarray:
        faster = resample_poly(signal, self._tokenizer.rate // RATE, 1)
        frame = self._tokenizer.tokenize(np.clip(faster, -1, 1).astype(np.float32))
        return tokens_to_bits(frame.tokens.reshape(frame.grid).T, LYRA_WIDTH)

    def decode(self, bits: np.ndarray, usable: np.ndarray) -> np.ndarray:
        words = np.where(usable[:, None], bits_to_tokens(bits.astype(np.int32), LYRA_WIDTH), LOST)
        heard = LyraDecoder(self._tokenizer).push(words.T)
        return resample_poly(heard, 1, self._tokenizer.rate // RATE).astype(np.float32)


@cache
def codec2_delay(mode: str) -> int:
    """Samples by which a mode's output lags, as measured on a train of clicks by the envelopes' correlation."""
    rng = np.random.default_rng(0)
    time = np.arange(6 * 8000) / 8000
    gate = np.repeat(rng.random(40) < 0.5, 1200).astype(float)
    tone = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 25))
    signal = (0.08 * gate * tone).astype(np.float32)
    codec = Codec2Tokenizer(mode)
    heard = codec.decode(codec.encode(signal))[: len(signal)]
    smooth = np.ones(80) / 80
    own, theirs = (np.convolve(np.abs(each), smooth, "same") for each in (signal, heard))
    lags = range(0, 640, 8)
    return max(lags, key=lambda lag: float(np.corrcoef(own[: len(own) - lag], theirs[lag:])[0, 1]))
