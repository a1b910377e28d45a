"""Random tokens, unlike any the context model has seen: mode context must not lose what mode list decodes."""

import numpy as np

from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.models.recovery import load_recovery
from tokcom_lab.air import impairments
from tokcom_lab.air.bursts import TOKENS_PER_PACKET, noise_power, outcome, placed, receive, send
from tokcom_lab.air.decoding import PACKETS, photographs
from tokcom_lab.air.section import Counts, Section, Settings, generator, share

MCS = "16qam-1/2"
ESN0_DB = (2.0, 3.0, 4.0, 5.0)
CLASSES = 64
"""Number of labels to draw from."""
BURSTS_SHARE = 2


def _rows(settings: Settings) -> list[dict]:
    return [{"esn0_db": esn0_db, "mode": mode} for esn0_db in ESN0_DB for mode in settings.modes]


def _draws(settings: Settings, row: dict) -> int:
    return -(-settings.bursts // BURSTS_SHARE)


def _count(settings: Settings, row: dict, draws: range) -> Counts:
    like = photographs(settings).frame(0)
    recovery = load_recovery(settings.model, row["mode"], settings.device)
    words = photographs(settings).codebook
    counts = dict.fromkeys(("packets", "lost", "wrong"), 0)
    for draw in draws:
        rng = generator(settings, row, draw, "mode", "esn0_db")
        tokens = rng.integers(0, words.size, TOKENS_PER_PACKET * PACKETS, dtype=np.int32)
        label = int(rng.integers(CLASSES))
        frame = TokenFrame(tokens, words.name, words.size, like.grid, words.modality, label, draw)
        sent = send(frame, MCS)
        samples, _ = placed(sent, rng)
        samples = samples + impairments.noise(len(samples), noise_power(row["esn0_db"]), rng)
        result = outcome(sent, receive(Receiver([words], recovery), samples))
        counts["packets"] += PACKETS
        counts["lost"] += int((~result.right).sum())
        counts["wrong"] += int(result.wrong.sum())
    return counts


def _figures(row: dict, counts: Counts) -> dict:
    packets = int(counts["packets"])
    return {"packets": packets, "per": share(counts["lost"], packets), "wrong": int(counts["wrong"])}


RANDOM_TOKENS = Section("random_tokens", _rows, _draws, 10, _count, _figures)
"""Noise alone; both modes know the model's codebook, and have the same bursts and noise."""
