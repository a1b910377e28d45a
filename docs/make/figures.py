"""Draw figures of README.md and docs/concepts.md from the library itself: ./run docs figures."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import mcs_table
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_tokenizer
from tokcom.phy.numerology import ESN0_OVER_SNR_DB
from tokcom.tokenizers.pictures import load_picture, sample_pictures, square

plt.switch_backend("Agg")
plt.rcParams |= {"svg.hashsalt": "tokcom", "font.size": 9}
IMAGES = Path(__file__).resolve().parents[1] / "images"
MODEL = "caltech64"
ESN0_DB, MCS, SEED = 4.0, "16qam-1/2", 2
PHOTOGRAPHS, PHOTOGRAPHS_DB = "photo256", 3.0


def save(figure: plt.Figure, name: str) -> None:
    path = IMAGES / name
    undated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    figure.savefig(path, dpi=110, bbox_inches="tight", facecolor="white", **undated)
    plt.close(figure)
    print(path)


def draw_token() -> None:
    """Draw a picture, its tokens, the received tokens, and the pictures decoded with and without the model."""
    tokenizer = load_tokenizer(MODEL)
    picture = square(load_picture(sample_pictures()[0]), tokenizer.image_size)
    frame = tokenizer.tokenize(picture)
    burst = Transmitter(TransmitConfig(mcs=MCS)).transmit(frame, layout_seed=1)
    channel = ChannelModel(ChannelSettings(snr_db=ESN0_DB - ESN0_OVER_SNR_DB), sample_rate=1e6, seed=SEED)
    receiver = Receiver([codebook(MODEL)], load_recovery(MODEL))
    (reception,) = receiver.receive(channel.process(np.pad(burst, 500)).astype(np.complex64))
    colours = np.random.default_rng(7).uniform(0.15, 1, (frame.codebook_size, 3))
    sent, received = (np.asarray(each.tokens).reshape(frame.grid) for each in (frame, reception.frame))
    maps = [np.where((tokens >= 0)[..., None], colours[tokens], 0.87) for tokens in (sent, received)]
    failed = f"{int((~reception.packets_ok).sum())} of {len(reception.packets_ok)} packets fail"
    panels = [
        (picture, "64 x 64 pixels"),
        (maps[0], "16 x 16 tokens,\none colour per word"),
        (maps[1], f"what passes its CRC at {ESN0_DB:g} dB:\n{failed}"),
        (tokenizer.detokenize(reception.frame), "pixels of these tokens"),
        (tokenizer.detokenize(reception.recovered.frame), "after context decoding"),
    ]
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 2.7))
    for axis, (image, title) in zip(axes, panels, strict=True):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    save(figure, "tokens.png")


def draw_photographs() -> None:
    """Draw the sample photographs, the pictures of their tokens, what passes its CRC, and the output of two
    receivers."""
    tokenizer, sender = load_tokenizer(PHOTOGRAPHS), Transmitter(TransmitConfig(mcs=MCS))
    columns = {"sent, 256 x 256": [], "its 256 tokens": []}
    passed, modes = f"CRC holds at {PHOTOGRAPHS_DB:g} dB", {"list": "channel and CRC", "context": "and context"}
    columns |= {passed: []} | {title: [] for title in modes.values()}
    for number, path in enumerate(sample_pictures()):
        picture = square(load_picture(path), tokenizer.image_size)
        frame = tokenizer.tokenize(picture, frame_id=number)
        settings = ChannelSettings(snr_db=PHOTOGRAPHS_DB - ESN0_OVER_SNR_DB)
        samples = np.pad(sender.transmit(frame, layout_seed=number), 500)
        samples = ChannelModel(settings, sample_rate=1e6, seed=number).process(samples).astype(np.complex64)
        receptions = {}
        for mode in modes:
            (receptions[mode],) = Receiver([codebook(PHOTOGRAPHS)], load_recovery(PHOTOGRAPHS, mode)).receive(samples)
        shown = [picture, tokenizer.detokenize(frame), tokenizer.detokenize(receptions["list"].frame)]
        shown += [tokenizer.detokenize(receptions[mode].recovered.frame) for mode in modes]
        for column, image in zip(columns.values(), shown, strict=True):
            column.append(image)
    figure, axes = plt.subplots(1, len(columns), figsize=(12, 9.2))
    for axis, (title, images) in zip(axes, columns.items(), strict=True):
        axis.imshow(np.concatenate(images), interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    figure.subplots_adjust(wspace=0.02)
    save(figure, "photographs.jpg")


def draw_burst() -> None:
    """Draw the samples of a burst, with its parts named."""
    frame = load_tokenizer(MODEL).tokenize(load_picture(sample_pictures()[0]))
    burst = np.abs(Transmitter(TransmitConfig(mcs=MCS)).transmit(frame, layout_seed=1))
    header = 320 + 9 * 80
    parts = [(0, 320, "preamble"), (320, header, "header"), (header, len(burst), "64 packets of 4 tokens, 16-QAM 1/2")]
    figure, axis = plt.subplots(figsize=(11, 2.4))
    axis.plot(burst, color="#303f9f", linewidth=0.4)
    top = 1.15 * burst.max()
    for (start, stop, name), colour in zip(parts, ("#ffe082", "#c5e1a5", "#b3e5fc"), strict=True):
        axis.add_patch(Rectangle((start, 0), stop - start, top, color=colour, alpha=0.6, linewidth=0))
        axis.text((start + stop) / 2, top * 1.03, name, ha="center", va="bottom", fontsize=9)
    axis.set(
        xlim=(0, len(burst)),
        ylim=(0, top),
        xlabel="sample (at 1 MS/s, 1000 samples last 1 ms)",
        ylabel="|sample|",
    )
    save(figure, "burst.png")


def draw_mcs() -> None:
    """Draw the information bits per symbol of each MCS over the Es/N0 at which 10% to 1% of its packets fail."""
    rows = mcs_table()
    bits = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
    colours = {"bpsk": "#303f9f", "qpsk": "#00796b", "16qam": "#ef6c00", "64qam": "#c2185b", "256qam": "#5d4037"}
    figure, axis = plt.subplots(figsize=(7.5, 6.5))
    for row in rows:
        carried = bits[row.modulation] * float(Fraction(row.rate))
        axis.plot(
            [row.per10_esn0_db, row.per1_esn0_db],
            [carried] * 2,
            color=colours[row.modulation],
            linewidth=2.5,
            marker="|",
            markersize=9,
        )
        crowded = row.name in ("16qam-3/4", "qpsk-2/3", "bpsk-2/3")  # avoid overlap with other labels
        place, side = (row.per10_esn0_db - 0.3, "right") if crowded else (row.per1_esn0_db + 0.3, "left")
        axis.text(place, carried, row.name, va="center", ha=side, fontsize=8)
    levels = np.linspace(-6, 25, 200)
    axis.plot(levels, np.log2(1 + 10 ** (levels / 10)), color="black", linewidth=0.8, linestyle="--")
    axis.text(16.5, 5.9, "capacity of AWGN", fontsize=8, ha="right")
    axis.set(
        xlim=(-6, 31),
        ylim=(0, 8.5),
        xlabel="Es/N0, dB: from 10% of packets lost to 1%",
        ylabel="information bits per symbol",
    )
    axis.grid(alpha=0.3)
    save(figure, "mcs.svg")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for draw in (draw_token, draw_photographs, draw_burst, draw_mcs):
        draw()
    sys.exit()
