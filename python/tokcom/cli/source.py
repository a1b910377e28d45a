"""`tokcom compress` and `tokcom decompress`: pictures and texts as coded tokens."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokcom.cli.output import console, progress_bar
from tokcom.errors import ParameterError, SourceError, TextError
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.source.choices import CHOICES, REGIONS

if TYPE_CHECKING:
    from tokcom.source.container import CodedFrames
    from tokcom.source.messages import MessageCoder
    from tokcom.source.text_file import CodedText

CPU = "cpu"
"""Device of the model: a GPU computes in half precision, which is too coarse for exact decoding."""
TEXTS = (".txt", ".md")
"""File name endings of texts."""
DEFAULT_TEXT_MODEL = "smollm2"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. [default: pictures.tkc or texts.tkc]",
)
@click.option(
    "--model", help=f"A model of the zoo, by name or folder. [default: {DEFAULT_MODEL}; of texts {DEFAULT_TEXT_MODEL}]"
)
@click.option(
    "--turns",
    default=16,
    show_default=True,
    type=click.IntRange(1, 255),
    help="Evaluations of the context model per picture; more give smaller files and take longer.",
)
@click.option("--visits", type=click.IntRange(0), help="Search passes per picture. [default: as in the card]")
@click.option(
    "--bytes",
    "n_bytes",
    type=click.IntRange(1),
    help="Largest size of a picture, without name and table; tokens are left out until it fits. [default: all tokens]",
)
@click.option(
    "--choice",
    type=click.Choice(CHOICES),
    default=REGIONS,
    show_default=True,
    help="With --bytes: which tokens stay, as in the block Token Thinner.",
)
@click.option(
    "--message", help="A short text instead of FILES; it is coded by itself, and written as hexadecimal digits."
)
def compress(
    files: tuple[Path, ...], output: Path | None, model: str | None, turns: int, visits: int | None,
    n_bytes: int | None, choice: str, message: str | None,
) -> None:  # fmt: skip
    """Compress pictures, or texts in UTF-8, with a model's predictions.

    Of pictures, the tokens of their central squares are coded: decompression gives the pictures of the tokens, not the
    original pixels; tokens that --bytes leaves out are filled in by the model. Texts (.txt, .md) are coded without
    loss, at about 200 tokens per second; decompression takes more than 10 times as long. It needs the same model, on
    any machine.
    """
    texts = [path for path in files if path.suffix.lower() in TEXTS]
    if bool(files) == (message is not None):
        raise click.UsageError("name the files to compress, or give a --message")
    if n_bytes is not None and (texts or message is not None):
        raise ParameterError("--bytes is for pictures; texts are coded without loss")
    if message is not None:
        _compress_message(message, model or DEFAULT_TEXT_MODEL)
    elif not texts:
        _compress_pictures(
            files, output or Path("pictures.tkc"), model or DEFAULT_MODEL, turns, visits, n_bytes, choice
        )
    elif len(texts) == len(files):
        _compress_texts(files, output or Path("texts.tkc"), model or DEFAULT_TEXT_MODEL)
    else:
        raise ParameterError(f"{texts[0]} is a text, other files are not; compress texts and pictures separately")


def _message_coder(model: str) -> "MessageCoder":
    from tokcom.models.installed import make_missing
    from tokcom.models.text import load_exact_language
    from tokcom.source.messages import MessageCoder

    with progress_bar() as bar:
        row = bar.add_task(f"making {model} ready", total=1.0)
        make_missing(model, lambda share: bar.update(row, completed=share))
        coder = MessageCoder(*load_exact_language(model))
        bar.update(row, completed=1.0)
    return coder


def _compress_message(message: str, model: str) -> None:
    from tokcom.source.messages import require_message

    plain = require_message(message)
    data = _message_coder(model).encode(message)
    click.echo(data.hex())
    console.print(f"{len(plain)} bytes in {len(data)}", highlight=False)


def _compress_texts(files: tuple[Path, ...], output: Path, model: str) -> None:
    from tokcom.models.installed import make_missing
    from tokcom.models.text import load_exact_language
    from tokcom.source.text_file import code_text, texts_to_bytes

    found = []
    for path in files:
        try:
            found.append(path.read_bytes().decode())
        except UnicodeDecodeError as error:
            raise TextError(f"{path}: byte {error.start} is not UTF-8; convert the file") from None
        if not found[-1]:
            raise TextError(f"{path} is empty")
    coded = []
    with progress_bar() as bar:
        row = bar.add_task(f"making {model} ready", total=1.0)
        make_missing(model, lambda share: bar.update(row, completed=share))
        prior, tokenizer = load_exact_language(model)
        bar.update(row, completed=1.0)
        for path, text in zip(files, found, strict=True):
            row = bar.add_task(path.name, total=1.0)
            coded.append(code_text(path.name, text, prior, tokenizer, partial(bar.advance, row)))
    data = texts_to_bytes(prior.codebook, coded)
    output.write_bytes(data)
    size, blocks = sum(text.n_bytes for text in coded), sum(len(block) for text in coded for block in text.blocks)
    click.echo(
        f"{output}: {len(coded)} text{'s' * (len(coded) > 1)}, {size} bytes in {len(data)}; "
        f"{8 * blocks / size:.2f} bits per byte without names and table"
    )


def _compress_pictures(
    files: tuple[Path, ...], output: Path, model: str, turns: int, visits: int | None, n_bytes: int | None, choice: str
) -> None:  # fmt: skip
    from tokcom.models.source_coding import load_chooser
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.packets.bits import bits_per_token
    from tokcom.source.blocks import SourceSettings
    from tokcom.source.container import FRAMES_PER_BLOCK, code_frames, to_bytes
    from tokcom.source.rate_control import thin_to_bytes
    from tokcom.tokenizers.pictures import load_picture

    tokenizer, prior, settings = load_tokenizer(model, visits), load_context(model, CPU), SourceSettings(turns)
    chooser = None if n_bytes is None else load_chooser(model, choice)
    with progress_bar() as bar:
        row = bar.add_task("tokens", total=len(files))
        frames = []
        for path in files:
            frames.append(tokenizer.tokenize(load_picture(path)))
            if chooser is not None:
                frames[-1] = thin_to_bytes(frames[-1], chooser, n_bytes, prior, settings)
            bar.advance(row)
        row = bar.add_task("coding", total=len(files))
        coded = code_frames(
            frames, [path.stem for path in files], prior, settings,
            frames_per_block=FRAMES_PER_BLOCK if chooser is None else 1, progress=lambda done: bar.advance(row, done),
        )  # fmt: skip
    data = to_bytes(coded)
    output.write_bytes(data)
    tokens = sum(int((~frame.lost).sum()) for frame in frames)
    click.echo(
        f"{output}: {len(frames)} picture{'s' * (len(frames) > 1)}, {tokens} tokens in {len(data)} bytes; "
        f"{8 * sum(map(len, coded.blocks)) / tokens:.2f} bits per token without names and table, "
        f"{bits_per_token(prior.codebook_size)} uncoded"
    )


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to",
    "folder",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the pictures or texts, created if missing.",
)
@click.option("--message", help="Hexadecimal digits of a coded message instead of FILES; its text is printed.")
@click.option("--model", default=DEFAULT_TEXT_MODEL, show_default=True, help="With --message: the encoder's model.")
def decompress(files: tuple[Path, ...], folder: Path, message: str | None, model: str) -> None:
    """Write the pictures that compressed files hold, as PNG, or their texts.

    If a file is corrupt, its intact blocks are written; of a text, those before the first damaged one. The exit code is
    1 if anything could not be decoded.
    """
    from tokcom.source.container import from_bytes
    from tokcom.source.text_file import MAGIC, texts_from_bytes

    if bool(files) == (message is not None):
        raise click.UsageError("name the files to decompress, or give a --message")
    if message is not None:
        try:
            data = bytes.fromhex(message)
        except ValueError:
            raise ParameterError(f"--message is {message[:40]!r}; it must be pairs of hexadecimal digits") from None
        click.echo(_message_coder(model).decode(data))
        return
    folder.mkdir(parents=True, exist_ok=True)
    whole = True
    for path in files:
        data = path.read_bytes()
        try:
            coded = texts_from_bytes(data) if data.startswith(MAGIC) else from_bytes(data)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        whole &= _write_texts(path, *coded, folder) if data.startswith(MAGIC) else _write_pictures(path, coded, folder)
    if not whole:
        sys.exit(1)


def _write_pictures(path: Path, coded: "CodedFrames", folder: Path) -> bool:
    """Write a file's pictures and report those that cannot be decoded; return whether all were written."""
    from tokcom.models.codebooks import model_of
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.recording.pictures import file_name, save_picture
    from tokcom.source.filling import filled_picture

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
                save_picture(filled_picture(frame, prior, tokenizer), folder / name)
                written += 1
            bar.advance(row, len(coded.members(block)))
    click.echo(f"{path}: {written} of {len(coded.outlines)} pictures, in {folder}")
    return whole


