"""`tokcom compress` and `tokcom decompress`: pictures as coded tokens."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.options import model_option
from tokcom.cli.output import console, progress_bar
from tokcom.errors import SourceError

if TYPE_CHECKING:
    from tokcom.source.container import CodedFrames

CPU = "cpu"
"""Device of the model: a GPU computes in half precision, which is too coarse for exact decoding."""


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o",
    "--output",
    default="pictures.tkc",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.",
)
@model_option
@click.option(
    "--turns",
    default=16,
    show_default=True,
    type=click.IntRange(1, 255),
    help="Evaluations of the context model per picture; more give smaller files and take longer.",
)
@click.option("--visits", type=click.IntRange(0), help="Search passes per picture. [default: as in the card]")
def compress(pictures: tuple[Path, ...], output: Path, model: str, turns: int, visits: int | None) -> None:
    """Compress pictures: the tokens of their central squares, coded with the model's predictions.

    Decompression gives the pictures of the tokens, not the original pixels. It needs the same model, on any machine.
    """
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.packets.bits import bits_per_token
    from tokcom.source.blocks import SourceSettings
    from tokcom.source.container import code_frames, to_bytes
    from tokcom.tokenizers.pictures import load_picture

    tokenizer, prior = load_tokenizer(model, visits), load_context(model, CPU)
    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(pictures))
        frames = []
        for path in pictures:
            frames.append(tokenizer.tokenize(load_picture(path)))
            bar.advance(row)
        row = bar.add_task("coding", total=len(pictures))
        coded = code_frames(
            frames, [path.stem for path in pictures], prior, SourceSettings(turns),
            progress=lambda done: bar.advance(row, done),
        )  # fmt: skip
    data = to_bytes(coded)
    output.write_bytes(data)
    tokens = sum(len(frame.tokens) for frame in frames)
    click.echo(
        f"{output}: {len(frames)} picture{'s' * (len(frames) > 1)}, {tokens} tokens in {len(data)} bytes; "
        f"{8 * sum(map(len, coded.blocks)) / tokens:.2f} bits per token without names and table, "
        f"{bits_per_token(prior.codebook_size)} uncoded"
    )


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to",
    "folder",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the pictures, created if missing.",
)
def decompress(files: tuple[Path, ...], folder: Path) -> None:
    """Write the pictures that compressed files hold, as PNG.

    If a file is corrupt, its intact blocks are written. The exit code is 1 if anything could not be decoded.
    """
    from tokcom.source.container import from_bytes

    folder.mkdir(parents=True, exist_ok=True)
    whole = True
    for path in files:
        try:
            coded = from_bytes(path.read_bytes())
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        whole &= _write_pictures(path, coded, folder)
    if not whole:
        sys.exit(1)


def _write_pictures(path: Path, coded: "CodedFrames", folder: Path) -> bool:
    """Write a file's pictures and report those that cannot be decoded; return whether all were written."""
    from tokcom.models.zoo import load_context, load_tokenizer, model_of
    from tokcom.recording.pictures import file_name, save_picture

    model = model_of(coded.codebook)
    prior, tokenizer = load_context(model, CPU), load_tokenizer(model, 0)
    whole, written = True, 0
    with progress_bar() as bar:
        row = bar.add_task(path.name, total=len(coded.outlines))
        for block in range(len(coded.blocks)):
            try:
                frames = coded.decode(block, prior)
            except SourceError as error:
                console.print(f"{path}: {error}", highlight=False, soft_wrap=True)
                frames, whole = [], False
            for frame in frames:
                name = file_name(f"{path.stem[:40]}-{frame.frame_id + 1:04d}", coded.names[frame.frame_id], "")
                save_picture(tokenizer.detokenize(frame), folder / name)
                written += 1
            bar.advance(row, len(coded.members(block)))
    click.echo(f"{path}: {written} of {len(coded.outlines)} pictures, in {folder}")
    return whole
