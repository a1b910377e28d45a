"""Calibration of what a language model makes certain: packets, and words shown without a mark."""

from collections.abc import Sequence

import numpy as np

from tokcom.context.acceptance import Acceptance, fit_acceptance, log_odds_of
from tokcom_lab.curves.calibration import Outcomes
from tokcom_lab.curves.text_curve import Message


def packet_outcomes(messages: Sequence[Message]) -> Outcomes:
    """Outcomes of the packets that the CRC left open."""
    odds, right = zip(*(packet for each in messages for packet in each.packets), strict=True)
    return Outcomes(np.array(odds), np.array(right))


def word_outcomes(messages: Sequence[Message]) -> Outcomes:
    """Outcomes of words: the log-odds of the least certain token of each, infinite where it is of a known packet."""
    odds, right = [], []
    for each in messages:
        own = np.ones(len(each.confidence), bool)
        own[list(each.mistaken)] = False
        odds.append(log_odds_of(np.array(each.confidence)))
        right.append(own)
    return Outcomes(np.concatenate(odds), np.concatenate(right))


def calibrations(messages: Sequence[Message]) -> dict[str, Acceptance]:
    """Fit the curves of a model's card: "acceptance" of packets, "certainty" of tokens.

    Args:
        messages: as the language model decoded them, before calibration.

    Raises:
        ParameterError: none of them needed it.
    """
    return {
        name: fit_acceptance(found.log_odds, found.right)
        for name, found in (("acceptance", packet_outcomes(messages)), ("certainty", word_outcomes(messages)))
    }