def _write_texts(path: Path, codebook: str, texts: "list[CodedText]", folder: Path) -> bool:
    """Write a file's texts and report those that cannot be decoded; return whether all were written whole."""
    from tokcom.models.codebooks import model_of
    from tokcom.models.text import load_exact_language
    from tokcom.recording.pictures import file_name

    whole = 0
    prior, tokenizer = load_exact_language(model_of(codebook)) if any(text.tokens for text in texts) else (None, None)
    with progress_bar() as bar:
        row = bar.add_task(path.name, total=sum(text.tokens for text in texts))
        for number, text in enumerate(texts, 1):
            decoded = text.decode(prior, tokenizer, lambda tokens: bar.advance(row, tokens))
            name = Path(text.name)
            suffix = name.suffix.lower() if name.suffix.lower() in TEXTS else TEXTS[0]
            stem = file_name(f"{path.stem[:40]}-{number:04d}", name.stem, "")
            target = (folder / stem).with_suffix(suffix)
            target.write_bytes(decoded.content)
            whole += decoded.error is None
            if decoded.error is not None:
                console.print(f"{path}: {target.name}: {decoded.error}", highlight=False, soft_wrap=True)
    click.echo(f"{path}: {whole} of {len(texts)} texts, in {folder}")
    return whole == len(texts)
