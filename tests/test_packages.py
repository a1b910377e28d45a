"""Packages: the version is written in one place, what repeats it agrees, and the Debian package works where it lies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tokcom

ROOT = Path(__file__).resolve().parents[1]
CITATION, MANIFEST = (yaml.safe_load((ROOT / name).read_text()) for name in ("CITATION.cff", "MANIFEST.yml"))


def test_every_file_that_repeats_the_version_agrees():
    repeated = {
        "CITATION.cff": CITATION["version"],
        "MANIFEST.yml": MANIFEST["version"],
        "debian/changelog": re.match(r"gr-tokcom \(([^)]+)\)", (ROOT / "debian/changelog").read_text())[1],
        "CHANGELOG.md": re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1],
    }
    assert repeated == dict.fromkeys(repeated, tokcom.__version__)


def test_citation_and_manifest_hold_what_their_formats_ask_for():
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert all(author.get("name") or author.get("family-names") for author in CITATION["authors"])
    asked = {"title", "brief", "tags", "author", "copyright_owner", "license", "gr_supported_version", "file_format"}
    assert asked <= MANIFEST.keys() and MANIFEST["license"] == CITATION["license"]


def test_the_conda_recipe_asks_for_what_the_library_asks_for():
    from tokcom.doctor.python import PACKAGES

    names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    recipe = (ROOT / "conda/recipe/meta.yaml").read_text()
    asked = dict(re.findall(r"^    - ([\w-]+) >=([\d.]+)$", recipe.partition("  run:")[2], re.M))
    assert {names.get(name, name): row["at_least"] for name, row in PACKAGES.items()}.items() <= asked.items()


@pytest.fixture(scope="module")
def debian_root(tmp_path_factory):
    """A folder into which the package, built from what git knows, is unpacked."""
    if not (shutil.which("dpkg-buildpackage") and shutil.which("dh_python3")):
        pytest.skip("dpkg-buildpackage and dh-python are not installed")
    folder = tmp_path_factory.mktemp("debian")
    source, root = folder / "gr-tokcom", folder / "root"
    left_out = shutil.ignore_patterns(".git", ".venv", ".cache", "prefix", "out", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, source, ignore=left_out)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    built = subprocess.run(
        ["dpkg-buildpackage", "-us", "-uc", "-b"],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (package,) = folder.glob("gr-tokcom_*_all.deb")
    subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    share_kernels(Path(tokcom.__file__).parent, root / "usr/lib/python3/dist-packages/tokcom")
    return root


def share_kernels(compiled: Path, unpacked: Path) -> None:
    """Let the unpacked library use what Numba has compiled for the same sources elsewhere, which takes it a minute.

    Numba trusts a cache whose source has the size and the time that it had.
    """
    for source in unpacked.rglob("*.py"):
        there = compiled / source.relative_to(unpacked)
        if there.is_file() and there.read_bytes() == source.read_bytes():
            os.utime(source, ns=(there.stat().st_atime_ns, there.stat().st_mtime_ns))
            for kernel in (there.parent / "__pycache__").glob(f"{there.stem}.*.nb[ic]"):
                (source.parent / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(kernel, source.parent / "__pycache__")


@pytest.fixture(scope="module")
def environment(debian_root, tmp_path_factory):
    """Python and GNU Radio Companion find the unpacked package before any other."""
    packages = str(debian_root / "usr/lib/python3/dist-packages")
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "/prefix/" not in path]
    blocks = str(debian_root / "usr/share/gnuradio/grc/blocks")
    home = str(tmp_path_factory.mktemp("home"))
    return os.environ | {"PYTHONPATH": os.pathsep.join([packages, *others]), "GRC_BLOCKS_PATH": blocks, "HOME": home}


def test_the_debian_package_imports_as_installed(debian_root, environment):
    code = "import tokcom; from gnuradio import tokcom as blocks; print(tokcom.__file__, blocks.__file__)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.count(str(debian_root)) == 2


def test_the_debian_package_has_its_blocks_in_companions_tree(debian_root, environment):
    code = """
import os, sys
from gnuradio import gr
from gnuradio.grc.core.platform import Platform
platform = Platform(version=gr.version(), version_parts=(3, 10, 0), prefs=gr.prefs())
platform.build_library(path=[os.environ["GRC_BLOCKS_PATH"], gr.prefix() + "/share/gnuradio/grc/blocks"])
print(*sorted(name for name in platform.blocks if name.startswith("tokcom_")))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    files = sorted(path.name.removesuffix(".block.yml") for path in (ROOT / "grc").glob("*.block.yml"))
    assert done.stdout.splitlines()[-1].split() == files


def test_the_debian_packages_demo_runs(debian_root, environment, photographs, tmp_path):
    command = [sys.executable, debian_root / "usr/bin/tokcom_demo", photographs[0], "--esn0-db", "8", "--modes", "keep"]
    done = subprocess.run(
        [*map(str, command)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and (tmp_path / "out/demo/index.html").is_file(), done.stderr


def test_the_debian_packages_programs_run_under_debians_python(debian_root):
    for program in (debian_root / "usr/bin").iterdir():
        assert program.read_text().splitlines()[0].replace(" ", "") == "#!/usr/bin/python3", program
    assert (debian_root / "usr/sbin/gr-tokcom-setup").stat().st_mode & 0o111
    assert (debian_root / "usr/share/man/man1/tokcom.1.gz").is_file()
