"""Errors of text after decoding with a language model, by MCS and Es/N0: `adaptation.residual.ResidualModel`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tokcom.adaptation.predictability import token_bits
from tokcom.context.causal_filling import CausalFilling
from tokcom.context.condition import Condition
from tokcom.frame import LOST, TokenFrame
from tokcom.mcs import find_mcs
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.packets.bits import bits_per_token
from tokcom_lab.cache import code_of
from tokcom_lab.curves.residual_fit import NOT_SENT, SCHEMES, ResidualData, levels
from tokcom_lab.curves.text_curve import TextBench

PACKETS = 16
"""Packets of every frame: messages are cut to equal length."""
EACH = 1
"""Number of Es/N0s per frame and MCS."""


def measure_text_residual(
    bench: TextBench, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None
) -> ResidualData:  # fmt: skip
    """Send the beginning of every text with each of `residual_fit.SCHEMES`, in white Gaussian noise.

    Args:
        bench: with the receiver "context"; an interrupted run resumes from its cache.
        texts: of the training split, of at least PACKETS packets of tokens each.
        progress: called with the number of decodings done since the last call.
    """
    config, rows = bench.link.link.transmitter.config, []
    for number, text in enumerate(texts):
        frame = bench.link.tokenizer.tokenize(text, number)
        n_tokens = PACKETS * config.tokens_per_packet
        frame = replace(frame, tokens=frame.tokens[:n_tokens], grid=(n_tokens,))
        content = [code_of(__name__, levels.__module__, "tokcom.adaptation.predictability"), text, number]
        bits = bench.remembered(content, partial(_packet_bits, bench, frame))
        wrong = bench.remembered([*content, NOT_SENT], partial(wrong_guesses, bench, frame))
        rows.append((NOT_SENT, 0.0, bits, wrong))
        for name in SCHEMES:
            for level, esn0_db in levels(find_mcs(name), number, EACH):
                measure = partial(_wrong, bench, frame, name, level, esn0_db)
                wrong = bench.remembered([*content, name, level], measure)
                rows.append((find_mcs(name).index, esn0_db, bits, wrong))
                progress(1)
    mcs, values, bits, wrong = (np.array(column) for column in zip(*rows, strict=True))
    size = bits_per_token(bench.link.tokenizer.codebook_size)
    return ResidualData(mcs, values, bits, wrong, config.tokens_per_packet, config.tokens_per_packet * size)


def _packet_bits(bench: TextBench, frame: TokenFrame) -> list[float]:
    """Compute mean bits per token of each packet."""
    bits = token_bits(bench.link.recoveries["context"].prior, frame)
    return bits.reshape(PACKETS, -1).mean(axis=1).tolist()


def wrong_guesses(bench: TextBench, frame: TokenFrame) -> list[int]:
    """Count wrong tokens of each packet if it is not sent: every other one is filled in, then the others.

    Args:
        bench: with the receiver "context".
        frame: PACKETS packets, in order.
    """
    filling = CausalFilling(bench.link.recoveries["context"].prior)
    tokens = frame.tokens.reshape(PACKETS, -1)
    wrong = np.zeros(PACKETS, int)
    for first in range(2):
        lost = np.arange(PACKETS) % 2 == first
        holes = frame.with_tokens(np.where(lost[:, None], LOST, tokens).ravel())
        filled, _ = filling.fill(holes, Condition.of(frame))
        wrong += (filled.tokens.reshape(tokens.shape) != tokens).sum(axis=1)
    return wrong.tolist()


def _wrong(bench: TextBench, frame: TokenFrame, name: str, level: int, esn0_db: float) -> list[int]:
    """Wrong tokens of each packet."""
    scheme, link = find_mcs(name), bench.link.link
    rng = np.random.default_rng([bench.seed, frame.frame_id, scheme.index, level])
    sent = link.transmit(frame, mcs=np.full(PACKETS, scheme.index, np.uint8))
    (arrival,) = link.receive(sent.in_noise(esn0_db, rng))
    recovered = bench.link.recoveries["context"].recover(arrival.frame, arrival.received).frame
    return wrong_by_packet(frame.tokens, recovered.tokens, arrival.positions).sum(axis=1).tolist()
