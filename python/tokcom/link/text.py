"""Text through receivers side by side, in noise that is known: what each makes of the same packets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError
from tokcom.link.adaptation import Choice, LinkAdapter
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
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


def transmit_config(mcs: str = "16qam-1/2", tokens_per_packet: int = TOKENS_PER_PACKET) -> TransmitConfig:
    """Configuration of a transmitter of texts: in order, for a language model reads from the first word to the last.

    Raises:
        ParameterError: a parameter is out of its range.
    """
    return TransmitConfig(mcs, tokens_per_packet, layout=CONTIGUOUS)


class TextLink:
    """Sends texts through noise to several receivers.

    Args:
        tokenizer: turns texts into tokens and back.
        codebook: of the tokens.
        recoveries: what makes frames whole, by the names of receivers.
        config: `transmit_config`, which the adapter shares; None: its defaults.
        adapter: chooses the MCS of every packet and the power, for a channel that it knows; None: all packets have the
            MCS of the configuration.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, tokenizer: TextTokenizer, codebook: Codebook, recoveries: Mapping[str, FrameRecovery],
        config: TransmitConfig | None = None, adapter: LinkAdapter | None = None,
    ):  # fmt: skip
        if tokenizer.codebook != codebook.name:
            raise ParameterError(f"the tokenizer is of {tokenizer.codebook}, the codebook {codebook.name}")
        self.tokenizer, self.codebook, self.recoveries = tokenizer, codebook, dict(recoveries)
        self.adapter = adapter
        self.link = SymbolLink(Transmitter(config or transmit_config()), Receiver([codebook]))

    def adapted(self, adapter: LinkAdapter | None) -> "TextLink":
        """Return the same link with another adapter, of the same configuration of the transmitter."""
        return TextLink(self.tokenizer, self.codebook, self.recoveries, self.link.transmitter.config, adapter)

    def send(self, text: str, esn0_db: float, rng: np.random.Generator) -> "SentText":
        """A text behind the noise.

        Args:
            text: the text.
            esn0_db: Es/N0 in dB.
            rng: of the noise.

        Raises:
            TextError: the text cannot be sent.
        """
        frame, choice = self.tokenizer.tokenize(text), None
        if self.adapter is not None:
            choice = self.adapter.choose(frame, 0, np.array([esn0_db]))
        mcs, power_db = (None, 0.0) if choice is None else (choice.mcs, choice.power_db)
        (arrival,) = self.link.receive(self.link.transmit(frame, mcs=mcs).in_noise(esn0_db + power_db, rng))
        return SentText(self, frame.tokens, arrival, choice)


@dataclass(frozen=True)
class SentText:
    """A text of which every receiver gets the same packets.

    Attributes:
        link: that it was sent by.
        tokens: int32 (n,), that were sent.
        arrival: what came (`link.arrival.Arrival`).
        choice: of the link's adapter; None: it has none.
    """

    link: TextLink
    tokens: np.ndarray
    arrival: object
    choice: Choice | None = None

    def received(self, receiver: str) -> ReceivedText:
        """Decode with one of the receivers."""
        recovered = self.link.recoveries[receiver].recover(self.arrival.frame, self.arrival.received)
        tokens = recovered.frame.tokens
        words = self.link.tokenizer.words(tokens, recovered.confidence)
        return ReceivedText(tokens, words, tokens != self.tokens, recovered.log_odds)
