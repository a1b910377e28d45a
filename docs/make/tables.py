"""Tables of figures in the pages, made from the JSON files of docs/benchmarks: ./run docs tables.

A page marks the place of a table by `<!-- table NAME -->` and `<!-- end -->`, each on its own line. What stands between
them is replaced by the table, so that text and figures cannot part; `tests/docs/test_tables.py` compares them.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "docs" / "benchmarks"
TABLES: dict[str, Callable[[], str]] = {}
"""Tables by the name in the mark; modules `*_tables.py` beside this one register them."""
MARK = re.compile(r"(?<=<!-- table )(?P<name>[\w-]+)(?P<open> -->\n)(?P<body>.*?)(?P<close><!-- end -->)", re.S)


def table(name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register a function as the table of a name."""

    def register(make: Callable[[], str]) -> Callable[[], str]:
        TABLES[name] = make
        return make

    return register


@cache
def figures(name: str) -> object:
    """Read a file of docs/benchmarks."""
    return json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]) + "\n"


def rate(value: float) -> str:
    """Format an error rate: four places, two significant digits below a thousandth, 0 as it is."""
    if value == 0:
        return "0"
    return f"{value:.4f}" if value >= 1e-3 else f"{value:.2g}" if value < 1e-4 else f"{value:.5f}"


def marked(text: str) -> list[str]:
    """List the names of the tables that a page marks."""
    return [match["name"] for match in MARK.finditer(text)]


def filled(text: str) -> str:
    """Replace the marked tables of a page by those made from the files."""
    return MARK.sub(lambda match: f"{match['name']}{match['open']}{TABLES[match['name']]()}{match['close']}", text)


def pages() -> list[Path]:
    """List the pages that may have tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "models").glob("*/README.md"))]


def load() -> None:
    """Import the modules that register tables."""
    sys.path.insert(0, str(Path(__file__).parent))
    for path in sorted(Path(__file__).parent.glob("*_tables.py")):
        import_module(path.stem)


if __name__ == "__main__":
    sys.modules["tables"] = sys.modules["__main__"]
    load()
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(page.relative_to(ROOT))
