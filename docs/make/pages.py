"""MkDocs hooks: pages made from the code, and links that lead out of docs/."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "python")]

import api_pages  # noqa: E402
import block_pages  # noqa: E402
import command_page  # noqa: E402

IN_DEPTH = "In depth"
"""Section of the navigation for all pages of docs/ that no other section names."""
COPIED = {"CHANGELOG.md": "changes.md"} | {
    f"models/{path.parent.name}/README.md": f"models/{path.parent.name}.md"
    for path in sorted((ROOT / "models").glob("*/README.md"))
}
"""Pages from elsewhere in the checkout, and their place on the site."""


def _named(nav: object) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    entries = nav.values() if isinstance(nav, dict) else nav or ()
    return set().union(*map(_named, entries))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add blocks, models and all other pages to the navigation."""
    blocks = block_pages.load_blocks()
    for section in config.nav:
        if "Blocks" in section:
            for category in dict.fromkeys(block.category for block in blocks):
                pages = [f"blocks/{block.name}.md" for block in blocks if block.category == category]
                section["Blocks"].append({category: pages})
        if "Python" in section:
            section["Python"] += [f"api/{room}.md" for room in api_pages.rooms()]
        if "Models" in section:
            section["Models"] += [page for source, page in COPIED.items() if source.startswith("models/")]
    named, docs = _named(config.nav), Path(config.docs_dir)
    others = sorted(path.name for path in docs.glob("*.md") if path.name not in named)
    for section in config.nav:
        if IN_DEPTH in section:
            section[IN_DEPTH] += others
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    blocks = block_pages.load_blocks()
    made = {f"blocks/{block.name}.md": block_pages.page(block) for block in blocks}
    made |= {"blocks/index.md": block_pages.index(blocks), "blocks/keys.md": block_pages.keys_page(blocks)}
    made |= api_pages.pages()
    made["commands.md"] = command_page.page()
    made |= {page: (ROOT / source).read_text(encoding="utf-8") for source, page in COPIED.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Redirect links that lead out of docs/ to the page that shows the file; without such a page, only name the
    file."""
    source = {shown: path for path, shown in COPIED.items()}.get(page.file.src_uri)
    here = (ROOT / source).parent if source else Path(config.docs_dir, page.file.src_uri).parent
    depth = page.file.src_uri.count("/")

    def target(match: re.Match) -> str:
        text, link = match.groups()
        if re.match(r"\w+:|#", link):
            return match[0]
        path, _, anchor = link.partition("#")
        absolute = (here / path).resolve()
        anchor = f"#{anchor}" if anchor else ""
        if not absolute.is_relative_to(ROOT) or not absolute.exists():
            return match[0]
        inside = str(absolute.relative_to(ROOT))
        if inside in COPIED:
            return f"[{text}]({'../' * depth}{COPIED[inside]}{anchor})"
        if absolute.is_relative_to(config.docs_dir):
            shown = absolute.relative_to(config.docs_dir)
            return f"[{text}]({'../' * depth}{shown}{anchor})" if shown.suffix else match[0]
        return f"{text} (`{inside}`)" if text.strip("`") not in inside else f"`{inside}`"

    code = r"(```.*?```)"
    parts = re.split(code, markdown, flags=re.S)
    return "".join(
        part if part.startswith("```") else re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", target, part) for part in parts
    )
