import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from tokcom.errors import FrameError
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.packets.codebook import Codebook
from tokcom.packets.labels import TokenLabels
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.recording.metadata import RecordingInfo
from tokcom.recording.reader import open_recording
from tokcom.recording.replay import burst_row, replay
from tokcom.recording.writer import SigmfWriter
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key

VECTORS = sorted((Path(__file__).parents[2] / "vectors").glob("*.json"))
CODEBOOK = Codebook("random", 1024)
LATER = {"sizes": [], "follows": 0, "description": b"", "thinning": b"", "companion": 0}
"""Fields of headers that are younger than the recordings, as these leave them."""


def burst(frame_id, config=None, n=32):
    tokens = np.random.default_rng(frame_id).integers(0, CODEBOOK.size, n)
    frame = TokenFrame(tokens, CODEBOOK.name, CODEBOOK.size, frame_id=frame_id)
    return frame, Transmitter(config).transmit(frame, frame_id)


def record(path, *pieces):
    with SigmfWriter(path, RecordingInfo(1e6)) as writer:
        for piece in pieces:
            writer.start_capture(stream_index=10 * writer.samples)
            writer.write(piece)
    return open_recording(path)


def test_a_replay_finds_what_the_receiver_finds(tmp_path, noise):
    pieces = [part for i in range(4) for part in (burst(i)[1], np.zeros(700))]
    stream = np.concatenate([np.zeros(500), *pieces]).astype(np.complex64)
    stream += 0.4 * noise(len(stream))
    wanted = Receiver([CODEBOOK]).receive(stream)
    receiver, done = Receiver([CODEBOOK]), []
    recording = record(tmp_path / "a", stream)
    found = list(replay(recording, receiver, chunk=1000, progress=done.append))
    assert len(found) == len(wanted) == 4
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.array_equal(ours.frame.tokens, theirs.frame.tokens)
        assert ours.quality.cfo == theirs.quality.cfo and ours.position == theirs.position
        assert ours.profile == "standard"
    assert sum(done) == len(stream) == receiver.searcher.counters.samples
    told = f"{len(stream)} samples (0 bad, 0 blanked), 4 preambles, 4 bursts (0 given up), failed headers: 0 crc"
    assert str(receiver.searcher.counters) == f"{told}, 0 version, 0 element, 0 contents"


def test_a_burst_that_ends_with_a_capture_is_found_and_one_cut_in_two_is_not(tmp_path):
    (whole, first), (_, cut), (last, second) = burst(1), burst(2), burst(3)
    half = len(cut) // 2
    recording = record(tmp_path / "a", first, cut[:half], cut[half:], second)
    assert len(recording.captures) == 4
    receiver = Receiver([CODEBOOK])
    found = list(replay(recording, receiver))
    assert [reception.header.frame_id for reception in found] == [1, 3]
    assert np.array_equal(found[0].frame.tokens, whole.tokens) and np.array_equal(found[1].frame.tokens, last.tokens)
    assert abs(found[1].position - len(first) - len(cut)) <= 8
    assert receiver.searcher.counters.samples == recording.length


def test_a_burst_that_cannot_be_decoded_hides_no_other(tmp_path):
    gap = np.zeros(300, np.complex64)
    recording = record(tmp_path / "a", np.concatenate([burst(1)[1], gap, burst(2)[1]]))
    refused = []
    short = Receiver([Codebook(CODEBOOK.name, 16)])
    assert not list(replay(recording, short, refused=lambda position, error: refused.append(error)))
    assert len(refused) == 2 and all(isinstance(error, FrameError) for error in refused)


def test_recovery_fills_in_the_frames_it_knows_and_leaves_others(tmp_path, tiny_model):
    recovery = load_recovery(str(tiny_model))
    tokens, gap = np.arange(16), np.zeros(300, np.complex64)
    known, other = (TokenFrame(tokens, name, 32, (4, 4), cmi=1) for name in (codebook(str(tiny_model)).name, "strange"))
    mcs = np.array([3, MCS_NOT_SENT, 3, 3], np.uint8)
    samples = [Transmitter().transmit(frame, 1, mcs) for frame in (known, other)]
    recording = record(tmp_path / "a", np.concatenate([samples[0], gap, samples[1]]))
    first, second = replay(recording, Receiver([codebook(str(tiny_model))], recovery))
    assert first.frame.lost.sum() == 4 and not first.recovered.frame.lost.any()
    assert second.frame.lost.sum() == 4 and second.recovered is None


def test_a_row_tells_a_bursts_figures(tmp_path):
    frame, samples = burst(5, TransmitConfig("qpsk-1/2", profile="robust", stream_id=9))
    turned = np.r_[np.zeros(1000), samples * np.exp(0.01j * np.arange(len(samples)))]
    (found,) = replay(record(tmp_path / "a", turned), Receiver())
    row = burst_row(found, 1e6)
    assert row.pop("tokens") == frame.tokens.tolist() and row["codebook"].startswith("unknown-")
    assert row["cfo_hz"] == pytest.approx(0.01e6 / (2 * np.pi), abs=20)
    assert {key: row[key] for key in ("frame", "stream", "profile", "packets", "packets_lost")} == {
        "frame": 5, "stream": 9, "profile": "robust", "packets": 8, "packets_lost": 0,
    }  # fmt: skip
    assert row["seconds"] == pytest.approx(0.001, abs=1e-5)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_recordings_are_decoded_for_ever(path):
    """If this fails, the air interface has changed: it needs a new version (tests/vectors/make.py)."""
    wanted = json.loads(path.read_text())
    known = {kind: TokenLabels(np.array(labels)) for kind, labels in wanted["codebook"].pop("labels").items()}
    codebook = Codebook(**wanted["codebook"], labels=known)
    keys = Keyring([Key(bytes.fromhex(wanted["secret"]))]) if "secret" in wanted else None
    receiver = Receiver([codebook, Codebook("vector-bits", 2)], keys=keys)
    found = list(replay(open_recording(path.with_suffix(".sigmf-meta")), receiver))
    assert len(found) == len(wanted["bursts"])
    for burst, sent in zip(found, wanted["bursts"], strict=True):
        header = burst.header
        fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
        as_told = {"mcs": header.mcs.tolist(), "elements": header.elements.hex(" "), "grid": list(header.grid)}
        as_told["seal"] = header.seal and list(astuple(header.seal))
        as_told["sizes"] = list(header.sizes)
        # Older recordings do not name what they do not have.
        assert fields | as_told == LATER | sent["header"]
        assert burst.frame.tokens.tolist() == sent["tokens"] and burst.profile == sent["profile"]
        assert burst.frame.codebook == sent["codebook"]
        assert burst.quality.cfo == pytest.approx(sent["cfo"], abs=2e-4)
        assert abs(burst.position - sent["start"]) <= 8


def test_the_recordings_hold_every_kind_of_header():
    headers = [sent["header"] for path in VECTORS for sent in json.loads(path.read_text())["bursts"]]
    for name, kinds in (
        ("labels", ("natural", "semantic", "contextual")), ("layout", ("spread", "contiguous", "importance")),
        ("payload", ("tokens", "bits")), ("quantizers", (1, 4)),
    ):  # fmt: skip
        assert {header[name] for header in headers} == set(kinds)
    assert {len(header["grid"]) for header in headers} == {1, 2, 3} and any(header["elements"] for header in headers)
