"""`tokcom send`, `listen`, `relay`: tokens over networks."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import click

from tokcom.cli.options import Aside, device_option, json_option, seed_option, server_option
from tokcom.cli.output import console, progress_bar, write_json
from tokcom.link.modes import MODES
from tokcom.models.folders import DEFAULT_MODEL

TEXT = "text/utf-8"
"""Content of frames of bits that hold a text."""
HANDSHAKE_S = 20.0
MAX_SECONDS = 10.0
"""Seconds per frame for which a language model may fill in."""
MAX_WAITING = 256
"""Frames that may wait to be made whole; of more, or of more than `ReceiverSettings.max_bytes` together, the oldest are
dropped."""
ROWS_KEPT = 4096
"""Frames of which `listen` keeps what it tells, for its page and its JSON; of more, the newest."""
PORT = click.IntRange(1, 65535)
key_option = click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), help="File of a key that both ends share (tokcom keys)."
)


def _secret(key: Path | None) -> bytes:
    from tokcom.security.keys import load_key

    return b"" if key is None else load_key(key).derive("token session")


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--to", required=True, metavar="HOST:PORT", help="Where `tokcom listen`, or a relay ahead of it, is.")
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True,
    help="A model of the zoo, by name or folder: of pictures, or of text, as whose words texts then travel.",
)  # fmt: skip
@click.option("--labels/--no-labels", default=True, show_default=True, help="Send each picture's class along.")
@click.option(
    "--captions/--no-captions", default=False, show_default=True,
    help="Send the text beside each picture along: of photo.jpg, that in photo.txt.",
)  # fmt: skip
@click.option("--visits", type=click.IntRange(0), help="Of the search for better tokens. [default: as the model says]")
@click.option(
    "--exchanges", default=4, show_default=True, type=click.IntRange(0, 100),
    help="Rounds that improve the choice of a picture's packets to be dropped first; each takes 7 passes of the model.",
)  # fmt: skip
@click.option("--interval", default=0.0, show_default=True, type=click.FloatRange(0), help="Seconds between frames.")
@click.option("--rate", type=click.FloatRange(1), help="Bytes per second at most; the surest packets are dropped.")
@click.option(
    "--drop", type=click.Choice(["surest", "random"]), default="surest", show_default=True,
    help="What is dropped where the rate does not suffice.",
)  # fmt: skip
@click.option(
    "--indexed", type=click.Choice(["all", "quarter", "none"]), default="all", show_default=True,
    help="Which packets travel with their index.",
)  # fmt: skip
@click.option("--deadline", default=2.0, show_default=True, type=click.FloatRange(0.01), help="Seconds for a frame.")
@key_option
@device_option
@json_option("Write what was sent as JSON")
def send(
    what: tuple[str, ...], to: str, model: str, labels: bool, captions: bool, visits: int | None, exchanges: int,
    interval: float, rate: float | None, drop: str, indexed: str, deadline: float, key: Path | None, device: str,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Send pictures (files) as tokens, or texts (whatever is no file), over UDP.

    With a model of text, as smollm2, texts travel as its words, and its language model fills in what is lost; else as
    bits. Packets carry a class by how well the receiver can guess them; what is lost is asked for only where it cannot.
    """
    from dataclasses import asdict

    from tokcom.errors import TransportError
    from tokcom.protocol.sender import Sender, SenderSettings
    from tokcom.protocol.udp import UdpSender, parse_address

    host, port = parse_address(to)
    settings = SenderSettings(
        deadline_s=deadline, max_rate=rate, drop=drop, indexed=indexed, secret=_secret(key)
    )  # fmt: skip
    frames = _frames(what, model, labels, captions, visits, exchanges, device)

    async def run() -> dict:
        loop, end = asyncio.get_running_loop(), UdpSender(Sender(settings), host, port)
        try:
            with progress_bar() as bar:
                task = bar.add_task("sent", total=len(what))
                # Tokens are made beside the loop, which has datagrams to send meanwhile.
                while (made := await loop.run_in_executor(None, next, frames, None)) is not None:
                    for frame, bits in made:
                        end.offer(frame, bits)
                    bar.advance(task)
                    await _connected(end)
                    await asyncio.sleep(interval)
            done = await end.finish(deadline + 1)
        finally:
            end.close()
        if not done:
            console.print("the receiver has not confirmed every frame within its deadline")
        return asdict(end.sender.counters) | {"confirmed": done}

    async def _connected(end: UdpSender) -> None:
        for _ in range(int(HANDSHAKE_S / 0.01)):
            if end.sender.connected:
                return
            await asyncio.sleep(0.01)
        reason = f" (the last answer: {end.sender.refused})" if end.sender.refused else ""
        raise TransportError(
            f"{to} does not answer{reason}; start `tokcom listen --port {port}` there, with the same --key if any"
        )

    report = asyncio.run(run())
    if json_file is not None:
        write_json(report, json_file)
        return
    console.print(
        f"{report['frames']} frames, {report['packets']} packets ({report['packets_repeated']} again, "
        f"{report['packets_dropped']} dropped) in {report['datagrams']} datagrams, {report['bytes']} bytes; "
        f"{report['frames_expired']} frames were too late"
    )


