"""What users call wrongly on the command line: one clear message, an exit code that is not 0, nothing left behind."""

import importlib.machinery
import importlib.util
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests/vectors/air-interface-1-common.sigmf-meta"
MODELS = f"--models {ROOT / 'models'}"
TRAIN = "train tokenizer --model mine"

TOKCOM = [
    ("a command that does not exist", "lnik", "No such command 'lnik'"),
    ("an option that does not exist", "link --colour red", "No such option: --colour"),
    ("no folder for the vectors", "models vectors --out nowhere/v.safetensors", "there is no folder nowhere"),
    ("nothing to compress", "compress", "name the files to compress, or give a --message"),
    ("a message and files", "compress --message hello notes.txt", "File 'notes.txt' does not exist"),
    ("a picture of no bytes", "compress --bytes 0", "0 is not in the range"),
    ("a message in few bytes", "compress --message hello --bytes 4", "--bytes is for pictures"),
    ("an empty message", "compress --message ''", "the message has 0 bytes; it must have 1 to 4096"),
    ("a choice that does not exist", "compress --choice best", "'best' is not one of 'spread'"),
    ("nothing to decompress", "decompress", "name the files to decompress, or give a --message"),
    ("a message that is not hexadecimal", "decompress --message 12x4", "--message is '12x4'; it must be pairs of hexa"),
    ("a code that does not exist", "link --code k4", "code is 'k4'; it must be one of k7"),
    ("a constellation that does not exist", "link --modulation 8psk", "modulation is '8psk'; it must be one of bpsk"),
    ("words for numbers", "link --esn0-db six", "'six' is not a list of numbers"),
    ("no numbers at all", "link --esn0-db ,", "',' is not a list of numbers"),
    ("an Es/N0 that is no number", "link --esn0-db nan --packets 10", "esn0_db is nan; it must be a finite number"),
    ("an absurd Es/N0", "link --esn0-db=-5000", "esn0_db is -5000.0; it must be a number from -100 to 200"),
    ("no packets", "link --packets 0", "packets is 0; it must be at least 1"),
    ("packets without tokens", "link --tokens-per-packet 0", "tokens_per_packet is 0; it must be at least 1"),
    ("a codebook without words", "link --codebook-size 0", "0 is not in the range"),
    ("a negative seed", "link --seed -1", "-1 is not in the range"),
    ("LLRs of no known kind", "link --llr soft", "'soft' is not one of 'exact', 'maxlog'"),
    ("figures into no folder", "link --json no/where.json", "the folder no does not exist"),
    ("figures into a folder", "link --json empty", "empty is a folder; name a file"),
    ("figures onto a full disk", "link --packets 64 --json /dev/full", "No space left on device"),
    ("data that is not there", f"{TRAIN} --data no/where", "no/where: no such folder or archive"),
    ("an empty folder as data", f"{TRAIN} --data empty {MODELS}", "empty: no pictures under train/<class>/"),
    ("data of a class without pictures", f"{TRAIN} --data data {MODELS}", "data: no pictures under train/"),
    ("a file that is no archive", f"{TRAIN} --data file {MODELS}", "file: neither a folder nor"),
    ("a part that models do not have", "train painter --model mine --data data", "'painter' is not one of 'tokenizer'"),
    ("training that does not say what it writes", "train tokenizer --data data", "Missing option '--model'"),
    ("no steps", f"{TRAIN} --data data --steps 0", "0 is not in the range"),
    (
        "a map of sentences without any",
        f"train conditions --model caltech64 --data data {MODELS}",
        "class BACKGROUND_Google has fewer than 2 sentences",
    ),
    (
        "a decoder of lossy pictures for speech",
        f"train concealing --model speech8k --data data {MODELS}",
        "needs 'vq' or 'pyramid' and 'maskgit'",
    ),
    (
        "a decoder of thinned pictures for speech",
        f"train thinned --model speech8k --data data {MODELS}",
        "this decoder of lossy pictures needs 'vq' and 'maskgit'",
    ),
    ("sounds without sentences", "train sounds --model mine --data data", "name a JSON file of them by --sentences"),
    ("sentences of no file", "bench conditions --data data --sentences none.json", "'none.json' does not exist"),
    (
        "more tokens lost than there are",
        f"bench conditions --data data --sentences {ROOT / 'python/tokcom_lab/training/caltech101.json'} --lost 1.5",
        "lost is 1.5; it must be above 0",
    ),
    ("figures of a model of speech", "models measure speech8k --data data", "speech8k is of speech; only models of"),
    ("sentences' codes of a text", "sentence-code file --to tables.safetensors", "file: not WordNet's file of nouns"),
    ("a scheme that no link has", "bench compress --link-schemes best", "'best' is not one of raw, compressed"),
    ("Lyra without its networks", "bench speech --systems lyra", "the system lyra needs the folder of its networks"),
    (
        "Lyra in an empty folder",
        "bench speech --systems lyra --lyra empty",
        "soundstream_encoder.tflite: there is no such file",
    ),
    ("calibrating a model that is not there", "calibrate --data data --model mine", "card.json: no such file"),
    ("groups of photographs", "residual --model mine --data data --group 2", "--group 2 is for frames of videos"),
    ("a folder that is no language model", "models import-text empty", "a folder of transformers holds a config.json"),
    ("certainty by a model of pictures", "calibrate-text --model caltech64", "is of modality 'image', not text"),
    ("messages that fill no packets", "residual-text --shortest 9", "shortest is 9; it must be at least 48 tokens"),
    ("messages longer than the longest", "bench text --shortest 9 --longest 8", "shortest is 9, longest 8"),
    ("a diagram into no folder", "calibrate --model mine --data data --svg no/where.svg", "folder no does not exist"),
    ("a recording that is not there", "replay nowhere", "nowhere.sigmf-meta: no such file; a recording is a pair"),
    ("a recording with broken metadata", "replay broken", "broken.sigmf-meta: the metadata cannot be read"),
    ("a recording without its samples", "replay lonely", "lonely.sigmf-data: no such file"),
    ("a model that is not installed", f"replay {RECORDING} --model giant", "no model 'giant'; installed: caltech64"),
    ("a model's folder without a card", f"replay {RECORDING} --model models/bare", "bare/card.json: no such file"),
    ("a mode that does not exist", f"replay {RECORDING} --mode guess", "'guess' is not one of"),
    ("pictures below a file", f"replay {RECORDING} --out file/below", "file/below: pictures cannot be saved here"),
    ("pictures where nobody may write", f"replay {RECORDING} --out /proc/out", "/proc/out: pictures cannot be"),
    ("a key over another file", "keys new file", "file exists; keys are not overwritten, name another file"),
    ("a key into no folder", "keys new no/where", "no/where cannot be written: No such file or directory"),
    ("a key that is not there", "keys show nowhere", "nowhere cannot be read: No such file or directory"),
    ("a key in a folder", "keys show empty", "'empty' is a directory"),
    ("a file that others may read as a key", "keys show file", "so others may read the key; chmod 600 file"),
    ("an address that is none", "send text --to nowhere", "'nowhere' is no address; write HOST:PORT"),
    ("a port that is none", "listen --port 70000", "70000 is not in the range"),
    ("a relay that loses everything", "relay --port 9 --to localhost:9 --rate 1 --loss 1", "loss is 1.0; it must be"),
    ("a key that is no file", "send text --to 127.0.0.1:9 --key nowhere", "nowhere cannot be read"),
    ("a rate of nothing", "relay --port 9 --to 127.0.0.1:9 --rate 0", "0.0 is not in the range"),
    ("privacy of a tokenizer", f"{TRAIN} --data data --private", "--private goes with maskgit, without --size"),
    ("an epsilon without privacy", "train maskgit --model m --data data --epsilon 3", "--epsilon goes with --private"),
    ("no epsilon", "train maskgit --model mine --data data --private --epsilon 0", "epsilon is 0; it must be"),
    ("replicas with a key", "serve --replicas 2 --key nowhere", "--replicas serves priors alone"),
    ("replicas over ZeroMQ", "serve --replicas 2 --address tcp://127.0.0.1:9", "is no address of Ray's; write http://"),
    ("replicas for anyone", "serve --replicas 2 --address http://0.0.0.0:8000", "Ray asks nobody for a key"),
    ("tokens onto a full disk", f"replay {RECORDING} --json /dev/full", "No space left on device"),
]  # fmt: skip

