import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tokcom.cli.main import main
from tokcom.models.codebooks import load_labels


def test_link_prints_json():
    command = [sys.executable, "-m", "tokcom.cli", "link", "--code", "k3", "--esn0-db", "6,30", "--packets", "500"]
    points = json.loads(subprocess.run([*command, "--json", "-"], capture_output=True, text=True, check=True).stdout)
    assert [set(point) for point in points] == 2 * [{"esn0_db", "packets", "per", "per_genie", "ter", "undetected"}]
    assert points[0]["packets"] == 500 and points[0]["per"] > points[1]["per"] == 0


def test_link_prints_a_table():
    result = CliRunner().invoke(main, ["link", "--esn0-db", "30", "--packets", "64"])
    assert result.exit_code == 0 and "per_genie" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["link", "--code", "k4"], "code is 'k4'; it must be one of k7, k7-bare, k3"),
        (["link", "--esn0-db", "six"], "'six' is not a list of numbers"),
        (["link", "--esn0-db", "nan", "--packets", "10"], "esn0_db is nan"),
        (["link", "--packets", "0"], "packets is 0"),
        (["link", "--esn0-db=-5000"], "esn0_db is -5000"),
        (["link", "--seed", "-1"], "--seed"),
        (["link", "--codebook-size", "0"], "--codebook-size"),
        (["train", "tokenizer", "--data", "/no/where", "--model", "none"], "/no/where: no such folder or archive"),
        (["train", "maskgit", "--data", "/no/where", "--model", "none"], "/no/where"),
    ],
)
def test_errors_are_one_line_without_a_traceback(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output


@pytest.fixture
def owls(tmp_path, monkeypatch):
    """Folder of train/owl and test/owl with noise in them; the working folder is an empty one."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "data" / split / "owl").mkdir(parents=True)
        for i in range(12):
            picture = Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8))
            picture.save(tmp_path / "data" / split / "owl" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_calibrate_writes_its_curve_into_the_card(tiny_model, owls, tmp_path):
    arguments = ["calibrate", "--data", str(owls), "--models", str(tiny_model.parent), "--model", "tiny"]
    figure = tmp_path / "reliability.svg"
    result = CliRunner().invoke(
        main, [*arguments, "--images", "12", "--esn0-db", "2,3", "--svg", str(figure), "--json", "-"]
    )
    assert result.exit_code == 0, result.output
    curve = json.loads((tiny_model / "card.json").read_text())["context"]["acceptance"]
    assert curve["log_odds"] == sorted(curve["log_odds"]) and curve["calibrated"] == sorted(curve["calibrated"])
    assert curve["command"].startswith("./run calibrate --data data --model tiny") and figure.stat().st_size > 5000


def test_models_measure_completes_a_card_without_a_classifier(tiny_model, owls):
    """As of a public model: figures of both parts, calibration, and labels; classes by the card's names."""
    path = tiny_model / "card.json"
    card = json.loads(path.read_text())
    del card["classifier"]
    path.write_text(json.dumps(card))
    command = ["models", "measure", str(tiny_model), "--data", str(owls), "--images", "6", "--proposals", "2000"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    card = json.loads(path.read_text())
    assert card["tokenizer"]["figures"]["photographs"] <= 6 and "bits_at_90" in card["context"]["figures"]
    assert card["tokenizer"]["measured"].startswith("./run models measure")
    assert card["context"]["acceptance"]["command"].startswith("./run") and "contextual" in card["labels"]["config"]


def test_models_map_weighs_what_the_context_confuses_where_there_are_photographs(tiny_model, owls):
    command = ["models", "map", "tiny", "--models", str(tiny_model.parent), "--data", str(owls), "--images", "8"]
    result = CliRunner().invoke(main, [*command, "--proposals", "2000", "--json", "-"])
    assert result.exit_code == 0, result.output
    rows = {row["purpose"]: row["distance"] for row in json.loads(result.stdout)}
    assert set(rows) == {"coded", "contextual"} and rows["contextual"] < 1
    assert sorted(load_labels(str(tiny_model))["contextual"].of_tokens) == list(range(32))
    card = json.loads((tiny_model / "card.json").read_text())
    assert card["labels"]["config"]["contextual"]["pictures"] == 8
    assert card["labels"]["command"] == "./run models map tiny --data data --images 8 --proposals 2000 --seed 0"


def test_models_map_writes_labels_into_the_card(tiny_model, tmp_path):
    report = tmp_path / "labels.json"
    command = [
        "models",
        "map",
        "tiny",
        "--models",
        str(tiny_model.parent),
        "--proposals",
        "2000",
        "--json",
        str(report),
    ]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    card, weights = json.loads((tiny_model / "card.json").read_text()), tiny_model / "labels.safetensors"
    rows = {row["purpose"]: row["distance"] for row in json.loads(report.read_text())}
    assert set(rows) == {"coded"} and 0 < rows["coded"] < 1
    assert card["labels"]["figures"] == {name: round(value, 4) for name, value in rows.items()}
    assert card["labels"]["command"] == "./run models map tiny --images 2000 --proposals 2000 --seed 0"
    before = weights.read_bytes()
    assert CliRunner().invoke(main, command).exit_code == 0 and weights.read_bytes() == before
    refused = CliRunner().invoke(main, ["models", "map", "none", "--models", str(tmp_path)])
    assert refused.exit_code and "no such file; a model's folder holds a card.json" in refused.output