def _frames(
    what: tuple[str, ...], model: str, labels: bool, captions: bool, visits: int | None, exchanges: int, device: str
):  # fmt: skip
    """The frames of each argument, with the surprise of their packets: a caption goes ahead of its picture."""
    from dataclasses import replace

    from tokcom.errors import TextError
    from tokcom.frame import BitFrame

    words, coder, number = _is_of_text(model), None, 0
    for place, each in enumerate(what):
        made = []
        # A text may be longer than any file's name.
        if not os.path.isfile(each):
            try:
                text = each.encode()
            except UnicodeEncodeError as error:
                raise TextError(f"character {error.start} of text {place + 1} is not UTF-8; convert the text") from None
            if words:
                coder = coder or _text_coder(model, device)
                made.append(coder(each, number))
            else:
                made.append((BitFrame.of_bytes(text, TEXT, number), None))
        elif words:
            raise TextError(f"{each} is a file, and model {model} is of text; name a model of pictures with --model")
        else:
            coder = coder or _picture_coder(model, labels, visits, exchanges, device)
            caption = _caption(Path(each)) if captions else ""
            if caption:
                made.append((BitFrame.of_bytes(caption.encode(), TEXT, number), None))
            picture, bits = coder(Path(each), number + bool(caption))
            made.append((replace(picture, companion=int(bool(caption))), bits))
        number += len(made)
        yield made


def _caption(picture: Path) -> str:
    """The text beside a picture; empty if there is none, or it cannot be read."""
    from tokcom.errors import PictureError
    from tokcom.tokenizers.captions import load_caption

    try:
        return load_caption(picture)
    except PictureError as error:
        console.print(f"{error}; the picture goes without it")
        return ""


def _is_of_text(model: str) -> bool:
    """Whether a model's tokens are words of text; one that is not here is not, and is missed when it is needed."""
    from tokcom.errors import ModelError
    from tokcom.models.installed import model_card
    from tokcom.tokenizers.text import MODALITY

    _make_ready(model)
    try:
        return model_card(model).content["modality"] == MODALITY
    except ModelError:
        return False


def _make_ready(model: str) -> None:
    """Make the model's folder, where it is made when it is first wanted."""
    from tokcom.models.folders import list_models
    from tokcom.models.installed import MADE, make_missing

    if model in MADE and model not in list_models():
        with progress_bar() as bar:
            row = bar.add_task(f"making {model} ready", total=1.0)
            make_missing(model, lambda share: bar.update(row, completed=share))


def _text_coder(model: str, device: str) -> Callable:
    from tokcom.adaptation.predictability import token_bits
    from tokcom.frame import TokenFrame
    from tokcom.models.text import load_text_tokenizer
    from tokcom.models.zoo import load_context
    from tokcom.packets.layout import SEEDS, packet_positions
    from tokcom.protocol.priority import packet_bits

    tokenizer, prior = load_text_tokenizer(model), load_context(model, device)

    def code(text: str, number: int) -> tuple[TokenFrame, object]:
        frame = tokenizer.tokenize(text, number)
        positions = packet_positions(frame.grid, 4, seed=number % SEEDS)
        return frame, packet_bits(token_bits(prior, frame), positions)

    return code


