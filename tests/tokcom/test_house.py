"""The rules of the house: data flows one way through the rooms of each package, and the library knows nothing of GNU
Radio, nor of the laboratory and what only that needs."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tokcom

PACKAGES = Path(tokcom.__file__).parents[1]
ROOMS = {
    "tokcom": (
        "kernel_cache",
        "kernels",
        "processors",
        "interruption",
        "scientific",
        "errors",
        "tables",
        "keys",
        "device",
        "bounded_cache",
        "onnx_runtime",
        "frame",
        "tokenizers",
        "context",
        "packets",
        "source",
        "security",
        "coding",
        "modulation",
        "mcs",
        "phy",
        "channel",
        "multiple_access",
        "adaptation",
        "link",
        "protocol",
        "offload",
        "metrics",
        "models",
        "recording",
        "doctor",
        "cli",
    ),
    "tokcom_lab": (
        "cache",
        "workers",
        "memory",
        "perceptual",
        "photograph_judge",
        "training",
        "speech",
        "photographs",
        "photograph_tokens",
        "text_messages",
        "curves",
        "predictability_samples",
        "leakage",
        "membership",
        "seal_cost",
        "air",
        "edge",
        "network",
        "multiple_access",
        "case_study",
        "relevance_bench",
        "conditions_bench",
        "sounding",
        "faults",
        "device_speed",
        "demo_page",
        "large_models",
        "public_figures",
        "radio",
        "cli",
    ),
}
GNU_RADIO = ("gnuradio", "pmt")
LABORATORY = ("tokcom_lab", "matplotlib", "skimage", "plotly", "dask", "distributed", "pyarrow", "jinja2")
"""What a transmitter or a receiver does without."""
FILES = sorted(
    path.relative_to(PACKAGES)
    for package in ROOMS
    for path in (PACKAGES / package).rglob("*.py")
    if path.name != "__init__.py"
)
BLOCKS = sorted(path.relative_to(PACKAGES) for path in (PACKAGES / "gnuradio/tokcom").rglob("*.py"))


@cache
def tree_of(path):
    """The syntax tree of a file, which several tests look at."""
    return ast.parse((PACKAGES / path).read_text(encoding="utf-8"))


def imports(path):
    """Modules that a file imports, at its top or anywhere else."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module in ROOMS)
        elif isinstance(node, ast.ImportFrom):
            assert path in BLOCKS, f"{path}: relative import"


NOT_TEXT = ("Image", "av", "os", "tarfile", "webbrowser")
"""Modules whose function open opens no files of text."""


def is_text_without_encoding(call):
    """Whether a call reads or writes a file of text in the encoding of whatever locale there is."""
    if not isinstance(call.func, ast.Attribute) or any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if call.func.attr in ("read_text", "write_text"):
        return True
    others = isinstance(call.func.value, ast.Name) and call.func.value.id in NOT_TEXT
    arguments = [node for each in call.args for node in ast.walk(each)]
    modes = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return call.func.attr == "open" and not others and not any("b" in mode for mode in modes)


@pytest.mark.parametrize("path", [*FILES, *BLOCKS], ids=str)
def test_text_is_utf8_in_any_locale(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            assert not is_text_without_encoding(node), f"{path}, line {node.lineno}: name the encoding"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_up_the_table_of_rooms(path):
    package, room = path.parts[0], path.parts[1].removesuffix(".py")
    rooms = ROOMS[package]
    for module in imports(path):
        other, *inside = module.split(".")
        assert other not in GNU_RADIO or (package, room) == ("tokcom_lab", "radio"), f"{path} imports GNU Radio"
        if other == package and inside and inside[0] != "__version__":
            assert rooms.index(inside[0]) <= rooms.index(room), f"{path} imports {module}, a room below its own"


@pytest.mark.parametrize("path", [path for path in [*FILES, *BLOCKS] if path.parts[0] != "tokcom_lab"], ids=str)
def test_a_receiver_needs_nothing_of_the_laboratory(path):
    asked = {module.split(".")[0] for module in imports(path)}
    assert not asked & set(LABORATORY), path


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "kernels.py"], ids=str)
def test_kernels_are_compiled_in_one_way(path):
    """By `tokcom.kernels.kernel`, which notices what changes in other files."""
    for node in ast.walk(tree_of(path)):
        assert not (isinstance(node, ast.Attribute) and node.attr in ("njit", "jit")), f"{path}, line {node.lineno}"


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("tokcom.link.bursts", ("torch", "sigmf", "PIL", "click", "cryptography")),
        ("gnuradio.tokcom", ("torch", "sigmf", "jsonschema", "PIL", "scipy", "numba", "cryptography")),
        ("tokcom.models.zoo", ("torch",)),
        ("tokcom.metrics.frame_report", ("torch",)),
    ],
)
def test_importing_loads_no_more_than_it_needs(module, unneeded):
    code = f"import sys, {module}; print(*sys.modules.keys() & {set(LABORATORY + unneeded)})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_everything_public_says_what_it_is(path):
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert node.returns is not None and all(a.annotation for a in arguments), f"{path}: {node.name} lacks types"