DEMO = [
    ("a picture that is not there", "none.png", "none.png: no such file"),
    ("a text as a picture", "text.png", "text.png: not a picture in a format that Pillow reads"),
    ("a folder without pictures", "empty", "empty: no pictures in this folder"),
    ("a class that the model does not know", "--cmi unicorn", "class 'unicorn' is unknown"),
    ("a sentence and a sound", "--sentence owl --sound text.png", "a picture has one description: leave one out"),
    ("a sentence of spaces", "--sentence ' '", "the sentence is empty; say what the picture shows"),
    ("a sentence for a model without", "--model speech8k --sentence owl", "model speech8k takes no sentences: it has"),
    ("a sound that is not there", "--sound none.wav", "'none.wav' does not exist"),
    ("a picture as a sound", "--sound text.png", "sound file"),
    ("an MCS that does not exist", "--mcs 8psk-1/2", "mcs is '8psk-1/2'; it must be 0 to 14 or one of bpsk-1/2"),
    ("a channel that does not exist", "--channel moon", "'moon' is not one of 'none', 'flat', 'epa'"),
    ("a profile that does not exist", "--profile loud", "'loud' is not one of 'standard', 'robust'"),
    ("a model that is not installed", "--model giant", "no model 'giant'; installed: caltech64"),
    ("words for numbers", "--esn0-db loud", "'loud' is not a list of numbers"),
    ("an Es/N0 that is no number", "--esn0-db nan", "esn0_db is nan"),
    ("a page below a file", "--out file/below", "file/below"),
    ("a negative seed", "--seed -1", "-1 is not in the range"),
    ("a mode that does not exist", "--modes keep,guess", "mode is 'guess'"),
    ("no mode at all", "--modes ,", "mode is ''; it must be one of keep, mask, list, context"),
    ("a page into a file", "--out file", "Directory 'file' is a file"),
]