def _picture_coder(model: str, labels: bool, visits: int | None, exchanges: int, device: str) -> Callable:
    from numpy import ndarray

    from tokcom.adaptation.predictability import token_bits
    from tokcom.frame import TokenFrame
    from tokcom.models.installed import model_card
    from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
    from tokcom.packets.layout import SEEDS, packet_positions
    from tokcom.protocol.importance import packet_costs
    from tokcom.protocol.priority import packet_bits
    from tokcom.source.filling import filled_picture
    from tokcom.tokenizers.pictures import load_picture, square

    tokenizer, prior = load_tokenizer(model, visits, device), load_context(model, device)
    has_classes = labels and "classifier" in model_card(model).content
    classifier = load_classifier(model, device) if has_classes else None

    def show(frame: TokenFrame) -> ndarray:
        return filled_picture(frame, prior, tokenizer)

    def code(path: Path, number: int) -> tuple[TokenFrame, object]:
        picture = square(load_picture(path), tokenizer.image_size)
        label = None if classifier is None else classifier.label(picture)
        tokens = tokenizer.encode(picture[None])[0].ravel()
        frame = TokenFrame(
            tokens, tokenizer.codebook, tokenizer.codebook_size, tokenizer.grid, "image", label, number
        )  # fmt: skip
        positions = packet_positions(frame.grid, 4, seed=number % SEEDS)
        if len(frame.grid) != 2:  # tokens without a place in the picture
            return frame, packet_bits(token_bits(prior, frame), positions)
        return frame, packet_costs(show, frame, positions, picture, exchanges)

    return code


def _marked(word: object) -> str:
    return word.text if word.sure or word.text.isspace() else f"[{word.text}?]"


