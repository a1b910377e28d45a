"""The doctor names what is broken, and works where it is."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tokcom
from tokcom.doctor import machine, models, python, radio, report
from tokcom.doctor.finding import Finding, State
from tokcom.doctor.process import Answer, ask

ROOT = Path(__file__).resolve().parents[3]
SILENT, THERE = Answer(False, "", "there is no program"), Answer(True, "3.10.5.1", "")


def states(findings):
    return [finding.state for finding in findings]


def test_packages_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for table, wanted in (
        (python.PACKAGES, project["dependencies"]), (python.LABORATORY, project["optional-dependencies"]["lab"]),
    ):  # fmt: skip
        assert {name: row["at_least"] for name, row in table.items()} == dict(line.split(">=") for line in wanted)


def test_it_needs_nothing_but_the_standard_library(tmp_path):
    """As on a machine without any of the packages and with an empty home."""
    hidden = [row["import"] for row in python.PACKAGES.values()]
    hide = f"import sys; sys.executable = '/no/python'; sys.modules.update(dict.fromkeys({hidden}))"
    code = f"{hide}; from tokcom.doctor.report import doctor; sys.exit(doctor())"
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(Path(tokcom.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "FAIL  Packages: " in done.stdout and "what to do: use ./run" in done.stdout
    assert "FAIL  GNU Radio: not installed" in done.stdout and "checks failed: fix the first" in done.stdout


def test_json_is_a_list_of_findings(monkeypatch, capsys):
    findings = [Finding("a", State.OK, "fine"), Finding("b", State.FAILURE, "gone", "fetch it")]
    monkeypatch.setattr(report, "CHECKS", {"": (lambda: findings,)})
    assert report.doctor(as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"subject": "a", "state": "ok", "found": "fine", "remedy": ""},
        {"subject": "b", "state": "failure", "found": "gone", "remedy": "fetch it"},
    ]


def test_a_check_that_breaks_is_a_finding(monkeypatch, capsys):
    def broken():
        raise RuntimeError("no such luck")

    monkeypatch.setattr(report, "CHECKS", {"": (broken, lambda: Finding("b", State.OK, "fine"))})
    assert report.doctor() == 0
    said = capsys.readouterr().out
    assert "the check itself failed: RuntimeError: no such luck" in said and "ok  b: fine" in said


def test_a_model_that_was_damaged(tiny_model, monkeypatch):
    monkeypatch.setenv("TOKCOM_MODELS", os.pathsep.join([str(tiny_model.parent), "/no/where"]))
    found = {finding.found: finding.state for finding in models.models()}
    assert found["TOKCOM_MODELS names /no/where, which is not a folder"] is State.WARNING
    assert next(state for text, state in found.items() if text.startswith("tiny: ")) is State.OK
    weights = next(tiny_model.glob("context*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    (damaged,) = (finding for finding in models.models() if "sha256" in finding.found)
    assert damaged.state is State.FAILURE and str(weights) in damaged.found and damaged.remedy
    weights.unlink()
    assert any("no such file" in finding.found for finding in models.models() if finding.state is State.FAILURE)


def test_no_model_at_all(monkeypatch):
    monkeypatch.setattr(models, "list_models", dict)
    (finding,) = models.models()
    assert finding.state is State.FAILURE and "TOKCOM_MODELS" in finding.remedy


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("3.10.1.0", State.OK),
        ("v3.10.12.0-rc1", State.OK),
        ("3.9.8.0", State.FAILURE),
        ("3.10.0.0", State.FAILURE),
        ("3.11.0.0", State.WARNING),
    ],
)
def test_versions_of_gnu_radio(said, state, monkeypatch):
    monkeypatch.setattr(radio, "ask_python", lambda code: Answer(True, f"{said} /usr", ""))
    assert states(radio.gnuradio()) == [state]


@pytest.mark.parametrize(
    ("config", "complaint", "found", "remedy"),
    [
        (SILENT, "No module named 'gnuradio'", "not installed", "apt-get install gnuradio"),
        (THERE, "No module named 'gnuradio'", "this Python cannot load it", "run it under the Python"),
        (THERE, "numpy.core.multiarray failed to import", "cannot load it", '"numpy<2"'),
    ],
)  # fmt: skip
def test_gnu_radio_that_does_not_load(config, complaint, found, remedy, monkeypatch):
    monkeypatch.setattr(radio, "ask_python", lambda code: Answer(False, "", complaint))
    monkeypatch.setattr(radio, "ask", lambda command, *more: config)
    (finding,) = radio.gnuradio()
    assert finding.state is State.FAILURE and found in finding.found and remedy in finding.remedy


def test_block_files_that_companion_does_not_find(tmp_path, monkeypatch):
    monkeypatch.setattr(radio, "block_paths", lambda: [tmp_path])
    assert radio.companion_tree(["one", "two"]).state is State.FAILURE
    (tmp_path / "tokcom_one.block.yml").touch()
    partly = radio.companion_tree(["one", "two"])
    assert partly.state is State.WARNING and "no file for two in" in partly.found
    (tmp_path / "tokcom_two.block.yml").touch()
    assert radio.companion_tree(["one", "two"]).state is State.OK


def test_paths_of_companion_come_from_all_three_places(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("variable", "global", "prefix/share/gnuradio/grc/blocks", ".grc_gnuradio")]
    for folder in folders:
        folder.mkdir(parents=True)
    monkeypatch.setenv("GRC_BLOCKS_PATH", f"{folders[0]}{os.pathsep}/no/where")
    monkeypatch.setenv("HOME", str(tmp_path))
    said = {
        "--prefs": f"[grc]\nglobal_blocks_path = {folders[1]}\nlocal_blocks_path = \n",
        "--prefix": f"{tmp_path}/prefix",
    }
    monkeypatch.setattr(radio, "ask", lambda command, *more: Answer(True, said[command[1]], ""))
    assert radio.block_paths() == folders


NONE_FOUND = "echo 'No UHD Devices Found'; exit 1"
ONE_FOUND = (
    "printf -- '-- UHD Device 0\\n--\\nDevice Address:\\n    serial: 30F4A1B\\n    product: B210\\n    type: b200\\n'"
)


@pytest.mark.parametrize(
    ("script", "images", "state", "found"),
    [
        (None, False, State.NOTE, "not installed"),
        (NONE_FOUND, False, State.NOTE, "no USRP answers"),
        (ONE_FOUND, True, State.OK, "1 found: 30F4A1B, B210, b200"),
        (ONE_FOUND, False, State.WARNING, "no images in"),
        ("echo 'terminate called' >&2; exit 134", False, State.WARNING, "terminate called"),
    ],
)
def test_radios(script, images, state, found, tmp_path, monkeypatch):
    programs = {"uhd_find_devices": script, "uhd_config_info": f"echo 'Images directory: {tmp_path / 'images'}'"}
    for name, text in programs.items():
        if text and script:
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
    if images:
        (tmp_path / "images").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = radio.uhd()
    assert finding.state is state and found in finding.found and (finding.remedy or state is State.OK)


def test_a_processor_without_what_is_fast(monkeypatch):
    cpuinfo = "model name : Old one\nflags : fpu sse sse2\n"
    monkeypatch.setattr(machine, "_read", lambda path: cpuinfo)
    slow = machine.processor()
    assert slow.state is State.WARNING and "Old one" in slow.found and "without avx2 and fma" in slow.found
    monkeypatch.setattr(machine, "_read", lambda path: "")
    assert machine.processor().state in (State.OK, State.WARNING)


def test_little_memory(monkeypatch):
    monkeypatch.setattr(machine, "_read", lambda path: "MemAvailable:   1000000 kB\n")
    assert machine.memory().state is State.WARNING
    monkeypatch.setattr(machine, "_read", lambda path: "")
    assert machine.memory().state is State.NOTE


@pytest.mark.parametrize(("allowed", "state"), [(True, State.OK), (False, State.NOTE)])
def test_real_time(allowed, state, monkeypatch):
    monkeypatch.setattr(machine, "ask_python", lambda code: Answer(allowed, "", ""))
    finding = machine.real_time()
    assert finding.state is state and bool(finding.remedy) is not allowed


def test_kernels_that_cannot_be_kept(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(machine, "_writable", lambda folder: False)
    finding = machine.kernel_cache()
    assert finding.state is State.FAILURE and "NUMBA_CACHE_DIR" in finding.remedy
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/tmp/tokcom-kernels-1000")
    finding = machine.kernel_cache()
    assert finding.state is State.NOTE and "until the machine restarts" in finding.found
    monkeypatch.setattr(machine, "_writable", lambda folder: str(folder) == "/some/where")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/some/where")
    assert machine.kernel_cache().state is State.OK


def test_a_package_that_is_broken_or_old(tmp_path, monkeypatch):
    monkeypatch.setattr(python, "PACKAGES", {
        "numpy": {"import": "numpy", "at_least": "999"},
        "rich": {"import": "no_such_module", "at_least": "1"},
        "absent-package": {"import": "absent", "at_least": "1"},
    })  # fmt: skip
    (missing,) = python.packages()
    assert missing.state is State.FAILURE and missing.found == "missing: absent-package"
    del python.PACKAGES["absent-package"]
    old, broken = python.packages()
    assert old.state is State.WARNING and re.match(r"old: numpy [\d.]+ \(at least 999", old.found)
    assert broken.state is State.FAILURE and broken.found.startswith("rich cannot be loaded: ModuleNotFoundError")


def test_onnx_runtime_stands_in_for_pytorch(monkeypatch):
    monkeypatch.setattr(python, "PACKAGES", {"numpy": {"import": "numpy", "at_least": "1"}, "absent-torch": {}})
    monkeypatch.setattr(python, "TORCH", "absent-torch")
    for there, state in ((True, State.OK), (False, State.FAILURE)):
        monkeypatch.setattr(python, "find_spec", lambda name, there=there: there or None)
        (finding,) = python.packages()
        assert finding.state is state and "absent-torch" in finding.found


def test_a_laboratory_that_is_not_there_or_lacks_something(monkeypatch):
    rows = {"numpy": {"import": "numpy", "at_least": "999"}, "absent-package": {"import": "absent", "at_least": "1"}}
    monkeypatch.setattr(python, "LABORATORY", rows)
    lacking = python.laboratory()
    assert lacking.state is State.NOTE and "missing: absent-package; old: numpy" in lacking.found and lacking.remedy
    monkeypatch.setattr(python, "find_spec", lambda name: None)
    absent = python.laboratory()
    assert absent.state is State.NOTE and "gr-tokcom-lab" in absent.remedy


def test_a_program_that_hangs_is_not_waited_for():
    answer = ask([sys.executable, "-c", "import threading; threading.Event().wait()"], patience=0.5)
    assert not answer.ok and "no answer within 0.5 s" in answer.complaint


def test_the_leading_numbers_of_versions():
    assert python.numbers("2.13.0+cpu") == (2, 13, 0)
    assert python.numbers("0.59") < python.numbers("0.68.1") < python.numbers("1")
