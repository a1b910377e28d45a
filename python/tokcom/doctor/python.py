"""Checks of Python and of the packages that the library needs."""

import json
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from tokcom.doctor.finding import Finding, State
from tokcom.doctor.process import ask

LEAST_PYTHON = (3, 11)
TABLE: dict[str, dict] = json.loads(Path(__file__).with_name("packages.json").read_text(encoding="utf-8"))
PACKAGES: dict[str, dict[str, str]] = TABLE["tokcom"]
"""Import name and minimum version of each package that pyproject.toml requires."""
LABORATORY: dict[str, dict[str, str]] = TABLE["tokcom_lab"]
"""The same for the extra `lab`."""
TORCH = "torch"
"""The package that a receiver on ONNX Runtime does without."""
INSTALL = (
    "use ./run in a checkout, which installs its own; or install requirements/run.txt for this Python; with the Debian "
    "package, sudo gr-tokcom-setup"
)


def python() -> Finding:
    """Check the running Python, and report the library's folder."""
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"{version}, {sys.executable}; library in {Path(__file__).resolve().parents[1]}"
    if sys.version_info < LEAST_PYTHON:
        return Finding("Python", State.FAILURE, found, "use Python 3.11 or later, the one that GNU Radio is built for")
    return Finding("Python", State.OK, found)


def packages() -> list[Finding]:
    """Check that the library's packages are installed, recent enough and not broken."""
    here, missing, old = _versions(PACKAGES)
    without = missing == [TORCH] and find_spec("onnxruntime") is not None
    if missing and not without:
        return [Finding("Packages", State.FAILURE, f"missing: {', '.join(missing)}", INSTALL)]
    findings = []
    if old:
        findings.append(Finding("Packages", State.WARNING, f"old: {', '.join(old)}", INSTALL))
    for name, complaint in _broken(list(here)).items():
        remedy = f"reinstall {name}: {sys.executable} -m pip install --force-reinstall {name}"
        findings.append(Finding("Packages", State.FAILURE, f"{name} cannot be loaded: {complaint}", remedy))
    if without and not findings:
        found = f"all but {TORCH}, and ONNX Runtime: it receives, with models that `./run models export` wrote"
        findings.append(Finding("Packages", State.OK, found))
    if not findings:
        named = ", ".join(f"{name} {here[name]}" for name in ("numpy", "numba", TORCH))
        findings.append(Finding("Packages", State.OK, f"all {len(PACKAGES)} installed: {named} …"))
    return findings


def laboratory() -> Finding:
    """Check the laboratory and its packages, which only training, measuring and the demo need."""
    if find_spec("tokcom_lab") is None:
        remedy = "for training, measuring and the demo: the Debian package gr-tokcom-lab, or a checkout's ./run"
        return Finding("Laboratory", State.NOTE, "not installed", remedy)
    here, missing, old = _versions(LABORATORY)
    lacking = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"old: {', '.join(old)}"] * bool(old)
    if lacking:
        remedy = "for training and measuring: install requirements/lab.txt, or with pip tokcom[lab]"
        return Finding("Laboratory", State.NOTE, "; ".join(lacking), remedy)
    return Finding("Laboratory", State.OK, f"installed, with all {len(here)} packages that it needs")


def _versions(wanted: dict[str, dict[str, str]]) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the versions of installed packages, the names of missing ones, and a text for each that is too old."""
    here, missing, old = {}, [], []
    for name, row in wanted.items():
        try:
            here[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if numbers(here[name]) < numbers(row["at_least"]):
            old.append(f"{name} {here[name]} (at least {row['at_least']} is required)")
    return here, missing, old


IMPORT_ALL = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(json.dumps([name, ""]), flush=True)
    except BaseException as error:
        print(json.dumps([name, f"{type(error).__name__}: {error}"]), flush=True)
"""


def _broken(names: list[str]) -> dict[str, str]:
    """Return the packages that cannot be imported, each with the reason."""
    imports = {PACKAGES[name]["import"]: name for name in names}
    answer = ask([sys.executable, "-c", IMPORT_ALL, *imports])
    told = dict(json.loads(line) for line in answer.text.splitlines() if line.startswith("["))
    broken = {imports[module]: complaint for module, complaint in told.items() if complaint}
    if len(told) < len(imports):
        crashed = next(module for module in imports if module not in told)
        broken[imports[crashed]] = answer.complaint
    return broken


def numbers(version: str) -> tuple[int, ...]:
    """Parse the leading numbers of a version: (2, 13, 0) from "2.13.0+cpu"."""
    parts = []
    for part in version.partition("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit()) if part[:1].isdigit() else ""
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)
