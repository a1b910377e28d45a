"""Tables of figures in the pages are those of the JSON files beside them."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables():
    """The module docs/make/tables.py, with all tables registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "make")
        module = importlib.import_module("tables")
        module.load()
        yield module
    sys.path[:] = [path for path in sys.path if path != str(ROOT / "docs" / "make")]


def test_the_pages_hold_the_tables_of_the_files(tables):
    for page in tables.pages():
        text = page.read_text(encoding="utf-8")
        assert tables.filled(text) == text, f"{page}: run ./run docs tables"


def test_every_table_has_a_place(tables):
    placed = [name for page in tables.pages() for name in tables.marked(page.read_text(encoding="utf-8"))]
    assert sorted(placed) == sorted(tables.TABLES)


def test_a_changed_figure_changes_the_page(tables, monkeypatch):
    page = ROOT / "docs" / "benchmarks" / "README.md"
    text = page.read_text(encoding="utf-8")
    read = tables.figures
    changed = [row | {"per": 0.4321} for row in read("link-k7.json")]
    monkeypatch.setattr(
        importlib.import_module("figures_tables"),
        "figures",
        lambda name: changed if name == "link-k7.json" else read(name),
    )
    found = tables.filled(text)
    assert found != text and len(re.findall(r"\| k7 \| [\d.]+ \| 0\.4321 \|", found)) == len(changed)


def test_rates_keep_what_counts(tables):
    assert [tables.rate(value) for value in (0, 0.99359, 0.0012, 0.00018, 0.0000312)] == [
        "0", "0.9936", "0.0012", "0.00018", "3.1e-05",
    ]  # fmt: skip
