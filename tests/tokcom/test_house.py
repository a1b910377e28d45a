"""The rules of the house: data flows one way through the rooms, and the library knows nothing of GNU Radio."""

import ast
from pathlib import Path

import pytest

import tokcom

LIBRARY = Path(tokcom.__file__).parent
ROOMS = (
    "kernel_cache", "processors", "scientific", "errors", "tables", "keys", "precision", "frame", "tokenizers",
    "context", "packets", "coding", "modulation", "adaptation", "phy", "channel", "link", "metrics", "models",
    "recording", "training", "experiments", "doctor", "cli",
)  # fmt: skip
FILES = sorted(path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")


def imports(path):
    for node in ast.walk(ast.parse((LIBRARY / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def is_text_without_encoding(call):
    """Whether a call reads or writes a file of text in the encoding of whatever locale there is."""
    if not isinstance(call.func, ast.Attribute) or any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if call.func.attr in ("read_text", "write_text"):
        return True
    others = isinstance(call.func.value, ast.Name) and call.func.value.id in ("Image", "tarfile", "webbrowser")
    arguments = [node for each in call.args for node in ast.walk(each)]
    modes = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return call.func.attr == "open" and not others and not any("b" in mode for mode in modes)


@pytest.mark.parametrize("package", ["tokcom", "gnuradio/tokcom"])
def test_text_is_utf8_in_any_locale(package):
    for path in sorted((LIBRARY.parent / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert not is_text_without_encoding(node), f"{path}, line {node.lineno}: name the encoding"


def room(module_path):
    return ROOMS.index(module_path)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_up_the_table_of_rooms(path):
    here = room(path.parts[0].removesuffix(".py"))
    for module in imports(path):
        package, *inside = module.split(".")
        assert package not in ("gnuradio", "pmt"), f"{path} imports GNU Radio"
        if package == "tokcom" and inside:
            assert room(inside[0]) <= here, f"{path} imports {module}, a room below its own"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_everything_public_says_what_it_is(path):
    for node in ast.parse((LIBRARY / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert node.returns is not None and all(a.annotation for a in arguments), f"{path}: {node.name} lacks types"