def demo():
    """The demo's command, loaded from its program."""
    loader = importlib.machinery.SourceFileLoader("tokcom_demo", str(ROOT / "apps/tokcom_demo"))
    spec = importlib.util.spec_from_loader("tokcom_demo", loader)
    module = importlib.util.module_from_spec(spec)
    before = signal.getsignal(signal.SIGINT)
    loader.exec_module(module)
    signal.signal(signal.SIGINT, before)
    return module.main


def refuse(command, arguments, message):
    """Call a command and hold it to the rules."""
    result = CliRunner().invoke(command, shlex.split(arguments), prog_name="tokcom")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code not in (0, None) and message in result.output, result.output
    assert result.output.count("Error: ") == 1 and "Traceback" not in result.output


@pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in TOKCOM], ids=[row[0] for row in TOKCOM])
def test_tokcom(arguments, message, nothing_left):
    refuse(main, arguments, message)


@pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in DEMO], ids=[row[0] for row in DEMO])
def test_demo(arguments, message, nothing_left):
    refuse(demo(), arguments, message)


def test_weights_that_are_not_the_cards(place, tmp_path):
    """A download that broke off."""
    folder = tmp_path / "models" / "caltech64"
    folder.mkdir(parents=True)
    for file in (ROOT / "models/caltech64").iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content[:1000] if file.suffix == ".safetensors" else content)
    refuse(
        main,
        f"replay {RECORDING} --model {folder} --out pictures",
        "the file is truncated or is not the card's",
    )


def test_a_model_of_a_later_version(place):
    card = json.loads((ROOT / "models/caltech64/card.json").read_text())
    (place / "models/bare/card.json").write_text(json.dumps(card | {"format": 99}))
    refuse(main, f"replay {RECORDING} --model models/bare", "format 99, this version reads up to")


@pytest.mark.parametrize(
    ("stage", "where", "arguments"),
    [
        ("simulation", "tokcom_lab.curves.link_curve.link_curve", "link --packets 64"),
        ("loading the model", "tokcom.models.zoo.load_tokenizer", f"calibrate --data data {MODELS} --model caltech64"),
        ("examination", "tokcom.doctor.report.doctor", "doctor"),
    ],
    ids=lambda value: value if " " not in value else None,
)
def test_ctrl_c(stage, where, arguments, nothing_left, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, stopped)
    result = CliRunner().invoke(main, shlex.split(arguments))
    assert result.exit_code == 130 and "stopped" in result.output and "Traceback" not in result.output


def test_ctrl_c_does_not_wait_for_the_rest_of_a_long_simulation(nothing_left):
    """Thousands of chunks are left; only those begun are finished."""
    from tokcom.link.packet_link import LinkConfig
    from tokcom_lab.curves.link_curve import PACKETS_PER_FRAME, link_curve

    done = []

    def progress(count):
        done.append(count)
        raise KeyboardInterrupt

    points = link_curve(LinkConfig(), [5.0], 3000 * PACKETS_PER_FRAME, threads=1, progress=progress)
    with pytest.raises(KeyboardInterrupt):
        next(points)
    assert done == [PACKETS_PER_FRAME]


