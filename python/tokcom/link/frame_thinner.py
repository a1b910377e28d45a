"""Frames of which as many tokens are sent as a budget holds."""

from dataclasses import dataclass

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.airtime import tokens_in_airtime, tokens_in_bits
from tokcom.link.transmitter import TransmitConfig
from tokcom.source.chooser import TokenChooser


@dataclass(frozen=True, eq=False)
class FrameThinner:
    """Thins frames to a budget in bits or in airtime, which every frame of the same shape fills to the same packet.

    Args:
        chooser: what chooses the tokens.
        config: settings with which the frames will be sent.
        bits: largest number of bits of tokens and rule per frame; 0 for none.
        samples: largest length of a burst, preamble and header included; 0 for none.

    Raises:
        ParameterError: not exactly one of the budgets is given.
    """

    chooser: TokenChooser
    config: TransmitConfig
    bits: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        if min(self.bits, self.samples) < 0 or (self.bits > 0) == (self.samples > 0):
            raise ParameterError(
                f"the budget is {self.bits} bits and {self.samples} samples; exactly one must be above 0"
            )

    def count(self, outline: TokenFrame) -> int:
        """Compute the number of tokens that are sent of a frame, whose tokens do not matter.

        Raises:
            ParameterError: the budget does not hold one packet, or the frame is too large to be thinned.
        """
        if self.bits:
            return tokens_in_bits(self.bits, outline, self.chooser.rule, self.config.tokens_per_packet)
        return tokens_in_airtime(self.samples, outline, self.chooser.rule, self.config)

    def thin(self, frame: TokenFrame) -> TokenFrame:
        """Leave only the tokens that the budget holds, with the rule that tells them.

        Raises:
            FrameError: a token of the frame is lost.
            ModelError: the frame does not have the model's codebook and grid.
            ParameterError: as `count`.
        """
        if frame.lost.any():
            raise FrameError(f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; it must be whole")
        return self.chooser.thin(frame, self.count(frame))
