"""Repeat requests for text: by a CRC, or by the posterior of a decoder that needs none.

Packets are sent until the receiver has what it wants of them; all transmissions of a packet are added (Chase, 1985).
With a CRC, packets are asked for again whose CRC fails after the Viterbi decoder. Without one, nothing but tokens is on
the air, the language model takes part in the decoding, and packets are asked for again whose posterior is too low.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from tokcom.context.joint_decoding import ContextSettings
from tokcom.frame import TokenFrame
from tokcom.link.known_noise import PlainLink
from tokcom.link.packet_link import LinkConfig
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery
from tokcom.models.recovery import load_recovery
from tokcom.packets.layout import CONTIGUOUS
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.cache import code_of
from tokcom_lab.curves.crossing import esn0_at
from tokcom_lab.curves.text_curve import TextBench

MODULATION, TOKENS_PER_PACKET = "16qam", 3
CODES = {"crc": "k7", "posterior": "k7-bare"}
"""Rows of codes.json by scheme: CRC-16, and no check."""
TRANSMISSIONS = 6
"""Largest number per packet."""
AIRTIME = 1.2
"""Airtime at which Es/N0s are compared, over that of packets with a CRC that are sent once."""


@dataclass(frozen=True)
class Delivered:
    """A message after its repeats.

    Attributes:
        symbols: sent in all.
        tokens, wrong: number of tokens, and of those that are wrong at the end.
        rounds: transmissions of the packet that was sent most often.
        open: packets that the receiver still wants.
    """

    symbols: int
    tokens: int
    wrong: int
    rounds: int
    open: int


def deliver(
    frame: TokenFrame, scheme: str, recovery: FrameRecovery, esn0_db: float, rng: np.random.Generator
) -> Delivered:  # fmt: skip
    """Send a frame until the receiver is content, at most TRANSMISSIONS times.

    Args:
        frame: the text.
        scheme: of CODES.
        recovery: of mode "context", for the scheme "posterior".
        esn0_db: Es/N0 in dB.
        rng: of the noise.
    """
    link = PlainLink(LinkConfig(CODES[scheme], MODULATION, TOKENS_PER_PACKET), frame.codebook_size, layout=CONTIGUOUS)
    received, tokens, wanted, symbols, rounds = None, None, None, 0, 0
    while rounds < TRANSMISSIONS and (wanted is None or wanted.any()):
        mcs = None if wanted is None else np.where(wanted, 0, MCS_NOT_SENT)
        signal = link.transmit(frame, mcs=mcs).in_noise(esn0_db, rng)
        (arrival,) = link.receive(signal)
        received = arrival.received if received is None else received.with_more(arrival.received)
        symbols, rounds = symbols + signal.symbols.size, rounds + 1
        if scheme == "crc":
            found, good = received.decode()
            # A packet whose CRC has held is not decoded again.
            tokens = found if wanted is None else np.where(wanted[:, None], found, tokens)
        else:
            tokens, good = _by_posterior(received, signal.outline, recovery)
        # What was good enough once is not asked for again, though what came later may cast doubt on it.
        wanted = ~good if wanted is None else wanted & ~good
    used = received.positions >= 0
    sent = np.where(used, frame.tokens[received.positions], 0)
    return Delivered(symbols, len(frame.tokens), int((tokens != sent)[used].sum()), rounds, int(wanted.sum()))


def _by_posterior(
    received: ReceivedPackets, outline: TokenFrame, recovery: FrameRecovery
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    recovered = recovery.recover(outline, received)
    positions = received.positions
    return np.where(positions >= 0, recovered.frame.tokens[positions], 0), recovered.packets_ok


def repeat_figures(
    bench: TextBench, accept: float, texts: Sequence[str], esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> dict:  # fmt: skip
    """Airtime and residual errors over Es/N0, and the Es/N0 that both schemes need for the same airtime.

    Args:
        bench: keeps what was measured.
        accept: posterior of a packet that is enough.
        texts: the messages.
        esn0_db: Es/N0 in dB.
        progress: called with the number of messages done since the last call.
    """
    recovery = load_recovery(bench.model, "context", context=ContextSettings(accept=accept))
    frames = [bench.link.tokenizer.tokenize(text) for text in texts]
    found: dict[tuple[float, str], list[Delivered]] = {(value, name): [] for value in esn0_db for name in CODES}
    for number, frame in enumerate(frames):
        for (value, scheme), own in found.items():
            rng = np.random.default_rng([bench.seed, number, round(value * 1000) & 0xFFFFFFFF])
            content = [code_of(__name__), accept, texts[number], number, value, scheme]
            figures = bench.remembered(content, partial(_figures_of, frame, scheme, recovery, value, rng))
            own.append(Delivered(**figures))
            progress(1)
    characters = sum(map(len, texts))
    curve = [_point(value, scheme, own, characters) for (value, scheme), own in found.items()]
    airtime = AIRTIME * sum(map(_once, frames)) / characters
    reached = {
        scheme: esn0_at(
            ((each["esn0_db"], each["symbols_per_character"]) for each in curve if each["scheme"] == scheme), airtime
        )
        for scheme in CODES
    }
    return {"curve": curve, "symbols_per_character": airtime, "esn0_db_at_that_airtime": reached}


def _figures_of(*arguments: object) -> dict:
    return asdict(deliver(*arguments))


def _point(esn0_db: float, scheme: str, found: Sequence[Delivered], characters: int) -> dict:
    return {
        "esn0_db": esn0_db,
        "scheme": scheme,
        "symbols_per_character": sum(each.symbols for each in found) / characters,
        "ter": sum(each.wrong for each in found) / sum(each.tokens for each in found),
        "open_messages": sum(each.open > 0 for each in found) / len(found),
        "rounds": float(np.mean([each.rounds for each in found])),
        "messages": len(found),
    }


def _once(frame: TokenFrame) -> int:
    """Symbols of a message's packets with a CRC, sent once."""
    config = LinkConfig(CODES["crc"], MODULATION, TOKENS_PER_PACKET)
    bits = config.codec(frame.codebook_size).coded_length
    return -(-len(frame.tokens) // TOKENS_PER_PACKET) * -(-bits // config.constellation().bits_per_symbol)
