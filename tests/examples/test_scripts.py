"""The scripts of examples/, as a reader starts them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, *arguments, cwd):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_picture_arrives_better_than_its_packets(photographs, tmp_path):
    said = run("one_picture", photographs[2], tmp_path / "out.png", cwd=tmp_path)
    failed, packets, wrong, tokens = map(int, re.findall(r"\d+", said))
    assert failed > packets / 4 and wrong < tokens * failed / packets / 4
    assert Image.open(tmp_path / "out.png").size == (256, 256)


def test_the_link_curve_falls_and_orders_its_links(tmp_path):
    said = run("link_curve", cwd=tmp_path)
    curves = {
        name: {float(x): float(y) for x, y in re.findall(r"([\d.]+) dB ([\d.]+)", rest)}
        for name, _, rest in (line.partition(": ") for line in said.splitlines())
    }
    assert all(list(curve.values()) == sorted(curve.values(), reverse=True) for curve in curves.values())
    assert curves["16-QAM 1/2"][6.5] < curves["16-QAM 1/2, the paper's K=3"][6.5] / 3
    assert Image.open(tmp_path / "link_curve.png").size[0] > 600


def test_a_channel_of_ones_own(tmp_path):
    lines = run("custom_channel", cwd=tmp_path).splitlines()
    fails = {tuple(map(int, re.findall(r"-?\d+", line)[:2])): float(line.split()[-4]) for line in lines}
    assert len(fails) == 9 and fails[-20, 0] == fails[-6, 0] == 0
    # Carriers that fade from one OFDM symbol to the next are what the pilots cannot follow.
    assert fails[-1, 5000] > 0.5 > 0.05 > fails[-1, 100]


SCRIPTS = [path for path in sorted(EXAMPLES.glob("*.py")) if not path.with_suffix(".grc").exists()]
"""GNU Radio Companion leaves programs of flowgraphs beside them."""


def test_git_does_not_look_at_what_companion_leaves_beside_a_flowgraph():
    ignored = (EXAMPLES.parent / ".gitignore").read_text().splitlines()
    assert "/examples/*.py" in ignored
    kept = {line for line in ignored if line.startswith("!/examples/")}
    assert kept == {f"!/examples/{path.name}" for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_gallery_shows_it(path):
    assert f"examples/{path.name}" in (EXAMPLES.parent / "docs" / "gallery.md").read_text()
