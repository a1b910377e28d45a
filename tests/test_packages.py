"""Packages: the version is written in one place, what repeats it agrees, and the Debian package works where it lies."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

import tokcom

ROOT = Path(__file__).resolve().parents[1]
DEBIAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PIPED = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
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

    names = {"torch": "pytorch"}
    recipe = (ROOT / "conda/recipe/meta.yaml").read_text()
    asked = dict(re.findall(r"^    - ([\w-]+) >=([\d.]+)$", recipe.partition("  run:")[2], re.M))
    assert {names.get(name, name): row["at_least"] for name, row in PACKAGES.items()}.items() <= asked.items()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The Debian packages, of the blocks and of the laboratory, built from what git knows."""
    if not (shutil.which("dpkg-buildpackage") and shutil.which("dh_python3")):
        pytest.skip("dpkg-buildpackage and dh-python are not installed")
    folder = tmp_path_factory.mktemp("debian")
    source = folder / "gr-tokcom"
    left_out = shutil.ignore_patterns(".git", ".venv", ".cache", "prefix", "out", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, source, ignore=left_out)
    environment = {"PATH": DEBIAN_PATH, "HOME": str(folder), "LANG": "C.UTF-8"}
    built = subprocess.run(
        ["dpkg-buildpackage", "-us", "-uc", "-b"],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return [next(folder.glob(f"{name}_*_all.deb")) for name in ("gr-tokcom", "gr-tokcom-lab")]


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


class Unpacked:
    """The packages' files in a folder, which Python and GNU Radio Companion are told of."""

    def __init__(self, packages: list[Path], folder: Path):
        self.files, self._home = folder / "root", folder
        for package in packages:
            subprocess.run(["dpkg-deb", "-x", package, self.files], check=True)
        installed = self.files / "usr/lib/python3/dist-packages"
        share_kernels(Path(tokcom.__file__).parent, installed / "tokcom")
        others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "/prefix/" not in path]
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(installed), *others]),
            "GRC_BLOCKS_PATH": str(self.files / "usr/share/gnuradio/grc/blocks"),
            "HOME": str(folder),
        }

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess:
        """A program of the packages, or "python3", in an empty folder."""
        found = [sys.executable] if program == "python3" else [sys.executable, self.files / "usr/bin" / program]
        return subprocess.run(
            [*map(str, found), *arguments],
            env=self._environment,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )


class NotHere(Exception):
    """This user may not mount a copy of the system, or Debian's packages cannot be fetched."""


