"""Airtime and errors of text by policy: one MCS as the channel allows it, or by what the receiver can guess."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tokcom.adaptation.residual import ResidualModel
from tokcom.link.adaptation import SEMANTIC, AdaptationConfig, LinkAdapter
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.cache import code_of
from tokcom_lab.curves.calibration import wilson
from tokcom_lab.curves.text_curve import TextBench

POLICIES = {"cqi": "keep", "cqi-context": "context", "semantic": "context"}
"""Receivers of `link.text.RECEIVERS` by policy: today's, and those that decode with the language model."""


def policy_rows(
    bench: TextBench, residual: ResidualModel, bound: float, texts: Sequence[str], esn0_db: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Send every text by every policy in white Gaussian noise.

    Args:
        bench: with the receivers "keep" and "context"; an interrupted run resumes from its cache.
        residual: errors that "semantic" expects.
        bound: share of tokens that "semantic" may expect to be wrong.
        texts: the messages; the number of a message seeds its noise.
        esn0_db: Es/N0 in dB.
        progress: called with the number of messages done since the last call.

    Returns:
        Per Es/N0 and policy: mean airtime in samples, share of wrong tokens, of messages word for word, and of packets
        that were not sent, and the airtime over that of "cqi".
    """
    rows = []
    for value in esn0_db:
        found = {}
        for policy in POLICIES:
            own = []
            for number, text in enumerate(texts):
                fitted = [residual, bound] if policy in SEMANTIC else []
                content = [code_of(__name__, "tokcom.adaptation"), fitted, text, number, value, policy]
                measure = partial(_sent, bench, residual, bound, text, number, value, policy)
                own.append(bench.remembered(content, measure))
                progress(1)
            found[policy] = own
        reference = np.mean([each["airtime"] for each in found["cqi"]])
        rows += [_row(value, policy, own, reference) for policy, own in found.items()]
    return rows


def _sent(
    bench: TextBench, residual: ResidualModel, bound: float, text: str, number: int, esn0_db: float, policy: str
) -> dict[str, float]:  # fmt: skip
    """Send one text; count its samples, packets and errors."""
    config, prior = bench.link.link.transmitter.config, bench.link.recoveries["context"].prior
    adapter = LinkAdapter(AdaptationConfig(policy, bound=bound), config, prior, residual)
    link = bench.link.adapted(adapter)
    sent = link.send(text, esn0_db, np.random.default_rng([bench.seed, number, round(esn0_db * 1000) & 0xFFFFFFFF]))
    received = sent.received(POLICIES[policy])
    return {
        "airtime": sent.choice.airtime, "packets": len(sent.choice.mcs), "tokens": len(sent.tokens),
        "left_out": int((sent.choice.mcs == MCS_NOT_SENT).sum()), "wrong": int(received.wrong.sum()),
    }  # fmt: skip


def _row(esn0_db: float, policy: str, own: Sequence[dict], reference: float) -> dict:
    total = {name: sum(each[name] for each in own) for name in own[0]}
    exact = sum(each["wrong"] == 0 for each in own)
    return {
        "esn0_db": esn0_db, "policy": policy, "airtime_samples": total["airtime"] / len(own),
        "airtime_over_cqi": total["airtime"] / len(own) / reference, "ter": total["wrong"] / total["tokens"],
        "exact_messages": exact / len(own), "exact_messages_ci": wilson(exact, len(own)),
        "packets_left_out": total["left_out"] / total["packets"], "messages": len(own),
    }  # fmt: skip
