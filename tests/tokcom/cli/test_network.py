"""`tokcom send`, `listen` and `relay`, each in a thread or beside an endpoint of the test."""

import asyncio
import errno
import json
import os
import socket
import threading

import pytest
from click.testing import CliRunner

from tokcom.cli import network
from tokcom.cli.main import main
from tokcom.errors import TextError
from tokcom.frame import BitFrame
from tokcom.packets.codebook import Codebook
from tokcom.protocol.receiver import Receiver, ReceiverSettings
from tokcom.protocol.sender import Sender, SenderSettings
from tokcom.protocol.udp import UdpReceiver, UdpSender
from tokcom.security.keys import load_key

TEXT = "text/utf-8"


class Listening(threading.Thread):
    """A receiver in a thread of its own, until so many frames have come."""

    def __init__(self, count, secret=b""):
        super().__init__(daemon=True)
        self.frames, self.ready, self._count, self._secret = [], threading.Event(), count, secret

    def run(self):
        asyncio.run(self._listen())

    async def _listen(self):
        settings = ReceiverSettings("all", secret=self._secret)
        end = UdpReceiver(Receiver([Codebook(TEXT, 2, "bits")], settings), "127.0.0.1", 0, self.frames.append)
        self.port = end.port
        self.ready.set()
        while len(self.frames) < self._count:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        end.close()


