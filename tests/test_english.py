"""The English of docstrings, messages and pages: constructions that a native reader stumbles over stay out of them.

`docs/contributing.md` has the rule with examples. What is not checked here is left to the reviewer.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

COUNTED = (
    "bits? bytes? symbols? tokens? words? packets? frames? pictures? photographs? samples? bursts? blocks? messages? "
    "seconds? ms s dB MB GB rad radians? cycles? nepers? operations? points? pixels? values? draws? calls? files? "
    "folders? models? rows? columns? labels? levels? class(?:es)? impulses? one two three four"
).replace(" ", "|")
PER = (
    "bit byte symbol token word packet frame picture photograph sample burst block message second minute hour point "
    "pixel value draw call file folder model row column label level class step stage state carrier quality line "
    "user processor thread task code section stream span split codebook seed"
).replace(" ", "|")

ANYWHERE = {
    rf"(?<!MS/)\b(?:{COUNTED}) an? (?:masked )?(?:{PER})\b": 'write "per": "bits per token", "one file per class"',
    r"\banew\b": 'write "again", "re-…", "start over"',
    r"(?<!there )\b(?:is|are|was|were) none\b": "name what is missing or invalid",
    r"\b[Ss]o many\b(?! (?:of|that|and)\b)": 'name the variable, or write "at most n"',
    r"\bthere is but\b|\bbut one\b|\bno more than one thing\b": 'write "there is only one", "exactly one"',
    r"\bsome (?:ten|hundred|thousand)s?\b": 'write "about ten", "hundreds of"',
    r"\bwhat may\b|\bwhoever\b": "name the thing",
}
"""Patterns that no text may have, with what to write instead."""
FIRST_LINE = {
    r"^(?:What|Who|Whom|Whose|Where|When|How|Which|That|Those|These|Of|So many|As)\b": (
        "begin with an imperative or with a noun phrase that names the thing"
    ),
}
"""Patterns that no docstring may begin with."""

SOURCES = [
    path
    for folder in ("python", "docs/make", "examples", "apps")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and (path.suffix == ".py" or (folder == "apps" and not path.suffix))
]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "run")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
    *sorted((ROOT / "models").glob("*/README.md")),
    *sorted((ROOT / "grc").glob("*.yml")),
]


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings of a module, its classes, functions and attributes, with their line numbers."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for before, after in zip([None, *node.body], node.body, strict=False):
            described = before is None or isinstance(before, ast.Assign | ast.AnnAssign)
            text = after.value if isinstance(after, ast.Expr) else None
            if described and isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.lineno, text.value


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """All string literals and comments of a module, with their line numbers."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("#"):
            yield number, line


def complaints(path: Path, number: int, text: str, patterns: dict[str, str]) -> list[str]:
    """Findings of patterns in a text, each with what to write instead."""
    flat = re.sub(r"\s+", " ", text.strip())
    return [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: {advice}"
        for pattern, advice in patterns.items()
        for match in re.finditer(pattern, flat)
    ]


def test_docstrings_messages_and_comments_of_the_code():
    found = []
    for path in SOURCES:
        for number, text in texts(path):
            found += complaints(path, number, text, ANYWHERE)
        for number, text in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            found += complaints(path, number, text, FIRST_LINE)
    assert not found, "\n".join(found)


def test_pages_and_texts_of_the_flowgraph_editor():
    found = []
    for path in PAGES:
        text = re.sub(
            r"```.*?```", lambda code: "\n" * code[0].count("\n"), path.read_text(encoding="utf-8"), flags=re.S
        )
        text = re.sub(r"`[^`\n]*`", "`code`", text)
        for number, line in enumerate(re.split(r"\n(?=\n|\||- |#|\d+\.)", text)):
            found += complaints(path, text[: text.find(line)].count("\n") + 1 if number else 1, line, ANYWHERE)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    ["four tokens a packet", "3 ms a picture", "0.039 bit a pixel", "one a class", "visits that are none", "made anew",
     "an extension of so many symbols"],
)  # fmt: skip
def test_the_patterns_find_what_they_are_for(text):
    assert complaints(ROOT / "x", 1, text, ANYWHERE)


@pytest.mark.parametrize("text", ["bits per token", "gives a packet a number", "so many of them that", "is not one"])
def test_the_patterns_leave_plain_english_alone(text):
    assert not complaints(ROOT / "x", 1, text, ANYWHERE)
