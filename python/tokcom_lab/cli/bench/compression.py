"""`tokcom bench compress`: lossless coding of tokens and texts, between machines and over the air."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, WholeNumbers, drawing_option, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import many_pictures, photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option

PARTS = "tokens", "mismatch", "text", "messages", "link", "adaptive"
SCHEMES = "raw", "compressed"
ADAPTIVE_BLOCKS, TARGETS = 4, (0.1, 0.01)
"""Blocks per frame and target PERs of the adaptive link."""


@click.command()
@data_option
@images_option(200, "Photographs whose tokens are encoded.")
@click.option("--parts", type=Names(PARTS), default=",".join(PARTS), show_default=True, help="What to measure.")
@click.option(
    "--turns", default=16, show_default=True, type=click.IntRange(1, 255), help="Evaluations of the model per frame."
)
@click.option(
    "--independent",
    type=WholeNumbers(1, 255),
    default="1,2,4,8",
    show_default=True,
    help="Also as this many independent blocks per frame.",
)
@click.option(
    "--independent-images",
    default=25,
    show_default=True,
    type=click.IntRange(1),
    help="Photographs coded as independent blocks, at most those of --images.",
)
@click.option(
    "--blocks", default=5000, show_default=True, type=click.IntRange(1), help="Blocks decoded on each other machine."
)
@click.option(
    "--block-turns",
    default=4,
    show_default=True,
    type=click.IntRange(1, 255),
    help="Evaluations of the model per frame there.",
)
@click.option(
    "--texts",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Files or folders of .txt and .md; several times for more. [default: the checkout's docs]",
)
@click.option(
    "--messages",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Files with one message per line.",
)
@click.option(
    "--mesh-compressor",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Checkout of mesh-compressor, whose n-gram coder and messages are measured, too.",
)
@click.option("--text-model", default="smollm2", show_default=True, help="A model of text, by name or folder.")
@click.option("--esn0-db", type=Numbers(), default="0,1,2,3,4,5,6,7,8", show_default=True, help="Es/N0 of the link.")
@click.option("--link-images", default=8, show_default=True, type=click.IntRange(1), help="Photographs on the link.")
@click.option(
    "--link-schemes",
    type=Names(SCHEMES),
    default=",".join(SCHEMES),
    show_default=True,
    help="What crosses the link; figures of the other scheme in the JSON file stay.",
)
@click.option(
    "--link-frames", default=5000, show_default=True, type=click.IntRange(1), help="Frames behind each error rate."
)
@drawing_option("--svg", "Draw airtime and PSNR of the link to this file, as measured or as the JSON file has them.")
@model_option
@seed_option
@json_option("Write the figures as JSON; parts of an existing file that are not measured again stay in it")
def compress(
    data: Path | None, images: int, parts: list[str], turns: int, independent: list[int], independent_images: int,
    blocks: int, block_turns: int, texts: tuple[Path, ...], messages: tuple[Path, ...], mesh_compressor: Path | None,
    text_model: str, esn0_db: list[float], link_images: int, link_schemes: list[str], link_frames: int,
    svg: Path | None, model: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure lossless coding: bits per token, blocks decoded on other machines, texts, messages, and the link
    (hours).

    Machines are processes with other batches, threads, kernels and runtimes; their tokens are the encoder's, without
    the search. Their results are stored, so that an interrupted run continues from there.
    """
    report = _known(json_file)
    if "tokens" in parts:
        report |= _tokens(data, images, model, turns, independent, independent_images, seed)
    if "mismatch" in parts:
        report |= _mismatch(data, blocks, model, block_turns, seed)
    if {"text", "messages"} & set(parts):
        report |= _texts(parts, texts, messages, mesh_compressor, text_model, seed)
    if "link" in parts:
        kept = [row for row in report.get("link", []) if row["scheme"].split(", ")[0] not in link_schemes]
        found = _link(data, link_images, link_schemes, link_frames, model, turns, esn0_db, seed)
        report["link"] = sorted(kept + found, key=lambda row: (row["esn0_db"], not row["chosen"]))
    if "adaptive" in parts:
        report |= _adaptive(data, link_images, link_frames, model, turns, esn0_db, seed)
    if svg is not None and "link" in report:
        from tokcom_lab.curves.source_plot import draw_link

        draw_link(report["link"], svg)
    report["commands"] = report.get("commands", {}) | dict.fromkeys(parts, recorded_command())
    if json_file is not None:
        write_json(report, json_file)
        return
    for part in parts:
        figures = report[part]
        show(figures if isinstance(figures, list) else [{k: v for k, v in figures.items() if k != "conditions"}], part)


