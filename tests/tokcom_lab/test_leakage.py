import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.errors import DatasetError
from tokcom.frame import TokenFrame
from tokcom.models.fits import load_residual
from tokcom_lab.leakage import accuracy, leakage, told_apart
from tokcom_lab.photographs import photographs_by_class
from tokcom_lab.predictability_samples import Sample


def test_a_classifier_finds_what_is_there_and_nothing_more():
    rng = np.random.default_rng(0)
    labels, other = np.tile(np.arange(3), 100), np.tile(np.arange(3), 80)
    noise, more = rng.standard_normal((300, 4)), rng.standard_normal((240, 4))
    assert abs(accuracy(noise, labels, more, other) - 1 / 3) < 4 * np.sqrt(2 / 9 / 240)
    assert accuracy(noise + 8 * labels[:, None], labels, more + 8 * other[:, None], other) > 0.99
    # A spread tells as much as a mean.
    assert (
        accuracy(noise * (1 + 20 * (labels[:, None] > 1)), labels, more * (1 + 20 * (other[:, None] > 1)), other) > 0.6
    )
    assert accuracy(np.ones((300, 4)), labels, np.ones((240, 4)), other) == pytest.approx(1 / 3)


def a_sample(seed, n=24):
    """Of two classes, one of them more predictable."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    bits = (rng.gamma(1.5, 2.0, (n, 256)) * (1 + 0.6 * labels[:, None])).astype(np.float32)
    frames = [TokenFrame(rng.integers(0, 1024, 256, np.int32), "caltech64", 1024, (16, 16)) for _ in range(n)]
    return Sample(frames, bits, labels)


def test_adapted_bursts_tell_of_predictability_and_those_of_one_shape_nothing():
    adapted, constant = leakage(a_sample(1), a_sample(2), load_residual("caltech64"), [10.0])
    assert (adapted["shape"], constant["shape"]) == ("adapted", "constant")
    assert adapted["accuracy"] > 0.85 and constant["accuracy"] == constant["chance"] == 0.5
    assert adapted["pairs"] > 0.9 and constant["pairs"] == 0.5
    assert constant["expected_ter"] <= 1.2 * adapted["expected_ter"] and constant["assumed_bits"] > 0
    assert constant["airtime_over_adapted"] == pytest.approx(
        constant["airtime_samples"] / adapted["airtime_samples"] - 1, abs=1e-3
    )


def test_two_frames_are_told_apart_where_their_bursts_differ():
    """Of four bursts, two of one shape: one of the six pairs is a coin's toss."""
    shapes = [SimpleNamespace(mcs=np.array(mcs), airtime=80, signalling_bits=0) for mcs in ([1, 2], [2, 1], [3], [3])]
    assert told_apart(shapes) == pytest.approx(5 / 6 + 1 / 12)


def test_kinds_of_texts_are_told_apart_by_their_bursts(adaptive_text_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = {"rain": "the rain on the other train stays there {}, and the others are here", "code": "x{} = [{}] * {}; "}
    for name, text in kinds.items():
        prose = (f"{text.format(*3 * [number])} {text.format(*3 * [number**3])}" for number in range(400))
        (tmp_path / f"{name}.txt").write_text("\n\n".join(prose), encoding="utf-8")
    command = ["bench", "leakage-text", "--model", str(adaptive_text_model), "--train", "10", "--test", "6"]
    command += ["--tokens", "36", "--esn0-db", "4,6", "--json", "found.json"]
    done = CliRunner().invoke(main, [*command, "--kind", "rain.txt", "--kind", "code.txt"])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["classes"] == ["rain.txt", "code.txt"] and (found["train"], found["test"]) == (20, 12)
    adapted, constant = found["leakage"][:2]
    # Texts as short as these have one MCS for all packets; what is left to see is the length.
    assert 1 >= adapted["pairs"] >= constant["pairs"] == constant["accuracy"] == constant["chance"] == 0.5
    alone = CliRunner().invoke(main, [*command, "--kind", "rain.txt"])
    assert alone.exit_code == 1 and "name at least two" in alone.output


def test_classes_that_there_are_not_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    for name in ("cats", "dogs"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(tmp_path / "train" / name / f"{i}.png")
    pictures, labels = photographs_by_class(tmp_path, "train", ["dogs", "cats"], 2, 8)
    assert pictures.shape == (4, 8, 8, 3) and sorted(labels) == [0, 0, 1, 1]
    for name, count in (("birds", 1), ("cats", 4)):
        with pytest.raises(DatasetError, match=f"train/{name} has"):
            photographs_by_class(tmp_path, "train", [name], count, 8)
