"""Short texts, each coded by itself with a language model: a few bytes instead of dozens.

A coded message is one bit 1, a hash of CHECK_BITS bits, and the coder's bits; the last byte is filled with zeros. If
that is not shorter, the message is sent as it is, in UTF-8, whose first byte begins with a bit 0 if the text begins
with ASCII; otherwise, a byte 0 comes first. So no message is longer than its UTF-8 by more than one byte.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokcom.context.causal import CausalPrior, Paths
from tokcom.context.condition import NOTHING
from tokcom.errors import ModelError, SourceError
from tokcom.source.causal_code import Ending, check_bits, decode_causal, encode_causal
from tokcom.source.dither import MARGIN
from tokcom.source.range_coder import DecisionEncoder
from tokcom.tokenizers.text import TextTokenizer

CHECK_BITS = 8
PLAIN = b"\0"
"""Byte before a text that is sent as it is and does not begin with ASCII."""
MOST_BYTES = 1 << 12
"""Longest message."""
PRIMER = """Good morning all, how is everyone today?
Copy, loud and clear
Testing new antenna, anyone receive me?
Hello from the hill, 5 hops away
Ok thanks
Battery is at 80%, solar is working fine
Heading home now, see you at 6
Yes it works!
"""
"""Lines that the model reads before each message, so that it expects short messages over radio. Both ends must use the
same."""


@dataclass(frozen=True, eq=False)
class MessageCoder:
    """Encoder and decoder of messages.

    Args:
        prior: a language model in full precision.
        tokenizer: the tokenizer of its codebook.
        primer: text that the model reads first; empty for none.
        margin: largest difference between the decoder's and the encoder's log-odds.

    Raises:
        ModelError: tokenizer and prior are of different codebooks.
        SourceError: constriction is not installed.
    """

    prior: CausalPrior
    tokenizer: TextTokenizer
    primer: str = PRIMER
    margin: float = MARGIN

    def __post_init__(self) -> None:
        DecisionEncoder()  # Report missing constriction now, not with the first message.
        if self.tokenizer.codebook != self.prior.codebook:
            raise ModelError(f"the tokenizer is of {self.tokenizer.codebook}, the model of {self.prior.codebook}")

    @cached_property
    def ending(self) -> Ending:
        """Decisions that tell where a message ends."""
        return Ending(line_ends(self.tokenizer))

    @cached_property
    def _primed(self) -> Paths:
        paths = self.prior.paths(NOTHING)
        if self.primer:
            paths.follow(self.tokenizer.tokenize(self.primer).tokens, weigh=False)
        return paths

    def encode(self, text: str) -> bytes:
        """Encode a message.

        Raises:
            SourceError: it is empty, or longer than MOST_BYTES.
            TextError: it is no Unicode.
        """
        plain = require_message(text)
        tokens = self.tokenizer.tokenize(text).tokens
        check = check_bits(self.prior.codebook, tokens, CHECK_BITS)
        coded = np.concatenate([[1], check, encode_causal(tokens, self._primed.fork(), self.ending, self.margin)])
        plain = plain if 0 < plain[0] < 128 else PLAIN + plain
        packed = np.packbits(coded).tobytes()
        return packed if len(packed) < len(plain) else plain

    def decode(self, data: bytes) -> str:
        """Decode a message.

        Args:
            data: from `encode`, of any origin.

        Raises:
            SourceError: it is corrupt, or was coded with another model or primer.
        """
        if not 0 < len(data) <= MOST_BYTES + 1:
            raise SourceError(f"the message has {len(data)} bytes; it must have 1 to {MOST_BYTES + 1}")
        if data[0] < 128:
            try:
                return data.removeprefix(PLAIN).decode()
            except UnicodeDecodeError as error:
                raise SourceError(f"byte {error.start} of the message is not UTF-8: it is corrupt") from None
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        coded, paths = bits[1 + CHECK_BITS :], self._primed.fork()
        tokens = np.array(
            list(decode_causal(coded, paths, self.prior.codebook_size, None, self.ending, MOST_BYTES)), np.int32
        )
        if not np.array_equal(check_bits(self.prior.codebook, tokens, CHECK_BITS), bits[1 : 1 + CHECK_BITS]):
            raise SourceError("its check fails: it is corrupt, or was coded with another model or primer")
        return self.tokenizer.detokenize(tokens)


def require_message(text: str) -> bytes:
    """Return a message in UTF-8, or raise SourceError if it is empty, or longer than MOST_BYTES."""
    plain = text.encode("utf-8", "surrogatepass")
    if not 0 < len(plain) <= MOST_BYTES:
        raise SourceError(f"the message has {len(plain)} bytes; it must have 1 to {MOST_BYTES}")
    return plain


def line_ends(tokenizer: TextTokenizer) -> np.ndarray:
    """Find the words that begin with a line's end, and the control words, int (n,)."""
    ends = [word for word in range(tokenizer.codebook_size) if tokenizer.detokenize(np.array([word]))[:1] == "\n"]
    return np.array(sorted({*ends, *tokenizer.control}))
