"""Lengths of bursts, and budgets of bits or airtime: the number of a frame's tokens that they hold."""

from dataclasses import replace

from tokcom.errors import HeaderError, ParameterError
from tokcom.frame import Payload, TokenFrame
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.bits import bits_per_token
from tokcom.packets.thinning import REGIONS_PER_SIDE, Thinning, packets_sent, rule_bytes
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
    sent = packets_sent(outline.thinning, outline.grid, per_packet)
    mcs = sender.choose_mcs(-(-len(outline.tokens) // per_packet), sent)
    return plan_burst(sender.header(outline, 0, mcs, per_packet), profile(config.profile)).length


def tokens_in_bits(bits: int, outline: TokenFrame, rule: str, tokens_per_packet: int) -> int:
    """Compute the number of a frame's tokens, in whole packets, that a budget in bits holds together with their rule.

    Args:
        bits: number of bits of tokens and rule.
        outline: the frame; its tokens do not matter.
        rule: one of `packets.thinning.RULES`.
        tokens_per_packet: tokens per packet.

    Returns:
        The number of tokens; all of the frame if they fit without a rule.

    Raises:
        ParameterError: not even one packet fits.
    """
    width, size = bits_per_token(outline.codebook_size), len(outline.tokens)
    if size * width <= bits:
        return size
    overhead = 8 * rule_bytes(rule, outline.grid)
    packets = min((bits - overhead) // (width * tokens_per_packet), _most_packets(outline, tokens_per_packet))
    if packets < 1:
        raise ParameterError(
            f"bits is {bits}; a packet of {tokens_per_packet} tokens and the rule {rule!r} take "
            f"{overhead + width * tokens_per_packet}"
        )
    return packets * tokens_per_packet


def tokens_in_airtime(samples: int, outline: TokenFrame, rule: str, config: TransmitConfig) -> int:
    """Compute the number of a frame's tokens, in whole packets, of the longest burst that is not longer than `samples`.

    Args:
        samples: length of a burst, preamble and header included.
        outline: the frame; its tokens do not matter.
        rule: one of `packets.thinning.RULES`.
        config: settings.

    Returns:
        The number of tokens; all of the frame if they fit without a rule.

    Raises:
        HeaderError: no burst can be that long.
        ParameterError: not even one packet fits, or no header can describe the frame.
    """
    if _fits(outline, samples, config):
        return len(outline.tokens)
    per_packet = config.tokens_per_packet
    low, high = 0, _most_packets(outline, per_packet)
    while low < high:
        middle = (low + high + 1) // 2
        if frame_samples(_thinned(outline, rule, middle * per_packet), config) <= samples:
            low = middle
        else:
            high = middle - 1
    if not low:
        shortest = frame_samples(_thinned(outline, rule, per_packet), config)
        raise ParameterError(f"the budget is {samples} samples; a burst of one packet takes {shortest}")
    return low * per_packet


def _most_packets(outline: TokenFrame, tokens_per_packet: int) -> int:
    """Number of packets that leave out at least one token of a frame."""
    return max((len(outline.tokens) - 1) // tokens_per_packet, 1)


def _fits(outline: TokenFrame, samples: int, config: TransmitConfig) -> bool:
    try:
        return frame_samples(outline, config) <= samples
    except HeaderError:
        return False


def _thinned(outline: TokenFrame, rule: str, count: int) -> TokenFrame:
    """Outline of a frame of which `count` tokens are sent by a rule, whichever."""
    levels = (0,) * (REGIONS_PER_SIDE**2 if rule == "regions" else 0)
    places = tuple(range(count if rule == "places" else 0))
    return replace(outline, thinning=Thinning(rule, count, levels, places).to_bytes(outline.grid))
