"""The documentation: it builds without a warning, it is whole, and what it says of commands and blocks is so."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = sorted(
    path.name.removesuffix(".block.yml").removeprefix("tokcom_") for path in (ROOT / "grc").glob("*.block.yml")
)


def maker(name, monkeypatch):
    """A module of docs/make."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "make")
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built pages."""
    pytest.importorskip("mkdocs", reason="MkDocs could not be installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return folder


class References(HTMLParser):
    """Collects what a page loads, where its links lead, and which places in it they may name."""

    def __init__(self):
        super().__init__()
        self.loaded, self.links, self.places = [], [], set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.places |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in ("img", "script", "iframe") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        if tag == "link" and attrs.get("rel") not in ("canonical", "next", "prev") and attrs.get("href"):
            self.loaded.append(attrs["href"])


def test_pages_load_nothing_from_elsewhere_and_everything_is_there(site):
    for page in site.rglob("*.html"):
        references = References()
        references.feed(page.read_text())
        for reference in references.loaded:
            if page.name == "404.html":
                continue
            assert "//" not in reference, f"{page} loads {reference}"
            assert (page.parent / reference.partition("#")[0]).exists(), f"{page} lacks {reference}"


def test_every_link_leads_to_a_page_and_a_place_that_exist(site):
    pages = {page: References() for page in site.rglob("*.html") if page.name != "404.html"}
    for page, references in pages.items():
        references.feed(page.read_text())
    broken = []
    for page, references in pages.items():
        for link in references.links:
            path, _, place = unquote(link).partition("#")
            if re.match(r"\w+:|//", path):
                continue
            target = (page.parent / path).resolve() if path else page
            known = pages[target].places if target in pages else None
            if not target.is_file() or (place and known is not None and place not in known):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert len(pages) > 30 and not broken, broken


@pytest.mark.parametrize("name", ["one_picture", "link_curve", "custom_channel"])
def test_the_gallery_shows_the_scripts_themselves(name, site):
    page = (site / "gallery.html").read_text()
    shown = unescape(re.sub(r"<[^>]*>", "", page))
    lines = [line.strip() for line in (ROOT / "examples" / f"{name}.py").read_text().splitlines() if line.strip()]
    assert "8<" not in shown and all(line in shown for line in lines)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_has_a_page_with_its_ports_parameters_and_keys(name, site, monkeypatch):
    block_pages = maker("block_pages", monkeypatch)
    block = next(block for block in block_pages.load_blocks() if block.name == name)
    text = (site / "blocks" / f"{name}.html").read_text()
    assert f'<h1 id="{text.partition("<h1 id=")[2].split(chr(34))[1]}">{block.label}' in text
    for entry in [
        *block.content.get("parameters", []),
        *block.content.get("inputs", []),
        *block.content.get("outputs", []),
    ]:
        if "id" in entry:
            assert f"<code>{entry['id']}</code>" in text, f"{name} says nothing of {entry['id']}"
    described = block.described("Parameters")
    assert all(described.get(entry["id"]) for entry in block.content.get("parameters", []))


def test_the_python_pages_show_everything_public_of_the_library(site, monkeypatch):
    pages, shown = maker("api_pages", monkeypatch), References()
    for room, modules in pages.rooms().items():
        shown.feed((site / "api" / f"{room}.html").read_text(encoding="utf-8"))
        for module in modules:
            path = ROOT / "python" / Path(*module.split(".")).with_suffix(".py")
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                    assert f"{module}.{node.name}" in shown.places


def test_keys_are_told_from_the_code(monkeypatch):
    block_pages = maker("block_pages", monkeypatch)
    framer = block_pages.key_use(ROOT / "python/gnuradio/tokcom/burst_framer.py")
    assert {"PAPR_DB", "AIRTIME_SAMPLES"} <= framer.added and {"MCS", "PACKETS", "TX_TIME"} <= framer.read
    sync = block_pages.key_use(ROOT / "python/gnuradio/tokcom/burst_sync.py")
    assert {"CFO", "LONG_START", "LAYOUT_SEED"} <= sync.added and not sync.read - {"LAYOUT_SEED"}
    recovery = block_pages.key_use(ROOT / "python/gnuradio/tokcom/token_recovery.py")
    assert "LLRS" in recovery.removed and {"MODE", "CONFIDENCE"} <= recovery.added


def test_every_key_says_what_it_holds(monkeypatch):
    from tokcom import keys

    described = maker("block_pages", monkeypatch).key_descriptions()
    assert set(described) == {name for name in vars(keys) if name.isupper()}
    assert all(getattr(keys, name) == key and text for name, (key, text) in described.items())


def test_the_manual_page_is_that_of_the_commands(monkeypatch):
    man = maker("man", monkeypatch)
    assert man.FILE.read_text() == man.manual(), "write it anew: ./run docs man"


def test_the_manual_page_is_good_roff():
    text = (ROOT / "docs/man/tokcom.1").read_text()
    assert text.startswith(".TH TOKCOM 1 ")
    known = re.compile(r"\.(TH|SH|SS|TP|PP|B|BR|I)\b")
    assert all(known.match(line) for line in text.splitlines() if line.startswith("."))


def test_what_the_pages_tell_a_reader_to_call_exists():
    from tokcom.cli.main import COMMANDS

    bash = (ROOT / "run").read_text()
    own = set(re.findall(r"^\./run (\w[\w-]*)", bash, re.M)) | set(COMMANDS)
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    called = {(page.name, command) for page in pages for command in re.findall(r"\./run (\w[\w-]*)", page.read_text())}
    assert called and not [(page, command) for page, command in called if command not in own | {"COMMAND"}]
    named = {
        (page.name, path)
        for page in pages
        for path in re.findall(r"(?:examples|tests|apps|docs)/[\w./-]*\w", page.read_text())
    }
    gone = [(page, path) for page, path in named if not (ROOT / path).exists()]
    assert not [entry for entry in gone if "my_block" not in entry[1] and not entry[1].startswith("docs/images")], gone
