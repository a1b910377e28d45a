"""Repeat requests for text: by a CRC, or by the posterior of a decoder that needs none.

With a CRC, packets are asked for again whose CRC fails after the Viterbi decoder. Without one, nothing but tokens is on
the air, the language model takes part in the decoding, and packets are asked for again whose posterior is too low: as
many of their coded bits as the posterior lets expect to be needed. A CRC cannot tell how much is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from tokcom.channel.awgn import noise_variance
from tokcom.context.acceptance import Acceptance, log_odds_of
from tokcom.frame import LOST, TokenFrame
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery
from tokcom.models.recovery import load_recovery
from tokcom.packets.layout import CONTIGUOUS, pack, packet_positions, unpack
from tokcom_lab.cache import code_of
from tokcom_lab.curves.coded_parts import STEPS_PER_SYMBOL, CodedParts, ReceivedParts
from tokcom_lab.curves.crossing import esn0_at
from tokcom_lab.curves.text_curve import TextBench

TOKENS_PER_PACKET = 3
ROUNDS = 12
"""Largest number of transmissions of a packet, or of parts of it."""
AIRTIME = 1.2
"""Airtime at which Es/N0s are compared, over that of packets with a CRC that are sent once."""


@dataclass(frozen=True)
class Scheme:
    """Rule by which packets are sent, judged and asked for again.

    Attributes:
        label: what it is.
        code: row of codes.json: CRC-16, or no check.
        part: share of a packet's trellis steps that is sent when it is asked for again; None: what its posterior says.
        combined: what was received before is kept, and added up.
    """

    label: str
    code: str = "k7"
    part: float | None = 1.0
    combined: bool = True


SCHEMES = {
    "arq": Scheme("CRC, alone", combined=False),
    "crc": Scheme("CRC, added up"),
    "crc-parts": Scheme("CRC, thirds", part=1 / 3),
    "posterior": Scheme("posterior, parts", "k7-bare", None),
}


@dataclass(frozen=True)
class Judge:
    """Share of a packet that a receiver asks for, by its posterior.

    Attributes:
        accept: posterior of a packet that is enough.
        nepers: log-odds that each trellis step adds, at an Es/N0 of 1.
        parts: of a packet, which are counted: it is asked for at least one, and at most all of them.
    """

    accept: float = 0.999
    nepers: float = 0.1
    parts: int = 6

    def share(self, log_odds: np.ndarray, stages: int, esn0_db: float) -> np.ndarray:
        """float (n_packets,): share of each packet's trellis steps, `stages`, that is asked for; 0: it is good."""
        missing = np.maximum(log_odds_of(np.array(self.accept)) - log_odds, 0)
        steps = missing / self.nepers * noise_variance(esn0_db)
        return np.minimum(np.ceil(steps / stages * self.parts), self.parts) / self.parts


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
    frame: TokenFrame, scheme: Scheme, recovery: FrameRecovery, judge: Judge, esn0_db: float, rng: np.random.Generator
) -> Delivered:  # fmt: skip
    """Send a frame until the receiver is content, in at most ROUNDS rounds.

    Args:
        frame: the text.
        scheme: one of SCHEMES.
        recovery: of mode "context", its posteriors not calibrated, for schemes without a CRC.
        judge: of packets without a CRC.
        esn0_db: Es/N0 in dB.
        rng: of the noise.
    """
    air = CodedParts(scheme.code, frame.codebook_size, TOKENS_PER_PACKET)
    positions = packet_positions(frame.grid, TOKENS_PER_PACKET, CONTIGUOUS, 0)
    packets = pack(frame.tokens, positions)
    heard, before = air.nothing(len(packets)), np.zeros(len(packets), int)
    tokens, share, wanted, rounds = np.zeros_like(packets), np.ones(len(packets)), np.ones(len(packets), bool), 0
    while rounds < ROUNDS and wanted.any():
        count = STEPS_PER_SYMBOL * np.ceil(share * wanted * air.stages / STEPS_PER_SYMBOL - 1e-9).astype(int)
        arrived = air.send(packets, before, count, esn0_db, rng)
        heard = heard + arrived if scheme.combined else arrived
        before, rounds = before + count, rounds + 1
        received = ReceivedPackets(positions, (ReceivedParts(air.link, heard),))
        if scheme.part is not None:
            found, good = received.decode()
            share = np.full(len(packets), scheme.part)
        else:
            found, log_odds = _by_posterior(received, frame, np.where(wanted[:, None], LOST, tokens), recovery)
            share = judge.share(log_odds, air.stages, esn0_db)
            good = share == 0
        # A packet that was good enough once is not decoded again.
        tokens = np.where(wanted[:, None], found, tokens)
        wanted &= ~good
    wrong = int((tokens != packets)[positions >= 0].sum())
    symbols = int(before.sum()) // STEPS_PER_SYMBOL
    return Delivered(symbols, len(frame.tokens), wrong, rounds, int(wanted.sum()))


def _by_posterior(
    received: ReceivedPackets, frame: TokenFrame, known: np.ndarray, recovery: FrameRecovery
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Tokens of all packets, and the log-odds of each packet; `known` are those that are decided, or LOST."""
    outline = frame.with_tokens(unpack(known, received.positions))
    recovered = recovery.recover(outline, received)
    positions = received.positions
    return np.where(positions >= 0, recovered.frame.tokens[positions], 0), recovered.log_odds


def repeat_figures(
    bench: TextBench, judge: Judge, texts: Sequence[str], esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> dict:  # fmt: skip
    """Airtime and residual errors over Es/N0, and the Es/N0 that the schemes need for the same airtime.

    Args:
        bench: keeps what was measured.
        judge: of packets without a CRC.
        texts: the messages.
        esn0_db: Es/N0 in dB.
        progress: called with the number of messages done since the last call.
    """
    recovery = load_recovery(bench.model, "context", acceptance=Acceptance())
    frames = [bench.link.tokenizer.tokenize(text) for text in texts]
    found: dict[tuple[float, str], list[Delivered]] = {(value, name): [] for value in esn0_db for name in SCHEMES}
    for number, frame in enumerate(frames):
        for (value, name), own in found.items():
            rng = np.random.default_rng([bench.seed, number, round(value * 1000) & 0xFFFFFFFF])
            content = [code_of(__name__), asdict(judge), texts[number], number, value, name]
            measure = partial(_figures_of, frame, SCHEMES[name], recovery, judge, value, rng)
            own.append(Delivered(**bench.remembered(content, measure)))
            progress(1)
    characters = sum(map(len, texts))
    curve = [_point(value, name, own, characters) for (value, name), own in found.items()]
    airtime = AIRTIME * sum(map(_once, frames)) / characters
    reached = {
        name: esn0_at(
            ((each["esn0_db"], each["symbols_per_character"]) for each in curve if each["scheme"] == name), airtime
        )
        for name in SCHEMES
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
    air = CodedParts(SCHEMES["crc"].code, frame.codebook_size, TOKENS_PER_PACKET)
    return -(-len(frame.tokens) // TOKENS_PER_PACKET) * -(-air.stages // STEPS_PER_SYMBOL)
