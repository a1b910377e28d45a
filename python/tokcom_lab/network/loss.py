"""Pictures over a path of bursty losses: tokens without repeats beside full ARQ and fountain codes."""

import numpy as np

from tokcom.protocol.datagrams import HEAD_BYTES
from tokcom.protocol.path import Path, PathSettings
from tokcom.protocol.sections import payloads_of
from tokcom_lab.network.material import TOKENS_PER_PACKET, Material, Progress
from tokcom_lab.network.simulated import send_all

BURST = 3.0
"""Datagrams in a burst of losses, on average."""
DELAY_S = 0.025
SCHEMES = "keep", "mask", "mask, mean of the code vectors", "mask, likeliest tokens"
"""Lost tokens: grey; as the receiver shows them, by the model's decoder for them, if it has one; predicted."""
SYMBOL_BYTES, SYMBOLS = 8, 5
"""Fountain code: bytes per symbol, and symbols per datagram; 40 bytes, like 8 packets of tokens."""


def token_rows(material: Material, loss: float, seed: int, progress: Progress = lambda done: None) -> list[dict]:
    """Rows of the schemes that send tokens: SCHEMES (no repeats), "full ARQ"."""
    path = PathSettings(loss, BURST, DELAY_S) if loss else PathSettings(delay_s=DELAY_S)
    rows = []
    content = len(material.frames[1:]) * material.packets * _packet_bytes(material)
    got, sender, _ = send_all(material, path, PathSettings(delay_s=DELAY_S), "none", seed)
    shown = material.psnr_db, material.filled_psnr_db, material.mean_psnr_db, material.likeliest_psnr_db
    for scheme, psnr_db in zip(SCHEMES, shown, strict=True):
        psnr, undecodable = [], 0
        for frame in material.frames[1:]:
            progress(1)
            if frame.frame_id not in got:
                undecodable += 1
                psnr.append(material.grey_psnr_db(frame.frame_id))
                continue
            psnr.append(psnr_db(got[frame.frame_id][1].frame))
        rows.append(_row(scheme, loss, psnr, undecodable, sender.counters.bytes / content - 1))
    got, sender, _ = send_all(material, path, path, "all", seed)
    psnr, undecodable = [], 0
    for frame in material.frames[1:]:
        progress(1)
        # Without a model, an incomplete picture cannot be shown.
        whole = frame.frame_id in got and got[frame.frame_id][1].packets_ok.all()
        undecodable += not whole
        psnr.append(material.psnr_db(frame) if whole else material.grey_psnr_db(frame.frame_id))
    rows.append(_row("full ARQ", loss, psnr, undecodable, sender.counters.bytes / content - 1))
    return rows


def fountain_rows(
    material: Material, loss: float, overheads: tuple[float, ...], seed: int, progress: Progress = lambda done: None
) -> list[dict]:
    """Rows of RaptorQ (RFC 6330) over each picture's tokens; the code comes from the package raptorq.

    Raises:
        ImportError: that is not installed.
    """
    from raptorq import Decoder, Encoder

    rows = []
    for overhead in overheads:
        path, psnr, undecodable, sent = Path(PathSettings(loss, BURST), seed), [], 0, 0
        for frame in material.frames[1:]:
            progress(1)
            packets = frame.tokens.reshape(-1, TOKENS_PER_PACKET)
            data = payloads_of(packets, (frame.codebook_size - 1).bit_length()).tobytes()
            encoder = Encoder.with_defaults(data, SYMBOL_BYTES)
            symbols = encoder.get_encoded_packets(int(np.ceil(len(data) / SYMBOL_BYTES * overhead)))
            decoder = Decoder.with_defaults(len(data), SYMBOL_BYTES)
            decoded = None
            for start in range(0, len(symbols), SYMBOLS):
                part = symbols[start : start + SYMBOLS]
                sent += sum(map(len, part)) + HEAD_BYTES
                if path.arrivals(1, 0.0):
                    for symbol in part:
                        decoded = decoder.decode(symbol) or decoded
            undecodable += decoded != data
            psnr.append(material.psnr_db(frame) if decoded == data else material.grey_psnr_db(frame.frame_id))
        content = len(material.frames[1:]) * material.packets * _packet_bytes(material)
        rows.append(_row(f"RaptorQ {overhead:.0%}", loss, psnr, undecodable, sent / content - 1))
    return rows


def _packet_bytes(material: Material) -> int:
    return -(-TOKENS_PER_PACKET * (material.frames[0].codebook_size - 1).bit_length() // 8)


def _row(scheme: str, loss: float, psnr: list[float], undecodable: int, overhead: float) -> dict:
    return {
        "scheme": scheme, "loss": loss, "psnr_db": float(np.mean(psnr)), "undecodable": undecodable / len(psnr),
        "overhead": float(overhead),
    }  # fmt: skip