def test_texts_are_sent(tmp_path):
    key = tmp_path / "key"
    assert CliRunner().invoke(main, ["keys", "new", str(key)]).exit_code == 0
    listening = Listening(2, load_key(key).derive("token session"))
    listening.start()
    assert listening.ready.wait(30)
    to = f"127.0.0.1:{listening.port}"
    out = tmp_path / "sent.json"
    done = CliRunner().invoke(
        main, ["send", "one text", "ein zweiter", "--to", to, "--key", str(key), "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    listening.join(30)
    texts = [each.frame.to_bytes().decode() for each in sorted(listening.frames, key=lambda f: f.outline.frame_id)]
    assert texts == ["one text", "ein zweiter"]
    report = json.loads(out.read_text())
    assert (report["frames"], report["packets"], report["packets_dropped"]) == (2, 2, 0)


def test_a_text_longer_than_names_of_files_is_a_text():
    long = "many words " * 500
    (((frame, bits),),) = network._frames((long,), "none", True, False, None, 0, "cpu")
    assert frame.to_bytes().decode() == long and bits is None
    with pytest.raises(TextError, match="character 2 of text 1 is not UTF-8"):
        next(network._frames(("ab\udcff",), "none", True, False, None, 0, "cpu"))


def test_a_caption_goes_ahead_of_its_picture(tiny_model, tmp_path, capsys):
    from PIL import Image

    for name in ("told", "plain", "broken"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / f"{name}.png")
    (tmp_path / "told.txt").write_text("a red\n picture\n")
    (tmp_path / "broken.txt").write_bytes(b"\xff")
    what = ("text", *(str(tmp_path / f"{name}.png") for name in ("told", "plain", "broken")))

    def frames(captions):
        groups = network._frames(what, str(tiny_model), True, captions, None, 0, "cpu")
        return [(frame.frame_id, frame.modality, frame.companion) for group in groups for frame, *_ in group]

    pictures = [(1, "image", 0), (2, "image", 0), (3, "image", 0)]
    assert frames(False) == [(0, "bits", 0), *pictures]
    captioned = [(1, "bits", 0), (2, "image", 1), (3, "image", 0), (4, "image", 0)]
    assert frames(True) == [(0, "bits", 0), *captioned]
    assert "not UTF-8" in capsys.readouterr().err


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def listened(model, folder, *frames, options=()):
    """What `listen` tells of frames that are offered to it: its page is in `folder`."""
    port = free_port()

    async def offer(stopped):
        end = UdpSender(Sender(SenderSettings(deadline_s=60)), "127.0.0.1", port)
        for frame in frames:
            end.offer(frame)
        while not stopped.is_set():
            await asyncio.sleep(0.02)
        end.close()

    stopped = threading.Event()
    sending = threading.Thread(target=lambda: asyncio.run(offer(stopped)), daemon=True)
    sending.start()
    out = folder / "received.json"
    options = ["--port", port, "--frames", len(frames), "--model", model, "--out", folder, "--json", out, *options]
    try:
        done = CliRunner().invoke(main, ["listen", *map(str, options)])
    finally:
        stopped.set()
        sending.join(30)
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text()) | {"said": " ".join(done.output.split())}


def picture(model, number):
    import numpy as np

    from tokcom.frame import TokenFrame
    from tokcom.models.codebooks import codebook

    book = codebook(str(model))
    return TokenFrame(np.arange(16), book.name, book.size, (4, 4), cmi=1, frame_id=number)


def test_what_comes_is_shown_and_saved(tiny_model, tmp_path):
    report = listened(tiny_model, tmp_path, BitFrame.of_bytes(b"<hello>", TEXT, 0), picture(tiny_model, 1))
    rows = {row["frame"]: row for row in report["frames"]}
    assert rows[0]["text"] == "<hello>" and (rows[1]["packets"], rows[1]["lost"]) == (4, 0)
    page = (tmp_path / "index.html").read_text()
    assert (tmp_path / rows[1]["picture"]).is_file() and rows[1]["picture"] in page
    assert "2 frames received" in page and "&lt;hello&gt;" in page and "<hello>" not in page


@pytest.mark.parametrize("late", [False, True])
def test_a_caption_is_shown_and_saved_with_its_picture(late, tiny_model, tmp_path):
    from dataclasses import replace

    text, frame = BitFrame.of_bytes("größer <b>".encode(), TEXT, 5), replace(picture(tiny_model, 6), companion=1)
    report = listened(tiny_model, tmp_path, *((frame, text) if late else (text, frame)))
    rows = {row["frame"]: row for row in report["frames"]}
    assert rows[6]["caption"] == rows[5]["text"] == "größer <b>" and "caption" not in rows[5]
    file = (tmp_path / rows[6]["picture"]).with_suffix(".txt")
    assert file.read_text(encoding="utf-8").strip() == "größer <b>"
    assert "<p>größer &lt;b&gt;</p>" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_model_that_is_missing_is_named_or_fetched(tiny_model, make_tiny_model, tmp_path, monkeypatch):
    pytest.importorskip("zmq")
    import numpy as np

    from tokcom.models.codebooks import codebook
    from tokcom.models.shelf import ModelShelf
    from tokcom.offload.server import EdgeServer
    from tokcom_lab.training.export import export_labels

    other = make_tiny_model(tmp_path / "elsewhere")
    # Labels of its own make it another codebook.
    export_labels(other, {"coded": np.arange(32)[::-1].copy()}, {}, {}, "none")
    monkeypatch.chdir(tmp_path)
    number = f"0x{codebook(str(other)).id:08x}"
    report = listened(tiny_model, tmp_path, picture(other, 1))
    assert report["frames"][0]["codebook"] == f"unknown-{number[2:]}"
    assert f"tokcom models pull {number}" in report["said"]
    with EdgeServer([], "tcp://127.0.0.1:0", shelf=ModelShelf([str(other)])) as server:
        report = listened(tiny_model, tmp_path, picture(other, 1), options=("--pull", server.endpoint))
    assert f"codebook {number} has come" in report["said"]
    assert (tmp_path / "models/tiny/card.json").is_file()


def test_a_full_disk_ends_no_reception_and_the_newest_frames_are_told(tiny_model, tmp_path, monkeypatch):
    from PIL import Image

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(network, "ROWS_KEPT", 2)
    texts = [BitFrame.of_bytes(b"text", TEXT, number) for number in (1, 2)]
    report = listened(tiny_model, tmp_path, picture(tiny_model, 0), *texts)
    assert report["received"] == report["counters"]["frames"] == 3 and len(report["frames"]) == 2
    report = listened(tiny_model, tmp_path, picture(tiny_model, 0))
    assert "cannot be saved: No space left on device" in report["frames"][0]["problem"]


def test_a_relay_counts_what_it_does(tmp_path):
    out = tmp_path / "relayed.json"
    done = CliRunner().invoke(
        main, ["relay", "--port", str(free_port()), "--to", "127.0.0.1:9", "--rate", "1000", "--seconds", "0.05",
               "--json", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0 and json.loads(out.read_text()) == {"passed": 0, "dropped": [0, 0, 0, 0], "refused": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send", "text", "--to", "nowhere"], "write HOST:PORT"),
        (["send", "text", "--to", "no.such.host.invalid:9"], "is not known"),
        (["relay", "--port", "9", "--to", "nowhere:x", "--rate", "1"], "write HOST:PORT"),
        (["listen", "--port", "4000", "--alpha", "1"], "0<x<1"),
    ],
)
def test_what_cannot_work_is_said(arguments, message):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code and message in done.output


def test_a_port_in_use_is_said():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        port = str(made.getsockname()[1])
        done = CliRunner().invoke(main, ["relay", "--port", port, "--to", "127.0.0.1:9", "--rate", "1"])
    assert done.exit_code == 1 and "choose another port" in done.output


def test_texts_travel_as_words_of_a_model(tiny_text_model):
    from tokcom.adaptation.predictability import token_bits
    from tokcom.models.text import load_text_tokenizer
    from tokcom.models.zoo import load_context

    model, text = str(tiny_text_model), "the rain on the other train"
    (((frame, bits),),) = network._frames((text,), model, True, False, None, 0, "cpu")
    tokenizer = load_text_tokenizer(model)
    assert tokenizer.detokenize(frame.tokens) == text and frame.codebook == tokenizer.codebook
    assert bits.sum() == pytest.approx(token_bits(load_context(model, "cpu"), frame).sum(), rel=1e-4)
    with pytest.raises(TextError, match=r"test_network.py is a file, and model .* is of text"):
        next(network._frames((__file__,), model, True, False, None, 0, "cpu"))


def test_lost_words_are_filled_in_and_marked(tiny_text_model, tmp_path):
    import numpy as np

    from tokcom.models.text import load_text_tokenizer

    frame = load_text_tokenizer(str(tiny_text_model)).tokenize("the rain on the other train")
    holes = np.where(np.isin(np.arange(len(frame.tokens)), [4, 9]), -1, frame.tokens)
    told = listened(tiny_text_model, tmp_path, frame.with_tokens(holes), options=["--repeats", "none"])
    (row,) = told["frames"]
    assert row["guessed"] > 0 and row["lost"] in (1, 2) and "?]" in row["text"]
    assert "?]" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_lost_patches_show_what_the_model_expects(tiny_model, tmp_path):
    import numpy as np
    from PIL import Image

    from tokcom.frame import LOST
    from tokcom.models.zoo import load_context, load_tokenizer
    from tokcom.packets.layout import packet_positions
    from tokcom.source.filling import filled_picture

    whole = picture(tiny_model, 3)
    tokens = whole.tokens.copy()
    tokens[packet_positions((4, 4), 4, seed=3)[2]] = LOST
    left = whole.with_tokens(tokens)
    (row,) = listened(tiny_model, tmp_path, left, options=["--repeats", "none", "--device", "cpu"])["frames"]
    assert (row["lost"], row["guessed"]) == (1, 4)
    shown = np.asarray(Image.open(tmp_path / row["picture"]))
    tokenizer = load_tokenizer(str(tiny_model), 0, "cpu")
    expected = filled_picture(left, load_context(str(tiny_model), "cpu"), tokenizer)
    np.testing.assert_allclose(shown.astype(int), expected, atol=1)
    assert (shown != tokenizer.detokenize(left)).any()