class Installed:
    """The packages installed by apt into a copy of this system, with what they depend on from Debian.

    Only what gr-tokcom-setup fetches from elsewhere comes from the environment of these tests: it is put where that
    would put it, at the end of Python's path. The copy shares /dev and /proc with this system, so that all of it is
    mounted in a namespace of its own, which is gone with this process however that ends: nothing that deletes the
    tests' folders later can reach through it.
    """

    def __init__(self, packages: list[Path], folder: Path):
        self._root = folder / "root"
        self._holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "cat"], **PIPED)
        apart = Path(f"/proc/{self._holder.pid}/root")
        self.files = apart / self._root.relative_to("/")
        try:
            if not self._is_apart():
                raise NotHere
            self._mount("-t", "tmpfs", "tmpfs", folder)
            upper, work = folder / "upper", folder / "work"
            for each in (upper, work, self._root):
                (apart / each.relative_to("/")).mkdir()
            self._mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", self._root)
            for each in ("proc", "dev"):
                self._mount("--bind", f"/{each}", self._root / each)
            for package in packages:
                shutil.copy(package, self.files / package.name)
            (self.files / "home/lab").mkdir(parents=True)
            apt = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]
            done = self._chroot(
                "/", *apt, *(f"/{package.name}" for package in packages), DEBIAN_FRONTEND="noninteractive"
            )
            if "Failed to fetch" in done.stderr or "Temporary failure" in done.stderr:
                raise NotHere
            assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
            elsewhere = self.files / "usr/local/lib/python{}.{}/dist-packages/gr-tokcom.pth".format(*sys.version_info)
            elsewhere.parent.mkdir(parents=True, exist_ok=True)
            elsewhere.write_text(sysconfig.get_paths()["purelib"] + "\n")
        except BaseException:
            self.close()
            raise

    def _is_apart(self) -> bool:
        """Wait for the namespace: cat answers as soon as it is in it, and never where this user may make none."""
        try:
            self._holder.stdin.write("apart\n")
            self._holder.stdin.flush()
        except BrokenPipeError:
            return False
        return self._holder.stdout.readline() == "apart\n"

    def _inside(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", *map(str, command)],
            env={"PATH": DEBIAN_PATH, "HOME": "/home/lab", "LANG": "C.UTF-8"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _mount(self, *arguments: str | Path) -> None:
        if self._inside("mount", *arguments).returncode:
            raise NotHere

    def _chroot(self, folder: str, *command: str, **environment: str) -> subprocess.CompletedProcess:
        return self._inside("chroot", self._root, "env", "--chdir", folder, *command, **environment)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess:
        """A program of the packages, or "python3", in an empty folder."""
        return self._chroot("/home/lab", program, *arguments)

    def close(self) -> None:
        """Let cat end, and the namespace with it."""
        self._holder.kill()
        self._holder.communicate()


@pytest.fixture(scope="module")
def machine(packages, tmp_path_factory):
    """A machine that has the packages; where this one cannot be copied, a folder that they are unpacked into."""
    try:
        installed = Installed(packages, tmp_path_factory.mktemp("installed"))
    except NotHere:
        yield Unpacked(packages, tmp_path_factory.mktemp("unpacked"))
        return
    yield installed
    installed.close()


def test_the_debian_package_imports_as_installed(machine):
    code = "import tokcom; from gnuradio import tokcom as blocks; print(tokcom.__file__, blocks.__file__)"
    done = machine.run("python3", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usr/lib/python3/dist-packages/") == 2


def test_the_debian_package_has_its_blocks_in_companions_tree(machine):
    code = """
import os
from gnuradio import gr
from gnuradio.grc.core.platform import Platform
platform = Platform(version=gr.version(), version_parts=(3, 10, 0), prefs=gr.prefs())
more = [os.environ["GRC_BLOCKS_PATH"]] if "GRC_BLOCKS_PATH" in os.environ else []
platform.build_library(path=[*more, gr.prefix() + "/share/gnuradio/grc/blocks"])
print(*sorted(name for name in platform.blocks if name.startswith("tokcom_")))
"""
    done = machine.run("python3", "-c", code)
    assert done.returncode == 0, done.stderr
    files = sorted(path.name.removesuffix(".block.yml") for path in (ROOT / "grc").glob("*.block.yml"))
    assert done.stdout.splitlines()[-1].split() == files


def test_the_debian_packages_demo_runs(machine):
    done = machine.run("tokcom_demo", "--esn0-db", "8", "--modes", "keep", "--out", "shown")
    assert done.returncode == 0, done.stderr
    page = machine.run("python3", "-c", "print(open('shown/index.html').read().count('<img'))")
    assert int(page.stdout) > 8


def test_a_receivers_package_has_nothing_of_the_laboratory(packages):
    def files(package):
        listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
        return {line.split()[5] for line in listed.splitlines() if not line.split()[5].endswith("/")}

    module, laboratory = map(files, packages)
    assert not module & laboratory and not any("tokcom_lab" in name for name in module)
    assert "./usr/lib/python3/dist-packages/tokcom_lab/case_study/page.html.j2" in laboratory
    for name in ("gnuradio/tokcom/__init__.py", "tokcom/tokenizers/samples/rocket.jpg"):
        assert f"./usr/lib/python3/dist-packages/{name}" in module


def test_the_debian_packages_programs_run_under_debians_python(machine):
    for program in ("tokcom", "tokcom_demo"):
        text = (machine.files / "usr/bin" / program).read_text()
        assert text.splitlines()[0].replace(" ", "") == "#!/usr/bin/python3", program
    assert (machine.files / "usr/sbin/gr-tokcom-setup").stat().st_mode & 0o111
    assert (machine.files / "usr/share/man/man1/tokcom.1.gz").is_file()
