"""The pages of the library's Python interface: one per room, made by mkdocstrings from docstrings and annotations."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "python" / "tokcom"
INDEX = "api/index.md"


def rooms() -> dict[str, list[str]]:
    """Names of the rooms of `tokcom`, each with the modules that offer something; single files make up room tokcom."""
    found = {"tokcom": _modules(LIBRARY)}
    folders = sorted(folder for folder in LIBRARY.iterdir() if (folder / "__init__.py").exists())
    found |= {f"tokcom.{folder.name}": _modules(folder) for folder in folders}
    return {room: modules for room, modules in found.items() if modules}


def _modules(folder: Path) -> list[str]:
    inside = folder.relative_to(LIBRARY.parent)
    paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return [".".join((*inside.parts, path.stem)) for path in paths if _offers_something(path)]


def _offers_something(path: Path) -> bool:
    """Whether a module defines a class or a function for others."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_" for node in body)


def summary(module: str) -> str:
    """First paragraph of a module's docstring, on one line."""
    path = (LIBRARY.parent / Path(*module.split("."))).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def page(modules: list[str], room: str) -> str:
    """The page of a room, in Markdown with the directives of mkdocstrings."""
    return "\n\n".join([f"# {room}", *(f"::: {module}" for module in modules)])


def index() -> str:
    """The page that lists every module with its subject."""
    parts = [
        "# Python interface",
        "Everything public of the library `tokcom`, room by room, in alphabetical order. The library never imports "
        "GNU Radio; the [blocks](../blocks/index.md) are its adapters. [Scripts to begin from](../gallery.md).",
    ]
    for room, modules in rooms().items():
        rows = "\n".join(f"| [`{module}`]({room}.md#{module}) | {summary(module)} |" for module in modules)
        parts.append(f"## {room}\n\n| module | subject |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def pages() -> dict[str, str]:
    """Paths below docs/ and contents of all of these pages."""
    return {INDEX: index()} | {f"api/{room}.md": page(modules, room) for room, modules in rooms().items()}