STOPPED_IMPORT = """
import builtins, runpy, signal, sys
load = builtins.__import__
def first(name, *more):
    if name.partition(".")[0] in ("tokcom", "gnuradio"):
        signal.raise_signal(signal.SIGINT)
    return load(name, *more)
builtins.__import__ = first
program, sys.argv = sys.argv[1], ["program", "link"]
runpy.run_path(program, run_name="__main__")
"""


@pytest.mark.parametrize("program", ["tokcom", "tokcom_demo"])
def test_ctrl_c_during_the_imports(program, nothing_left):
    """It has not come to anything yet, and ends without a word."""
    command = [sys.executable, "-c", STOPPED_IMPORT, str(ROOT / "apps" / program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT and done.stdout == done.stderr == ""


@pytest.fixture
def checkout(place):
    """A checkout in which nothing was set up yet."""
    shutil.copy(ROOT / "run", place)
    shutil.copytree(ROOT / "python/tokcom", place / "python/tokcom", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def run(checkout, *arguments):
    """Call ./run as on a machine without a display."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH")
    here = {key: value for key, value in os.environ.items() if key not in names} | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([str(checkout / "run"), *arguments], env=here, capture_output=True, text=True, check=False)


def test_companion_without_a_display(checkout, nothing_left):
    done = run(checkout, "grc")
    assert done.returncode == 1 and "What to do: there is no display" in done.stderr and done.stdout == ""


def test_a_checkout_that_cannot_be_written(checkout):
    (checkout / ".cache").write_text("in the way")
    done = run(checkout, "link")
    assert done.returncode == 1 and "which you cannot write, failed" in done.stderr


def test_another_users_checkout_that_is_not_set_up(checkout):
    """Whose lock cannot be written: here, as root can write everything, because it is a folder."""
    (checkout / ".cache/run/lock").mkdir(parents=True)
    done = run(checkout, "link")
    assert done.returncode == 1 and "which you cannot write, failed" in done.stderr
    assert "have its owner call ./run link once" in done.stderr and "Permission denied" not in done.stderr


def test_another_users_checkout_that_is_set_up(checkout, tmp_path):
    """Nothing is installed, locked or written: the command starts."""
    (checkout / "requirements").mkdir()
    for name in ("run.txt", "lab.txt", "test.txt", "docs.txt"):
        (checkout / "requirements" / name).write_text("none\n")
    for name in ("grc", "models", "examples", "apps", "cmake"):
        (checkout / name).mkdir(exist_ok=True)
    (checkout / "CMakeLists.txt").touch()
    (checkout / ".venv/bin").mkdir(parents=True)
    python = checkout / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "started $(basename "$1")" "$2"\n')
    python.chmod(0o755)
    state = checkout / ".cache/run"
    (state / "lock").mkdir(parents=True)
    version = subprocess.run(["/usr/bin/python3", "--version"], capture_output=True, text=True, check=True).stdout
    (state / "venv.stamp").write_text(f"none\nnone\nnone\n{version}")
    (state / "module.stamp").touch()
    done = run(checkout, "link")
    assert done.stdout == "started tokcom link\n", done.stderr
    (checkout / "requirements/photographs.txt").write_text("none\n")
    lacking = run(checkout, "train", "tokenizer", "--size=256")
    assert lacking.returncode == 1 and "which you cannot write, failed" in lacking.stderr
    (checkout / "requirements/sentences.txt").write_text("none\n")
    for name in ("photographs", "sentences"):
        (state / f"{name}.stamp").write_text("none\n")
    assert run(checkout, "train", "tokenizer", "--size=256").stdout == "started tokcom train\n"


def test_the_doctor_before_anything_is_installed(checkout, nothing_left):
    """It finds no model beside this checkout, says so, and installs nothing."""
    done = run(checkout, "doctor")
    assert done.returncode == 1 and "FAIL  Models: none in" in done.stdout and done.stderr == ""


def test_a_port_that_another_program_holds(nothing_left):
    from gnuradio.tokcom.preflight.virtual_radio import require_addresses

    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(SystemExit, match=f"the address '{address}' cannot be used: Address already in use"):
            require_addresses(publish=address)


def test_an_address_that_is_none(nothing_left):
    from gnuradio.tokcom.preflight.virtual_radio import require_addresses

    with pytest.raises(SystemExit, match="the address 'radio' cannot be used"):
        require_addresses(subscribe="radio")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("serial=none-such", "no USRP with 'serial=none-such' was found"), ("=,=", "wrong|was found")],
)
def test_no_device(arguments, message, nothing_left):
    from gnuradio.tokcom.preflight.usrp import require_usrp

    with pytest.raises(SystemExit, match=message):
        require_usrp(arguments)
