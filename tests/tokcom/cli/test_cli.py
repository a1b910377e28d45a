import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import tokcom
from tokcom.cli.main import main


@pytest.fixture
def recording(tiny_model, tmp_path):
    """A recording of two pictures of the tiny model, one packet of the second not sent, and one burst of another."""
    from tokcom.frame import TokenFrame
    from tokcom.link.transmitter import TransmitConfig, Transmitter
    from tokcom.models.codebooks import codebook
    from tokcom.packets.mcs_map import MCS_NOT_SENT
    from tokcom.recording.metadata import RecordingInfo
    from tokcom.recording.writer import SigmfWriter

    sender, tokens = Transmitter(TransmitConfig("qpsk-1/2")), np.arange(16)
    own = codebook(str(tiny_model)).name
    with SigmfWriter(tmp_path / "air.sigmf-meta", RecordingInfo(1e6)) as writer:
        for frame_id, (name, last) in enumerate(((own, 3), (own, MCS_NOT_SENT), ("strange", 3))):
            frame = TokenFrame(tokens, name, 32, (4, 4), cmi=2, frame_id=frame_id)
            writer.write(np.zeros(1000))
            writer.write(sender.transmit(frame, 1, np.array([3, 3, 3, last], np.uint8)))
    return tmp_path / "air.sigmf-meta"


def test_replay_prints_a_row_for_each_burst(recording, tiny_model):
    result = CliRunner().invoke(main, ["replay", str(recording), "--model", str(tiny_model)])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if "standard" in line]
    assert [(row[1], row[7], re.split("[-@]", row[8])[0]) for row in rows] == [
        ("0", "0/4", "tiny"),
        ("1", "1/4", "tiny"),
        ("2", "0/4", "unknown"),
    ]
    assert "3 preambles, 3 bursts" in result.output


@pytest.mark.parametrize("mode", ["context", "mask", "none"])
def test_replay_writes_tokens_and_pictures(mode, recording, tiny_model, tmp_path):
    out, report = tmp_path / "pictures", tmp_path / "report.json"
    arguments = [
        "replay",
        str(recording),
        "--model",
        str(tiny_model),
        "--json",
        str(report),
        "--out",
        str(out),
        "--mode",
        mode,
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(report.read_text())
    assert [row["tokens"].count(-1) for row in rows] == [0, 4, 0] and rows[0]["tokens"] == list(range(16))
    assert [row["picture"] for row in rows] == ["0000-0000.png", "0001-0001.png", None]
    assert sorted(path.name for path in out.iterdir()) == ["0000-0000.png", "0001-0001.png"]
    with Image.open(out / "0001-0001.png") as picture:
        grey = (np.asarray(picture) == 128).all(axis=2)
    assert grey.sum() == (64 if mode == "none" else 0)


def test_replay_stopped_shows_what_it_has(recording, tiny_model, monkeypatch, tmp_path):
    from tokcom.recording.reader import Recording

    def stopped(self, length):
        yield from list(chunks(self, 5000))[:1]
        raise KeyboardInterrupt

    chunks = Recording.chunks
    monkeypatch.setattr(Recording, "chunks", stopped)
    report = tmp_path / "report.json"
    result = CliRunner().invoke(main, ["replay", str(recording), "--model", str(tiny_model), "--json", str(report)])
    assert result.exit_code == 130 and 1 <= len(json.loads(report.read_text())) < 3
    assert "5000 samples" in result.output


def test_errors_are_one_line_without_a_traceback():
    result = CliRunner().invoke(main, ["replay", "/no/where"])
    assert result.exit_code == 1 and "Error: /no/where.sigmf-meta: no such file" in result.output


def test_models_list_tells_what_there_is(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", str(tiny_model.parent))
    (tiny_model.parent / "broken").mkdir()
    (tiny_model.parent / "broken" / "card.json").write_text("{")
    said = CliRunner().invoke(main, ["models", "list"])
    assert said.exit_code == 0 and f"tiny is in {tiny_model}" in said.output
    (line,) = (line.split() for line in said.output.splitlines() if line.startswith(" tiny"))
    assert line[:9] == "tiny 16 x 16 4 x 4 32 3".split() and line[10] == "tokenizer,"
    assert "broken: " in said.output and "the card cannot be read" in said.output
    printed = CliRunner().invoke(main, ["models", "list", "--json"]).output
    rows = json.loads(printed[: printed.rindex("]") + 1])
    (tiny,) = (row for row in rows if row["name"] == "tiny")
    assert (tiny["picture"], tiny["tokens"], tiny["words"], tiny["classes"]) == ("16 x 16", "4 x 4", 32, 3)
    assert tiny["parts"] == ["tokenizer", "context", "classifier"] and tiny["folder"] == str(tiny_model)
    size = sum(file.stat().st_size for file in tiny_model.glob("*.safetensors"))
    assert tiny["megabytes"] == pytest.approx(size / 1e6, abs=0.05)


def test_models_list_without_a_model_says_where_it_looked(monkeypatch):
    monkeypatch.setattr("tokcom.models.folders.model_folders", lambda: [])
    said = CliRunner().invoke(main, ["models", "list"])
    assert said.exit_code == 1 and "no models in no folder that exists; $TOKCOM_MODELS names more" in said.output


def test_the_version_is_the_packages():
    said = CliRunner().invoke(main, ["--version"])
    assert said.exit_code == 0 and said.output == f"gr-tokcom {tokcom.__version__}\n"
