"""Text through receivers side by side, in noise that is known: what each makes of the same packets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.link.bursts import Receiver, TransmitConfig, Transmitter
from tokcom.link.known_noise import SymbolLink
from tokcom.link.recovery import FrameRecovery
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import CONTIGUOUS
from tokcom.tokenizers.text import TextTokenizer, Word

RECEIVERS = {
    "keep": "kept as decoded",
    "list": "channel and CRC",
    "frequencies": "channel, CRC and words' frequencies",
    "context": "channel, CRC and language model",
}
"""Evidence that a receiver weighs, by the receiver's name."""
TOKENS_PER_PACKET = 3


@dataclass(frozen=True)
class ReceivedText:
    """A text as a receiver shows it.

    Attributes:
        tokens: int32 (n,), LOST where a packet was kept that is no text.
        words: of the text, with what lies between them.
        wrong: bool (n,), tokens that are not those sent.
        log_odds: float64 (n_packets,), of list-decoded packets before calibration, as in `RecoveredFrame`; empty if
            there are none.
    """

    tokens: np.ndarray
    words: list[Word]
    wrong: np.ndarray
    log_odds: np.ndarray

    @property
    def text(self) -> str:
        """The text without marks."""
        return "".join(word.text for word in self.words)

    def shown(self) -> list[tuple[Word, bool]]:
        """The words without the white space between them, and whether each is wrong."""
        words = [word for word in self.words if not word.text.isspace()]
        return [(word, bool(self.wrong[word.tokens].any())) for word in words]


class TextLink:
    """Sends texts through noise to several receivers.

    Args:
        tokenizer: turns texts into tokens and back.
        codebook: of the tokens.
        recoveries: what makes frames whole, by the names of receivers.
        mcs: of all packets.
        tokens_per_packet: 1 to 64.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, tokenizer: TextTokenizer, codebook: Codebook, recoveries: Mapping[str, FrameRecovery],
        mcs: str = "16qam-1/2", tokens_per_packet: int = TOKENS_PER_PACKET,
    ):  # fmt: skip
        if tokenizer.codebook != codebook.name:
            raise ParameterError(f"the tokenizer is of {tokenizer.codebook}, the codebook {codebook.name}")
        self.tokenizer, self.recoveries = tokenizer, dict(recoveries)
        # In order, for a language model reads from the first word to the last.
        config = TransmitConfig(mcs, tokens_per_packet, layout=CONTIGUOUS)
        self.link = SymbolLink(Transmitter(config), Receiver([codebook]))

    def send(self, text: str, esn0_db: float, rng: np.random.Generator) -> "SentText":
        """A text behind the noise.

        Args:
            text: the text.
            esn0_db: Es/N0 in dB.
            rng: of the noise.

        Raises:
            TextError: the text cannot be sent.
        """
        frame = self.tokenizer.tokenize(text)
        (arrival,) = self.link.receive(self.link.transmit(frame).in_noise(esn0_db, rng))
        return SentText(self, frame.tokens, arrival)


@dataclass(frozen=True)
class SentText:
    """A text of which every receiver gets the same packets.

    Attributes:
        link: that it was sent by.
        tokens: int32 (n,), that were sent.
        arrival: what came (`link.arrival.Arrival`).
    """

    link: TextLink
    tokens: np.ndarray
    arrival: object

    def received(self, receiver: str) -> ReceivedText:
        """Decode with one of the receivers."""
        recovered = self.link.recoveries[receiver].recover(self.arrival.frame, self.arrival.received)
        tokens = recovered.frame.tokens
        words = self.link.tokenizer.words(tokens, recovered.confidence)
        return ReceivedText(tokens, words, tokens != self.tokens, recovered.log_odds)
