"""Pages of the blocks, made from grc/*.block.yml and the classes' source, without importing the module."""

import ast
import re
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ROOT / "python" / "gnuradio" / "tokcom"
KEYS_FILE = ROOT / "python" / "tokcom" / "keys.py"
CATEGORIES = ("Sources", "Transmit", "Channel", "Receive", "Sinks")
"""The order in which data flows; categories not named here come last."""
COMMON = {"gui_hint": "place in the window: row, column, rows, columns; empty: below the others."}
"""Parameters that GNU Radio Companion knows and explains by itself."""


@dataclass(frozen=True)
class Block:
    """A block as its file describes it."""

    content: dict
    source: Path

    @property
    def name(self) -> str:
        return self.content["id"].removeprefix("tokcom_")

    @property
    def label(self) -> str:
        return self.content["label"]

    @property
    def category(self) -> str:
        return str(self.content.get("category", "")).rpartition("/")[2].strip("[]")

    @cached_property
    def documentation(self) -> dict[str, str]:
        """Text by heading: "" for what comes first, then Input, Output, Parameters."""
        parts = re.split(r"^(Inputs?|Outputs?|Parameters):\n", self.content.get("documentation", ""), flags=re.M)
        named = {heading.rstrip("s") if heading != "Parameters" else heading: text
                 for heading, text in zip(parts[1::2], parts[2::2], strict=True)}  # fmt: skip
        return {"": parts[0].strip()} | named

    def described(self, heading: str) -> dict[str, str]:
        """Extract the description of each port or parameter; "" for a line without a name."""
        found = dict(COMMON) if heading == "Parameters" else {}
        for line in self.documentation.get(heading, "").splitlines():
            name, colon, text = line.strip().partition(": ")
            if colon and re.fullmatch(r"\w+", name):
                found[name] = text
            elif line.strip():
                found[""] = f"{found.get('', '')} {line.strip()}".strip()
        return found

    @cached_property
    def docstring(self) -> str:
        """The docstring of the block's class, without its lists of ports and parameters."""
        for node in ast.parse(self.source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == self.name:
                return re.split(r"^(?:Inputs?|Outputs?|Parameters):", ast.get_docstring(node) or "", flags=re.M)[
                    0
                ].strip()
        return ""

    @cached_property
    def setters(self) -> list[str]:
        return re.findall(r"set_(\w+)\(", "\n".join(self.content["templates"].get("callbacks", [])))


def load_blocks() -> list[Block]:
    """All blocks, in the order in which data flows, then by name."""
    blocks = []
    for path in sorted((ROOT / "grc").glob("tokcom_*.block.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        blocks.append(Block(content, CLASSES / f"{content['id'].removeprefix('tokcom_')}.py"))

    def place(block: Block) -> tuple[int, str]:
        known = block.category in CATEGORIES
        return CATEGORIES.index(block.category) if known else len(CATEGORIES), block.label

    return sorted(blocks, key=place)


@dataclass
class KeyUse:
    """Names, in keys.py, of the metadata keys that code reads, sets and removes."""

    read: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def merge(self, other: "KeyUse") -> None:
        self.read |= other.read
        self.added |= other.added
        self.removed |= other.removed


def key_use(source: Path, names: set[str] | None = None) -> KeyUse:
    """Find the keys used by a file, or by functions of these names, including helpers in private files beside it."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    helpers = {
        alias.name: source.parent / f"{node.module}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }
    use, scopes = KeyUse(), tree.body
    if names is not None:
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        scopes = [node for node in functions if node.name in names]
        helpers |= {node.name: source for node in functions}
    for scope in scopes:
        # A table of keys outside of any function lists keys that are read.
        in_code = isinstance(scope, ast.FunctionDef | ast.ClassDef)
        _collect(scope, use, in_code)
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in helpers:
                wanted, file = node.func.id, helpers[node.func.id]
                if file != source or wanted not in (names or ()):
                    use.merge(key_use(file, {wanted}))
    return use


def _key(node: ast.AST) -> str | None:
    if isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "keys":
        return node.attr
    return None


def _collect(scope: ast.AST, use: KeyUse, in_code: bool) -> None:
    placed = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Dict) and in_code:
            for key, value in zip(node.keys, node.values, strict=True):
                name = key and _key(key)
                if name:
                    placed.add(id(key.left if isinstance(key, ast.BinOp) else key))
                    gone = isinstance(value, ast.Constant) and value.value is None
                    (use.removed if gone else use.added).add(name)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and in_code and _key(node.slice):
            placed.add(id(node.slice))
            use.added.add(_key(node.slice))
    for node in ast.walk(scope):
        name = _key(node) if isinstance(node, ast.Attribute) else None
        if name and id(node) not in placed:
            use.read.add(name)


def key_descriptions() -> dict[str, tuple[str, str]]:
    """Map each name in keys.py to its key and description; a description covers all keys since the previous one."""
    found, waiting = {}, []
    for node in ast.parse(KEYS_FILE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            waiting.append((node.targets[0].id, node.value.value))
        elif isinstance(node, ast.Expr) and waiting:
            found |= {name: (key, " ".join(node.value.value.split())) for name, key in waiting}
            waiting = []
    return found


def examples_with(block: Block) -> list[str]:
    """List the flowgraphs in examples/ that contain a block."""
    return [
        path.stem
        for path in sorted((ROOT / "examples").glob("*.grc"))
        if any(
            entry["id"] == block.content["id"] for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["blocks"]
        )
    ]


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows])


SIDES = {"inputs": "in", "outputs": "out"}
PORT_COLOURS = {"message": "#c0c0c0", "complex": "#2196f3", "float": "#ff8c69", "int": "#009688", "byte": "#ff66ff"}
"""Colours of ports in GNU Radio Companion."""


def drawing(block: Block) -> str:
    """Draw the block as on the canvas, as SVG: inputs on the left, outputs on the right."""
    ports = [block.content.get(side, []) for side in SIDES]
    sides = [
        [_port_name(port, side, i) for i, port in enumerate(ports_of)]
        for side, ports_of in zip(SIDES, ports, strict=True)
    ]
    kinds = [[port.get("dtype") or "message" for port in ports_of] for ports_of in ports]
    middle = 11 * max(len(block.label), 12)
    port_width = 9 * max([len(name) for side in sides for name in side] or [0]) + 12
    height = 30 * max(1, *map(len, sides)) + 24
    width = middle + 2 * port_width
    parts = [
        f'<svg class="block" role="img" aria-label="{escape(block.label)}" viewBox="0 0 {width + 4} {height + 4}" '
        f'width="{width + 4}" height="{height + 4}" font-family="sans-serif" font-size="14">',
        f'<rect x="{port_width + 2}" y="2" width="{middle}" height="{height}" rx="3" fill="#f1ecff" stroke="#616161"/>',
        f'<text x="{port_width + 2 + middle / 2}" y="{height / 2 + 7}" text-anchor="middle" font-weight="bold" '
        f'fill="#212121">{escape(block.label)}</text>',
    ]
    for names, side_kinds, x in zip(sides, kinds, (2, port_width + middle + 2), strict=True):
        for i, (name, kind) in enumerate(zip(names, side_kinds, strict=True)):
            y = 2 + height / 2 + 30 * (i - (len(names) - 1) / 2) - 12
            colour = PORT_COLOURS.get(str(kind), "#c0c0c0")
            parts.append(
                f'<rect x="{x}" y="{y}" width="{port_width}" height="24" fill="{colour}" stroke="#616161"/>'
                f'<text x="{x + port_width / 2}" y="{y + 17}" text-anchor="middle" fill="#212121">{escape(name)}</text>'
            )
    return "".join([*parts, "</svg>"])


def _port_name(port: dict, side: str, number: int) -> str:
    return str(port.get("id") or port.get("label") or SIDES[side] + (str(number) if number else ""))


def _ports(block: Block) -> str:
    rows = []
    for side, heading in (("inputs", "Input"), ("outputs", "Output")):
        described = block.described(heading)
        for number, port in enumerate(block.content.get(side, [])):
            stream = port["domain"] == "stream"
            name = _port_name(port, side, number)
            kind = f"stream of {port.get('dtype', 'samples')}" if stream else "messages"
            optional = "may stay open" if str(port.get("optional", "")).lower() == "true" else "needed"
            text = described.get(name) or (described.get("") if stream else "") or ""
            rows.append((heading.lower(), f"`{name}`", kind, optional, text))
    return _table(("", "port", "carries", "", "what"), rows) if rows else "This block has no ports."


def _parameters(block: Block) -> str:
    described = block.described("Parameters")
    rows = []
    for entry in block.content.get("parameters", []):
        name, options = entry["id"], entry.get("options", [])
        text = described.get(name, "")
        if options and entry.get("dtype") != "bool":
            labels = entry.get("option_labels", options)
            text += " Choices: " + ", ".join(
                f"`{option}` ({label})" if str(label) != str(option) else f"`{option}`"
                for option, label in zip(options, labels, strict=True)
            )  # fmt: skip
        running = "yes" if name in block.setters else ""
        default = str(entry.get("default", ""))
        rows.append((entry.get("label", name), f"`{name}`", f"`{default}`" if default else "empty", running, text))
    return _table(("in GRC", "in Python", "default", "while running", "what"), rows) if rows else "None."


def _asserts(block: Block) -> str:
    conditions = [re.sub(r"^\$\{\s*|\s*\}$", "", str(entry)) for entry in block.content.get("asserts", [])]
    if not conditions:
        return ""
    listed = "\n".join(f"- `{condition}`" for condition in conditions)
    return f"GNU Radio Companion marks the block red unless all of these hold:\n\n{listed}\n"


def _keys(block: Block) -> str:
    use, rows = key_use(block.source), []
    for name, (key, text) in key_descriptions().items():
        key += "…" if key.endswith(".") else ""
        groups = {"reads": use.read, "adds": use.added, "removes": use.removed}
        what = [word for word, group in groups.items() if name in group]
        if what:
            rows.append((f"`{key}`", " and ".join(what), text))
    if not rows:
        return "It neither reads nor adds any; all keys are forwarded."
    return _table(("key", "this block", "content"), rows) + "\n\nOther keys are forwarded unchanged."


def _call(block: Block) -> str:
    arguments = []
    for entry in block.content.get("parameters", []):
        default = str(entry.get("default", ""))
        quoted = entry.get("dtype") in ("string", "file_open", "file_save", "dir_select")
        value = repr(default.strip("'\"")) if quoted else default or "None"
        arguments.append(f"    {entry['id']}={value},".replace("'", '"'))
    inside = "\n".join(["", *arguments, ""]) if arguments else ""
    return f"```python\nfrom gnuradio import tokcom\n\nblock = tokcom.{block.name}({inside})\n```"


def page(block: Block) -> str:
    """The page of one block, in Markdown."""
    examples = examples_with(block)
    shown = ", ".join(f"[`examples/{name}.grc`](../quick-start.md#the-examples)" for name in examples)
    return "\n\n".join(
        part
        for part in (
            f"# {block.label}",
            f"*[TokCom] / {block.category}* · `tokcom.{block.name}`",
            drawing(block),
            block.docstring or block.documentation[""],
            "## Ports",
            _ports(block),
            "## Parameters",
            _parameters(block),
            _asserts(block),
            "## Keys of the PDUs",
            _keys(block),
            "## Example",
            f"In flowgraphs: {shown}." if shown else "No flowgraph in `examples/` holds this block by itself.",
            "In Python, with its defaults:",
            _call(block),
        )
        if part
    )


def index(blocks: list[Block]) -> str:
    """The page that lists all blocks, in Markdown."""
    parts = [
        "# The blocks",
        "In GNU Radio Companion they lie under **[TokCom]**. All messages are one PDU a frame or burst; every PDU "
        "carries a dictionary of [metadata](keys.md), to which a block adds keys, and whose rest it hands on. A block "
        "that gets a bad frame logs it, counts it and goes on with the next. These pages are made from the blocks' own "
        "files.",
    ]
    for category in dict.fromkeys(block.category for block in blocks):
        rows = [
            (f"[{block.label}]({block.name}.md)", re.split(r"(?<=\.)\s", block.docstring or block.documentation[""])[0])
            for block in blocks
            if block.category == category
        ]
        parts += [f"## {category}", _table(("block", "what it does"), rows)]
    return "\n\n".join(parts)


def keys_page(blocks: list[Block]) -> str:
    """The page of all metadata keys, in Markdown."""
    uses = [(f"[{block.label}]({block.name}.md)", key_use(block.source)) for block in blocks]

    def links(name: str, group: str) -> str:
        return ", ".join(link for link, use in uses if name in getattr(use, group))

    rows = [
        (f"`{key}`" + ("…" if key.endswith(".") else ""), text, links(name, "added"), links(name, "read"))
        for name, (key, text) in key_descriptions().items()
    ]
    return (
        "# Metadata keys\n\nThe names are constants of `tokcom.keys`. A vector is a uniform PMT vector; angles and "
        "offsets are per sample.\n\n" + _table(("key", "what it holds", "added by", "read by"), rows)
    )