def _known(json_file: "click.utils.LazyFile | None") -> dict:
    path = Path(json_file.name) if json_file is not None and json_file.name != "-" else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else {}


def _tokens(
    data: Path | None, images: int, model: str, turns: int, independent: list[int], few_images: int, seed: int
) -> dict:  # fmt: skip
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.source.blocks import SourceSettings
    from tokcom_lab.curves.compression import independent_bits, token_bits
    from tokcom_lab.photograph_tokens import photograph_tokens

    prior = load_context(model, "cpu")
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    frames = load_tokenizer(model, 0).frames(photograph_tokens(photographs.pictures, model))
    few = frames[:few_images]
    with progress_bar() as bar:
        row = bar.add_task("coding", total=len(frames))
        tokens = token_bits(frames, prior, SourceSettings(turns), lambda done: bar.advance(row, done))
        row = bar.add_task("independent blocks", total=len(few) * len(independent))
        split = [
            independent_bits(few, prior, SourceSettings(turns, each), lambda done: bar.advance(row, done))
            for each in independent
        ]
    about = {"photographs": photographs.source, "turns": turns, "seed": seed}
    return {"tokens": about | tokens, "independent": split}


def _mismatch(data: Path | None, blocks: int, model: str, turns: int, seed: int) -> dict:
    import numpy as np

    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves.mismatch import DECODERS, count_mismatches

    tokenizer, pictures = load_tokenizer(model, 0), many_pictures(data, blocks, model, seed)
    parts = np.array_split(pictures, -(-len(pictures) // 64))
    frames = tokenizer.frames(np.concatenate([tokenizer.encode(part) for part in parts]))
    with progress_bar() as bar:
        row = bar.add_task("machines", total=len(frames) * (1 + len(DECODERS)))
        found = count_mismatches(frames, model, turns, progress=lambda done: bar.advance(row, done))
    return {"mismatch": {"turns": turns} | found}


def _texts(
    parts: list[str], texts: tuple[Path, ...], messages: tuple[Path, ...], mesh_compressor: Path | None, model: str,
    seed: int,
) -> dict:  # fmt: skip
    from tokcom.models.installed import make_missing
    from tokcom.models.text import load_exact_language
    from tokcom.source.messages import MessageCoder
    from tokcom_lab.curves.text_compression import NgramCoder, largest_difference, message_sizes, speed, text_sizes
    from tokcom_lab.text_messages import paragraphs, text_files

    report = {}
    with progress_bar() as bar:
        row = bar.add_task(f"making {model} ready", total=1.0)
        make_missing(model, lambda share: bar.update(row, completed=share))
        language = load_exact_language(model)
        bar.update(row, completed=1.0)
        if "text" in parts:
            files = text_files(list(texts) or [Path("docs"), Path("README.md")])
            prose = {path.name: "\n\n".join(paragraphs([path])) for path in files}
            prose = {name: text for name, text in prose.items() if text}
            row = bar.add_task("texts", total=len(prose) + 1)
            report["text"] = text_sizes(prose, *language, lambda done: bar.advance(row, done))
            shortest = min(prose.values(), key=len)
            encoder, decoder = speed(shortest, *language)
            bar.advance(row)
            report["text_speed"] = {
                "encoder_cpu_ms_per_token": 1e3 * encoder, "decoder_cpu_ms_per_token": 1e3 * decoder,
                "ratio": decoder / encoder, "largest_difference": largest_difference(shortest, *language),
            }  # fmt: skip
        if "messages" in parts:
            rival = None if mesh_compressor is None else NgramCoder(mesh_compressor)
            told = {path.name: path.read_text(encoding="utf-8").splitlines() for path in messages}
            if rival is not None:
                told |= {
                    "mesh-compressor, examples": list(rival.EXAMPLES),
                    "mesh-compressor, test split": rival.test_messages(200, seed),
                }
            row = bar.add_task("messages", total=sum(map(len, told.values())))
            report["messages"] = message_sizes(
                told, MessageCoder(*language), rival, 20, lambda done: bar.advance(row, done)
            )
    return report


def _link(
    data: Path | None, images: int, schemes: list[str], frames: int, model: str, turns: int, esn0_db: list[float],
    seed: int,
) -> list[dict]:  # fmt: skip
    from tokcom.mcs import find_mcs
    from tokcom.models.zoo import load_tokenizer
    from tokcom_lab.curves.compressed_link import SLOWEST, CompressedLinkBench
    from tokcom_lab.photograph_tokens import photograph_tokens

    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    tokens = photograph_tokens(photographs.pictures, model)
    same, blocks, rows = find_mcs("qpsk-1/2"), (2, 4) if "compressed" in schemes else (), []
    with progress_bar() as bar:
        row = bar.add_task("compressing", total=len(blocks) * len(tokens))
        bench = CompressedLinkBench(
            photographs.pictures, tokens, model, load_tokenizer(model, 0), blocks, turns, seed,
            lambda done: bar.advance(row, done),
        )  # fmt: skip
        row = bar.add_task("link", total=len(esn0_db))
        for value in esn0_db:
            if "raw" in schemes:
                rows += [bench.decoded_alone(each, value, frames) for each in (4, 64)]
                rows += [bench.jointly(each, value, 1) for each in SLOWEST]
                rows += [bench.received(each, value, same, 1) for each in ("raw, Viterbi", *SLOWEST)]
            if "compressed" in schemes:
                rows += [bench.compressed(each, value, frames) for each in blocks]
                rows.append(bench.blocks_received(4, value, same, 8))
            bar.advance(row)
    return [asdict(each) for each in rows]


def _adaptive(
    data: Path | None, images: int, frames: int, model: str, turns: int, esn0_db: list[float], seed: int
) -> dict:  # fmt: skip
    from itertools import product

    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.source.blocks import SourceSettings
    from tokcom.source.frame_coder import FrameCoder
    from tokcom_lab.curves.adaptation_bench import CHANNELS
    from tokcom_lab.curves.adaptive_bits import adaptive_bits
    from tokcom_lab.photograph_tokens import photograph_tokens

    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    tokens, rows = photograph_tokens(photographs.pictures, model), []
    coder = FrameCoder(load_context(model, "cpu"), settings=SourceSettings(turns, ADAPTIVE_BLOCKS))
    draws = -(-frames // len(tokens))
    with progress_bar() as bar:
        row, coded = bar.add_task("compressing", total=len(tokens)), []
        for frame in load_tokenizer(model, 0).frames(tokens):
            coded.append(coder.encode(frame))
            bar.advance(row)
        points = list(product(CHANNELS, TARGETS, esn0_db))
        row = bar.add_task("adaptive link", total=len(points) * draws * len(coded))
        for channel, target, value in points:
            rows += adaptive_bits(
                coded, ADAPTIVE_BLOCKS, channel, target, value, draws, seed, lambda done: bar.advance(row, done)
            )
    return {"adaptive": [asdict(each) for each in rows]}
