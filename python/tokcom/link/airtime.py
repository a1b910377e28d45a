"""Budgets of airtime: the number of bits that a burst of limited length carries."""

import numpy as np

from tokcom.errors import FrameError, HeaderError, ParameterError
from tokcom.frame import MAX_TOKENS, BitFrame, Payload
from tokcom.link.bursts import TransmitConfig, Transmitter
from tokcom.packets.header import MAX_PACKETS
from tokcom.phy.burst import plan_burst
from tokcom.phy.profile import profile


def frame_samples(outline: Payload, config: TransmitConfig) -> int:
    """Compute the length in samples of a frame's burst, preamble and header included.

    Args:
        outline: the frame; its tokens do not matter.
        config: settings.

    Raises:
        HeaderError: no burst can be that long.
        ParameterError: no header can describe the frame.
    """
    sender = Transmitter(config)
    per_packet = sender.per_packet(outline)
    mcs = sender.choose_mcs(-(-len(outline.tokens) // per_packet))
    return plan_burst(sender.header(outline, 0, mcs, per_packet), profile(config.profile)).length


def burst_samples(bits: int, config: TransmitConfig) -> int:
    """Compute the length in samples of a burst with a frame of bits, preamble and header included.

    Args:
        bits: number of bits, at least 1.
        config: settings; packets have `bits_per_packet` bits.

    Raises:
        HeaderError: no burst can be that long.
        ParameterError: no header can describe the frame.
    """
    return frame_samples(BitFrame(np.zeros(bits, np.int32), "content"), config)


def bits_in_airtime(samples: int, config: TransmitConfig) -> int:
    """Compute the number of bits of the longest frame, in whole packets, whose burst is not longer than `samples`.

    A frame that is padded to that many bits meets the budget exactly, up to less than a packet.

    Args:
        samples: length of a burst, preamble and header included.
        config: settings; packets have `bits_per_packet` bits.

    Raises:
        ParameterError: not even one packet fits.
    """
    low, high = 0, min(MAX_PACKETS, MAX_TOKENS // config.bits_per_packet)
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(middle * config.bits_per_packet, samples, config):
            low = middle
        else:
            high = middle - 1
    if not low:
        shortest = burst_samples(config.bits_per_packet, config)
        raise ParameterError(f"samples is {samples}; a burst of one packet takes {shortest}")
    return low * config.bits_per_packet


def _fits(bits: int, samples: int, config: TransmitConfig) -> bool:
    try:
        return burst_samples(bits, config) <= samples
    except (HeaderError, ParameterError, FrameError):
        return False
