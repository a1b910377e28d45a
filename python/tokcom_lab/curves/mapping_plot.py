"""Figures of semantic labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tokcom.link.uncoded import UncodedLink
from tokcom.metrics.pictures import psnr_db
from tokcom.packets.labels import NATURAL, SEMANTIC
from tokcom_lab.curves.context_plot import save
from tokcom_lab.curves.mapping_curve import RANDOM, MappingBench

SCHEME = "1024qam"


def draw_labels(bench: MappingBench, path: Path) -> None:
    """Draw the points of 1024-QAM under natural and semantic labels, as PNG or SVG.

    Each point is coloured in two ways: by its token's code vector (the first three principal components as red, green
    and blue), and by the mean colour of a picture decoded from that token alone.

    Raises:
        TokcomError: the file cannot be written.
    """
    tokens = np.arange(bench.tokenizer.codebook_size)
    rows, columns = bench.tokenizer.grid
    vectors = bench.tokenizer.network.codebook.numpy().astype(np.float64)
    colours = {"code vectors": _components(vectors), "decoded colours": np.empty((len(tokens), 3))}
    for token in tokens:
        picture = bench.tokenizer.decode(np.full((1, rows, columns), token, np.int32))[0]
        colours["decoded colours"][token] = picture.mean(axis=(0, 1)) / 255
    figure = Figure(figsize=(8.4, 8.6), layout="constrained")
    axes = figure.subplots(2, 2)
    for line, (what, colour) in zip(axes, colours.items(), strict=True):
        for axis, name in zip(line, (NATURAL, SEMANTIC), strict=True):
            link = UncodedLink(SCHEME, bench.labels(SCHEME, name))
            points = link.mapping.map(link.labels.label(tokens))[:, 0]
            axis.scatter(points.real, points.imag, c=np.clip(colour, 0, 1), s=62, marker="s", linewidths=0)
            axis.set_title(f"{name} labels, {what}", fontsize=11)
            axis.set_aspect("equal")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
    save(figure, path)


def draw_errors(bench: MappingBench, esn0_db: Sequence[float], path: Path, photographs: int = 3) -> None:
    """Draw the first photographs as sent, as tokenized, and as they arrive by uncoded 1024-QAM under each labelling
    (nearest point), one row per Es/N0, as PNG.

    Raises:
        TokcomError: the file cannot be written.
    """
    names = (NATURAL, RANDOM, SEMANTIC)
    links = {name: UncodedLink(SCHEME, bench.labels(SCHEME, name)) for name in names}
    rows = [(number, value) for number in range(min(photographs, len(bench.frames))) for value in esn0_db]
    figure = Figure(figsize=(8.0, 1.72 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2 + len(names), squeeze=False)
    for axis, title in zip(axes[0], ("sent", "tokenized", *names), strict=True):
        axis.set_title(title, fontsize=10)
    for line, (number, value) in zip(axes, rows, strict=True):
        sent, frame = bench.photographs.pictures[number], bench.frames[number]
        line[0].imshow(sent, interpolation="nearest")
        line[0].set_ylabel(f"{value:g} dB", fontsize=10)
        received = [frame, *(bench.uncoded(links[name], number, value) for name in names)]
        for axis, each in zip(line[1:], received, strict=True):
            picture = bench.tokenizer.detokenize(each)
            axis.imshow(picture, interpolation="nearest")
            wrong = f", {100 * np.mean(each.tokens != frame.tokens):.0f}% wrong" if each is not frame else ""
            axis.set_xlabel(f"{psnr_db(sent, picture):.1f} dB{wrong}", fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    save(figure, path)


def _components(vectors: np.ndarray) -> np.ndarray:
    """Compute the first three principal components, each scaled to 0 … 1 over its central 96%."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    values = centred @ directions[:, :-4:-1]
    low, high = np.percentile(values, [2, 98], axis=0)
    return (values - low) / (high - low)