@click.command()
@click.option("--port", required=True, type=PORT, help="UDP port to listen at.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0: all of them.")
@click.option(
    "--model", "models", default=DEFAULT_MODEL, show_default=True,
    help="Models whose codebooks are known, between commas.",
)  # fmt: skip
@click.option("--mode", type=click.Choice(["none", *MODES]), default="mask", show_default=True, help="Of recovery.")
@click.option(
    "--repeats", type=click.Choice(["context", "all", "none"]), default="context", show_default=True,
    help="Which lost packets are asked for: those that the model cannot tell, all, none.",
)  # fmt: skip
@click.option(
    "--alpha", default=0.1, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of a frame's tokens that may be wrong because they were not asked for.",
)  # fmt: skip
@click.option("--deadline", default=0.5, show_default=True, type=click.FloatRange(0.01), help="Seconds for a frame.")
@click.option("--frames", type=click.IntRange(1), help="Stop after N frames. [default: at Ctrl-C]")
@click.option("--out", cls=Aside, type=click.Path(path_type=Path), help="Folder for pictures and a page of them.")
@server_option
@click.option(
    "--pull", "shelf", default="", metavar="ADDRESS",
    help="Server of models (tokcom serve --share) that is asked for those of unknown codebooks; they go into models/.",
)  # fmt: skip
@click.option("--signer", "signers", multiple=True, help="Signer whom these must have; may be repeated.")
@key_option
@device_option
@json_option("Write frames and counters as JSON")
def listen(
    port: int, host: str, models: str, mode: str, repeats: str, alpha: float, deadline: float, frames: int | None,
    out: Path | None, server: str, shelf: str, signers: tuple[str, ...], key: Path | None, device: str,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Receive what `tokcom send` sends; make it whole, save it, and show it on a page that follows."""
    from dataclasses import asdict

    from tokcom.context.joint_decoding import ContextSettings
    from tokcom.context.prior import Prior
    from tokcom.errors import ModelError, PictureError
    from tokcom.frame import BitFrame
    from tokcom.models.by_codebook import load_recoveries
    from tokcom.models.codebooks import codebook
    from tokcom.models.fetching import MAX_ASKED, ModelFetcher
    from tokcom.models.fits import load_repeat_risk
    from tokcom.models.installed import model_names
    from tokcom.models.recovery import load_recovery
    from tokcom.models.text import load_text_tokenizer
    from tokcom.models.zoo import load_context
    from tokcom.packets.codebook import Codebook
    from tokcom.protocol.caption_pairs import CaptionPairs
    from tokcom.protocol.formats import UNKNOWN
    from tokcom.protocol.frame_queue import FrameQueue
    from tokcom.protocol.incoming import ReceivedFrame, WaitSettings
    from tokcom.protocol.live_page import LivePage
    from tokcom.protocol.receiver import Receiver, ReceiverSettings
    from tokcom.protocol.repeat_requests import RepeatPolicy
    from tokcom.protocol.udp import UdpReceiver
    from tokcom.protocol.whole import FrameKeeper, WholeFrame
    from tokcom.recording.pictures import PictureFolder
    from tokcom.security.signatures import read_signer

    for name in model_names(models):
        _make_ready(name)
    known = {codebook(name).name: name for name in model_names(models)}
    readers = {book: load_text_tokenizer(name) for book, name in known.items() if _is_of_text(name)}

    def policy(book: str) -> RepeatPolicy | None:
        if book not in known or book in readers:
            return None
        try:
            return RepeatPolicy(load_context(known[book], device), load_repeat_risk(known[book]), alpha)
        except ModelError as error:
            console.print(f"{error}; until then all lost packets are asked for")
            return None

    recoveries = None
    if mode != "none":
        limits = ContextSettings(seconds=MAX_SECONDS)
        recoveries = load_recoveries(models, mode, device, server=server, told=console.print, context=limits)
    keeper = FrameKeeper(recoveries, policy)
    # Weights are read now, not while the first frame waits.
    for book in known:
        keeper.prepare(book)
    of_pictures = [name for book, name in known.items() if book not in readers]
    pictures = PictureFolder(out, of_pictures, device) if out is not None and of_pictures else None
    page = None if out is None else LivePage(out)
    settings = ReceiverSettings(repeats, WaitSettings(deadline_s=deadline), secret=_secret(key))
    receiver = Receiver([*map(codebook, known.values()), Codebook(TEXT, 2, "bits")], settings)
    rows, shown, strangers, pairs = deque(maxlen=ROWS_KEPT), 0, set(), CaptionPairs()

    def learn(folder: str) -> None:
        book = codebook(folder)
        known[book.name] = folder
        if recoveries is not None:
            recoveries.members.add(book, partial(load_recovery, folder, mode, device))
        if pictures is not None:
            pictures.add(folder)
        receiver.learn(book)

    fetcher = None
    if shelf:
        trusted = [read_signer(each) for each in signers]
        fetcher = ModelFetcher(shelf, Path("models"), trusted, learn, console.print)

    def met(name: str) -> None:
        """Ask for the model of an unknown codebook, or tell where it may be had."""
        number = name.removeprefix(UNKNOWN)
        if number == name or name in strangers or len(strangers) >= MAX_ASKED:
            return
        strangers.add(name)
        if fetcher is not None:
            fetcher.want(int(number, 16))
        else:
            console.print(
                f"codebook 0x{number} is unknown here: `tokcom models pull 0x{number} --from ADDRESS` fetches its "
                "model from a machine that has it; --pull ADDRESS does so by itself"
            )

    @cache
    def prior_of(book: str) -> Prior | None:
        try:
            return keeper.prior_of(book) or load_context(known[book], device)
        except ModelError:
            return None

    def captioned(row: dict, text: str) -> None:
        row["caption"] = text
        if pictures is not None and row.get("picture"):
            pictures.save_caption(row["picture"], text)

    def show(whole: WholeFrame, session: object, delay_s: float) -> None:
        nonlocal shown
        frame, problem = whole.frame, whole.problem
        row = {
            "frame": frame.frame_id, "codebook": frame.codebook, "packets": whole.packets, "lost": whole.packets_lost,
            "guessed": whole.guessed, "ms": round(1000 * delay_s, 1),
        }  # fmt: skip
        if isinstance(frame, BitFrame):
            row["text"] = None if frame.lost.any() else frame.to_bytes().decode("utf-8", "replace")
        elif frame.codebook in readers:
            words = readers[frame.codebook].words(frame.tokens, whole.confidence)
            row["text"] = "".join(map(_marked, words))
        met(frame.codebook)
        rows.append(row)
        shown += 1
        # A full disk ends no reception: the next frames may find room.
        try:
            if pictures is not None and "text" not in row:
                guesses = mode != "none" and whole.guessed and frame.codebook in known
                prior = prior_of(frame.codebook) if guesses else None
                row["picture"] = pictures.save(frame, shown - 1, whole.arrived, prior)
            if row.get("text"):
                pairs.add_text(session, frame.frame_id, row["text"])
            elif "text" not in row:
                pairs.add_picture(session, frame.frame_id, frame.companion, partial(captioned, row))
            if page is not None:
                page.write(rows, shown)
        except PictureError as error:
            problem = str(error)
        if problem:
            row["problem"] = problem
        if json_file is None:
            content = repr(row["text"]) if row.get("text") is not None else row.get("picture") or ""
            content += f" {row['caption']!r}" if "caption" in row else ""
            click.echo(
                f"frame {frame.frame_id}: {whole.packets_lost} of {whole.packets} packets lost, {whole.guessed} tokens "
                f"guessed, {row['ms']:g} ms {content} {problem}".rstrip()
            )

    async def run() -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        waiting = FrameQueue(settings.max_bytes, MAX_WAITING)

        def deliver(received: ReceivedFrame) -> None:
            receiver.counters.frames_dropped += waiting.put(received)
            came.set()

        async def judge(question: object) -> object:
            return await loop.run_in_executor(None, keeper.wanted, question)

        end = UdpReceiver(receiver, host, port, deliver, judge)
        console.print(f"listening at {host}:{end.port}")
        try:
            while frames is None or shown < frames:
                while not waiting:
                    came.clear()
                    await came.wait()
                received = waiting.popleft()
                whole = await loop.run_in_executor(None, keeper.whole, received)
                # A model's pass for the picture must not hold up datagrams.
                await loop.run_in_executor(None, show, whole, received.source, received.delay_s)
            # The sender is told that the last frame has come.
            await asyncio.sleep(0.1)
        finally:
            end.close()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    if fetcher is not None:
        fetcher.close()
    if receiver.counters.frames_dropped:
        console.print(f"{receiver.counters.frames_dropped} frames were cut short or dropped for want of room")
    if json_file is not None:
        write_json({"received": shown, "frames": list(rows), "counters": asdict(receiver.counters)}, json_file)


@click.command()
@click.option("--port", required=True, type=PORT, help="UDP port to listen at.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--to", required=True, metavar="HOST:PORT", help="Where the receiver is.")
@click.option("--rate", required=True, type=click.FloatRange(1), help="Bytes per second that go on.")
@click.option("--queue", default=65536, show_default=True, type=click.IntRange(1), help="Bytes that may wait.")
@click.option(
    "--drop", type=click.Choice(["surest", "random", "tail"]), default="surest", show_default=True,
    help="What is dropped where more come: packets that receivers guess best, any, or the last to come.",
)  # fmt: skip
@click.option("--loss", default=0.0, show_default=True, help="For trials: share of datagrams lost, each way.")
@click.option("--burst", default=1.0, show_default=True, help="Mean length of bursts of lost ones.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds each way.")
@click.option("--jitter", default=0.0, show_default=True, help="Mean of the seconds on top; datagrams overtake others.")
@click.option("--reorder", default=0.0, show_default=True, help="Share of datagrams without that delay.")
@click.option("--duplicate", default=0.0, show_default=True, help="Share of datagrams that come twice.")
@seed_option
@click.option("--seconds", type=click.FloatRange(0.01), help="Stop after so long. [default: at Ctrl-C]")
@json_option("Write the counters as JSON")
def relay(
    port: int, host: str, to: str, rate: float, queue: int, drop: str, loss: float, burst: float, delay: float,
    jitter: float, reorder: float, duplicate: float, seed: int, seconds: float | None,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """An intermediate router for token packets: under overload it drops first what can be guessed best.

    For trials it also loses, delays, reorders and repeats datagrams, the same ones for the same seed."""
    from dataclasses import asdict

    from tokcom.protocol import path
    from tokcom.protocol.relay import DropQueue
    from tokcom.protocol.udp import UdpRelay, parse_address

    drops, onward = DropQueue(rate, queue, drop, seed=seed), parse_address(to)
    trial = path.PathSettings(loss, burst, delay, jitter, reorder, duplicate)
    paths = None if trial == path.PathSettings() else (path.Path(trial, seed), path.Path(trial, seed + 1))

    async def run() -> None:
        end = UdpRelay(drops, (host, port), onward, paths=paths)
        console.print(f"relaying {host}:{port} to {to}, {rate:g} bytes per second")
        try:
            await asyncio.sleep(3e7 if seconds is None else seconds)
        finally:
            end.close()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    counters = asdict(drops.counters)
    if json_file is not None:
        write_json(counters, json_file)
        return
    dropped = ", ".join(f"{count} of class {i}" for i, count in enumerate(counters["dropped"]) if count) or "none"
    console.print(
        f"{counters['passed']} datagrams passed; dropped: {dropped}; {counters['refused']} of another protocol"
    )
