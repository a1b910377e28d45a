"""`tokcom bench compress`: lossless coding of tokens, between machines."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import WholeNumbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.bench.material import many_pictures, photographs_of, with_tokens
from tokcom_lab.cli.options import data_option, images_option


@click.command()
@data_option
@images_option(200, "Photographs whose tokens are encoded.")
@click.option(
    "--turns", default=16, show_default=True, type=click.IntRange(1, 255), help="Evaluations of the model per frame."
)
@click.option(
    "--independent",
    type=WholeNumbers(1, 255),
    default="1,2,4,8",
    show_default=True,
    help="Also as this many independent blocks per frame, for an eighth of the photographs.",
)
@click.option(
    "--blocks", default=200, show_default=True, type=click.IntRange(0), help="Blocks decoded on other machines."
)
@click.option(
    "--block-turns",
    default=4,
    show_default=True,
    type=click.IntRange(1, 255),
    help="Evaluations of the model per frame there.",
)
@model_option
@seed_option
@json_option("Write the figures as JSON")
def compress(
    data: Path | None, images: int, turns: int, independent: list[int], blocks: int, block_turns: int, model: str,
    seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure bits per coded token, and blocks decoded differently on other machines (an hour, 20 minutes without
    --blocks).

    Machines are processes with other batches, threads, kernels and runtimes. Their results are stored, so that a run
    with more --blocks continues from there. Their tokens are the encoder's, without the search.
    """
    import numpy as np

    from tokcom.frame import TokenFrame
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.source.blocks import SourceSettings
    from tokcom_lab.curves.compression import independent_bits, token_bits
    from tokcom_lab.curves.mismatch import DECODERS, count_mismatches
    from tokcom_lab.photograph_tokens import photograph_tokens

    def frames_of(tokens: list) -> list[TokenFrame]:
        return [
            TokenFrame(ids.ravel(), tokenizer.codebook, tokenizer.codebook_size, tokenizer.grid, frame_id=number)
            for number, ids in enumerate(tokens)
        ]

    tokenizer, prior = load_tokenizer(model, 0), load_context(model, "cpu")
    photographs = with_tokens(photographs_of(data, images, model, seed), model)
    frames = frames_of(photograph_tokens(photographs.pictures, model))
    few = frames[: -(-len(frames) // 8)]
    with progress_bar() as bar:
        row = bar.add_task("coding", total=len(frames))
        tokens = token_bits(frames, prior, SourceSettings(turns), lambda done: bar.advance(row, done))
        row = bar.add_task("independent blocks", total=len(few) * len(independent))
        split = [
            independent_bits(few, prior, SourceSettings(turns, each), lambda done: bar.advance(row, done))
            for each in independent
        ]
    report = {
        "command": recorded_command(), "photographs": photographs.source, "seed": seed,
        "tokens": {"turns": turns} | tokens, "independent": split,
    }  # fmt: skip
    if blocks:
        pictures = many_pictures(data, blocks, model, seed)
        frames = frames_of(
            np.concatenate([tokenizer.encode(each) for each in np.array_split(pictures, -(-blocks // 64))])
        )
        with progress_bar() as bar:
            row = bar.add_task("machines", total=len(frames) * (1 + len(DECODERS)))
            report["mismatch"] = {"turns": block_turns} | count_mismatches(
                frames, model, block_turns, progress=lambda done: bar.advance(row, done)
            )
    if json_file is not None:
        write_json(report, json_file)
        return
    show([tokens], f"{photographs.source}, {len(photographs.pictures)} photographs, bits per token")
    if split:
        show(split, "independently decodable blocks")
    if blocks:
        conditions = report["mismatch"]["conditions"]
        show([{"decoder": name} | each for name, each in conditions.items()], "machines")
