"""Figures of one frame's transmission."""

import math
from collections.abc import Mapping

import numpy as np

from tokcom import keys
from tokcom.metrics.hints import hint_of
from tokcom.metrics.link_figures import expected_ter, rx_seconds
from tokcom.metrics.pictures import psnr_db, ssim
from tokcom.metrics.tokens import exact_recovery_rate, token_communication_efficiency, token_error_rate

DECIMALS = 4
FIGURES = (
    "packets", "per", "ter_channel", "ter_recovered", "exact_recovery", "tce", "psnr_tokenizer_db", "psnr_lost_db",
    "psnr_recovered_db", "ssim_recovered",
)  # fmt: skip
"""Keys of a frame's figures that can be averaged."""


def frame_report(
    *, image: str, esn0_db: float, packets: int, packets_lost: int, codebook_size: int, cmi: str | None,
    sent_tokens: np.ndarray, received_tokens: np.ndarray, recovered_tokens: np.ndarray,
    sent: np.ndarray, tokenized: np.ndarray, lost: np.ndarray, recovered: np.ndarray, seconds: dict[str, float],
) -> dict:  # fmt: skip
    """Collect the figures of one frame, ready for JSON.

    Args:
        image: name of the picture.
        esn0_db: Es/N0 of the channel in dB.
        packets: packets sent.
        packets_lost: packets that failed their CRC.
        codebook_size: words in the codebook.
        cmi: name of the class sent beside the packets, or None.
        sent_tokens, received_tokens, recovered_tokens: int arrays (n,); received ones are LOST where a packet failed.
        sent: the picture that was tokenized, uint8 (size, size, 3).
        tokenized: the picture after tokenizing alone.
        lost: the picture of the received tokens, with losses marked.
        recovered: the picture of the recovered tokens.
        seconds: computing time by stage.

    Returns:
        The keys of the demo's `report.json`; rates are shares of 1, and figures that do not exist are None.
    """
    return {
        "image": image,
        "esn0_db": esn0_db,
        "packets": packets,
        "per": _rounded(packets_lost / packets),
        "ter_channel": _rounded(token_error_rate(sent_tokens, received_tokens)),
        "ter_recovered": _rounded(token_error_rate(sent_tokens, recovered_tokens)),
        "exact_recovery": _rounded(exact_recovery_rate(sent_tokens, received_tokens, recovered_tokens)),
        "tce": _rounded(token_communication_efficiency(sent.shape[0] * sent.shape[1], len(sent_tokens), codebook_size)),
        "psnr_tokenizer_db": _rounded(psnr_db(sent, tokenized)),
        "psnr_lost_db": _rounded(psnr_db(sent, lost)),
        "psnr_recovered_db": _rounded(psnr_db(sent, recovered)),
        "ssim_recovered": _rounded(ssim(sent, recovered)),
        "cmi": cmi,
        "seconds": {stage: _rounded(value) for stage, value in sorted(seconds.items())},
    }


def reception_report(meta: Mapping) -> dict:
    """Collect the figures of a received frame whose sent tokens are unknown, ready for JSON.

    Args:
        meta: metadata, with the keys of `tokcom.keys`.

    Returns:
        stream_id, frame_id, packets, packets_lost, packets_open, mode, ter_expected, esn0_db, evm_db, cfo,
        clock_offset_ppm, rx_time, cmi, hint and seconds by stage; unknown figures are None.
    """
    plain = (keys.PACKETS, keys.PACKETS_LOST, keys.PACKETS_OPEN, keys.MODE)
    channel = (keys.ESN0_DB, keys.EVM_DB, keys.CLOCK_OFFSET_PPM)
    return {
        keys.STREAM_ID: meta.get(keys.STREAM_ID, 0),
        keys.FRAME_ID: meta.get(keys.FRAME_ID, 0),
        **{key: meta.get(key) for key in plain},
        "ter_expected": _rounded(expected_ter(meta)),
        **{key: _rounded(meta.get(key)) for key in channel},
        keys.CFO: meta.get(keys.CFO),
        keys.RX_TIME: rx_seconds(meta),
        "cmi": meta.get(keys.CMI_NAME),
        keys.HINT: hint_of(meta) or None,
        "seconds": seconds_of(meta),
    }


def seconds_of(meta: Mapping) -> dict[str, float]:
    """Extract the computing time per stage, sorted by name of the stage."""
    stages = sorted(key for key in meta if key.startswith(keys.SECONDS))
    return {key.removeprefix(keys.SECONDS): _rounded(meta[key]) for key in stages}


def mean_report(frames: list[dict]) -> dict[str, float | None]:
    """Average each figure over the frames that have it; None if no frame has it."""
    means = {}
    for key in FIGURES:
        values = [frame[key] for frame in frames if frame[key] is not None]
        means[key] = _rounded(sum(values) / len(values)) if values else None
    return means


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)
