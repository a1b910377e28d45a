from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import BitFrame
from tokcom.link.frame_thinner import FrameThinner
from tokcom.link.transmitter import TransmitConfig
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.source_coding import load_chooser

from ._background import BackgroundPduBlock
from ._frame_keys import frame_keys, frame_of


class token_thinner(BackgroundPduBlock):
    """Leave out tokens that the task needs least, so that a frame fits a budget in bits or airtime; the receiver's
    model fills them in.

    The burst's header carries the rule that says which tokens are sent: Token Receiver needs no setting. All frames of
    one shape fill the budget to the same packet, and have the same airtime. It works in a separate thread behind a
    bounded queue, on the CPU.

    Input: message port "tokens", PDUs of s32 tokens, one whole frame each.
    Output: message port "tokens", the same frames, -1 where a token is not sent, with thinning (the rule) added, and
        queued.thinner and dropped.thinner: numbers of frames waiting and dropped so far. A frame that fits the budget
        passes unchanged.

    Parameters:
        model: a model of the zoo, by name or folder, whose networks choose.
        choice: "spread": evenly spread tokens; "checkerboard": one colour, then the other; "regions": more tokens of
            the regions that matter to the class of the picture; "relevance": tokens whose guess by the receiver's model
            would change the picture and its class most; "distortion": the picture alone; "surprise": tokens that the
            model expects least. The first two need no network; the last three are signalled by a map of one bit per
            token.
        bits: largest number of bits of tokens and rule per frame, channel code not counted; 0 for no such budget.
        airtime: largest duration of a burst in seconds, with preamble and header; 0 for no such budget. Exactly one of
            the two budgets must be above 0.
        mcs: MCS with which the frames are sent, as in Token Transmitter.
        tokens_per_packet: tokens in each packet, as in Token Transmitter.
        profile: "standard" or "robust", as in Token Transmitter.
        sample_rate: sample rate in Hz.
        queue_size: largest number of frames waiting, at least 1; beyond it the oldest are dropped, logged and counted.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "tokens", "tokens", "int32", "thinner"

    def __init__(
        self, model: str = DEFAULT_MODEL, choice: str = "regions", bits: int = 0, airtime: float = 0.005,
        mcs: str = "16qam-1/2", tokens_per_packet: int = 4, profile: str = "standard", sample_rate: float = 1e6,
        queue_size: int = 16,
    ):  # fmt: skip
        BackgroundPduBlock.__init__(self, "Token Thinner", queue_size)
        if not 0 < sample_rate <= 1e12:
            raise ParameterError(f"sample_rate is {sample_rate}; it must be above 0 Hz and at most 1e12")
        if not 0 <= airtime <= 3600:
            raise ParameterError(f"airtime is {airtime}; it must be 0 to 3600 seconds")
        config = TransmitConfig(mcs, tokens_per_packet, profile)
        # Rounded down, but not for the sake of binary fractions.
        samples = int(airtime * sample_rate + 1e-6)
        self._thinner = FrameThinner(load_chooser(model, choice), config, bits, samples)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        frame = frame_of(meta, data)
        if isinstance(frame, BitFrame):
            raise FrameError(f"frame {frame.frame_id} holds bits; only tokens can be left out")
        thinned = self._thinner.thin(frame)
        return {keys.THINNING: None} | frame_keys(thinned), thinned.tokens
