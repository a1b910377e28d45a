"""Models for ONNX Runtime compute what PyTorch does, and a receiver needs nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tokcom.channel.awgn import awgn
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.onnx_prior import OnnxPrior
from tokcom.device import ONNX
from tokcom.doctor.finding import State
from tokcom.doctor.models import model as model_finding
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST
from tokcom.link.transmitter import Transmitter
from tokcom.models.card import Card
from tokcom.models.codebooks import codebook
from tokcom.models.zoo import load_classifier, load_context, load_tokenizer
from tokcom.recording.metadata import RecordingInfo
from tokcom.recording.writer import SigmfWriter
from tokcom.tokenizers.onnx_tokenizer import OnnxTokenizer
from tokcom.tokenizers.pictures import load_picture

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from tokcom.models.onnx_export import export_model

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from tokcom.cli.main import main
main(prog_name="tokcom")
"""


@pytest.fixture(scope="module")
def tiny(make_tiny_model, tmp_path_factory):
    """Folders of a model of random weights, and of its export."""
    folder = make_tiny_model(tmp_path_factory.mktemp("zoo"))
    return str(folder), str(export_model(str(folder), tmp_path_factory.mktemp("exported")).folder)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """What the export of a shipped model says of it."""
    return export_model("caltech64", tmp_path_factory.mktemp("exported"))


def test_it_predicts_the_same(tiny):
    ours, theirs = load_context(tiny[0], "cpu"), load_context(tiny[1], ONNX)
    assert (theirs.codebook, theirs.codebook_size, theirs.grid, theirs.num_classes) == (ours.codebook, 32, (4, 4), 3)
    rng = np.random.default_rng(0)
    tokens = np.where(rng.random((3, 16)) < 0.5, LOST, rng.integers(0, 32, (3, 16))).astype(np.int32)
    wanted = (tokens == LOST) & (rng.random((3, 16)) < 0.7)
    told = [NOTHING, Condition(0), Condition(2)]
    found = theirs.log_probabilities(tokens, wanted, told)
    np.testing.assert_allclose(found, ours.log_probabilities(tokens, wanted, told), atol=1e-5)


def test_the_shipped_model_predicts_the_same(shipped):
    assert shipped.difference < 1e-5


def test_tokens_and_pictures_are_the_same(tiny):
    ours, theirs = load_tokenizer(tiny[0], device="cpu"), load_tokenizer(tiny[1], device=ONNX)
    pictures = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), np.uint8)
    tokens = theirs.encode(pictures)
    np.testing.assert_array_equal(tokens, ours.encode(pictures))
    away = theirs.decode(tokens).astype(int) - ours.decode(tokens)
    assert np.abs(away).max() <= 1, "a pixel is rounded to the next value at most"
    assert theirs.codebook == ours.codebook and theirs.n_bytes > 0


def test_a_receiver_without_pytorch_decodes_a_recording(shipped, tmp_path, photographs):
    frame = load_tokenizer("caltech64", 0, "cpu").tokenize(load_picture(photographs[0]))
    samples = np.pad(Transmitter().transmit(frame, 0), 500)
    with SigmfWriter(tmp_path / "air", RecordingInfo(1e6)) as writer:
        writer.start_capture()
        writer.write(awgn(samples, 3.0, np.random.default_rng(0)).astype(np.complex64))
    command = [sys.executable, "-c", WITHOUT_TORCH, "replay", str(tmp_path / "air.sigmf-meta"), "--model", "caltech64"]
    command += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "bursts.json")]
    environment = os.environ | {"TOKCOM_MODELS": str(shipped.folder.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "bursts.json").read_text(encoding="utf-8"))
    assert 0 < row["packets_lost"] < row["packets"], "the prior had something to do"
    shown = np.array(Image.open(tmp_path / "out" / row["picture"]), float)
    sent = load_tokenizer("caltech64", 0, "cpu").detokenize(frame)
    assert np.square(shown - sent).mean() < 255**2 / 1e3, "30 dB"


def test_without_pytorch_other_devices_say_what_to_do():
    command = [sys.executable, "-c", WITHOUT_TORCH, "replay", "none", "--device", "cpu", "--out", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install torch; or install onnxruntime" in " ".join(done.stderr.split())


def test_what_is_not_there_is_said(tiny):
    folder, exported = tiny
    for load in (load_context, load_tokenizer):
        with pytest.raises(ModelError, match="models export tiny` writes"):
            load(folder, device=ONNX)
    with pytest.raises(ModelError, match="take device onnx, or the model that it was made of"):
        Card.read(Path(exported)).weights("context")
    with pytest.raises(ParameterError, match="runs no classifier"):
        load_classifier(folder, ONNX)
    with pytest.raises(ModelError, match="is the model itself"):
        export_model(folder, Path(folder).parent)


def test_search_needs_pytorch(shipped):
    with pytest.raises(ParameterError, match="visits must be 0"):
        load_tokenizer(str(shipped.folder), device=ONNX)
    assert isinstance(load_tokenizer(str(shipped.folder), 0, ONNX), OnnxTokenizer)


def test_a_card_describes_an_exported_model(shipped):
    assert codebook(str(shipped.folder)).name == codebook("caltech64").name
    assert Card.read(shipped.folder).summary()["megabytes"] == pytest.approx(shipped.megabytes, abs=0.1)
    assert model_finding("caltech64", shipped.folder).state is State.OK


def test_other_files_are_refused(tiny, tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"none")
    with pytest.raises(ModelError, match=r"bad\.onnx: no context model"):
        OnnxPrior(bad, "any")
    with pytest.raises(ModelError, match=r"decoder\.onnx: no context model that this version wrote: it is a decoder"):
        OnnxPrior(f"{tiny[1]}/decoder.onnx", "any")


@pytest.mark.parametrize("name", ["context.onnx", "decoder.onnx"])
def test_damage_is_told(tiny, name, tmp_path):
    exported = shutil.copytree(tiny[1], tmp_path / "tiny")
    with (exported / name).open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    load = load_context if name.startswith("context") else load_tokenizer
    with pytest.raises(ModelError, match="the file is truncated"):
        load(str(exported), device=ONNX)
    assert model_finding("tiny", exported).state is State.FAILURE
