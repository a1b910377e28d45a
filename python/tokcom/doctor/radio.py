"""Checks of GNU Radio, this module's blocks, GNU Radio Companion and UHD, all in separate processes."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import tokcom
from tokcom.doctor.finding import Finding, State
from tokcom.doctor.process import ask, ask_python
from tokcom.doctor.python import numbers

OLDEST, NEWEST = (3, 10, 1), (3, 10, 12)
"""Versions of GNU Radio that the blocks are written for."""
BLOCK_FILES = "tokcom_*.block.yml"
EXPORT = "start it by ./run grc or ./run exec, or export what CMake printed at the end of the installation"
UHD_PATIENCE = 20.0


def gnuradio() -> list[Finding]:
    """Check GNU Radio, its version, and whether it works with the installed NumPy."""
    answer = ask_python("from gnuradio import gr; print(gr.version(), gr.prefix())")
    if not answer.ok:
        config = ask(["gnuradio-config-info", "--version"])
        if not config.ok:
            return [
                Finding(
                    "GNU Radio", State.FAILURE, "not installed", "sudo apt-get install gnuradio, or call ./run demo"
                )
            ]
        if "umpy" in answer.complaint or "_ARRAY_API" in answer.complaint:
            remedy = 'GNU Radio before 3.10.12 is built for numpy 1: python -m pip install "numpy<2"'
        else:
            remedy = (
                "run it under the Python that GNU Radio is built for: ./run exec python, or /usr/bin/python3 on Debian"
            )
        found = f"{config.text} is installed, but this Python cannot load it: {answer.complaint}"
        return [Finding("GNU Radio", State.FAILURE, found, remedy)]
    version, _, prefix = answer.text.partition(" ")
    place = numbers(version.lstrip("v"))[:3]
    if place < OLDEST:
        remedy = f"install GNU Radio {'.'.join(map(str, OLDEST))} or later"
        return [Finding("GNU Radio", State.FAILURE, f"{version} in {prefix}", remedy)]
    if place > NEWEST:
        remedy = "it may work; if not, use one of these versions"
        found = f"{version} in {prefix}; the module is made for 3.10.1 to 3.10.12"
        return [Finding("GNU Radio", State.WARNING, found, remedy)]
    return [Finding("GNU Radio", State.OK, f"{version} in {prefix}")]


LOAD_ALL = (
    "import json; from gnuradio import tokcom; "
    "print(json.dumps([tokcom.__file__, *(name for name in tokcom.__all__ if getattr(tokcom, name))]))"
)
"""Program for a process of its own: the library itself does not import GNU Radio."""


def blocks() -> list[Finding]:
    """Check that the module's blocks load and belong to this library."""
    answer = ask_python(LOAD_ALL)
    if not answer.ok:
        return [Finding("Blocks", State.FAILURE, answer.complaint, EXPORT)]
    file, *names = json.loads(answer.text.splitlines()[-1])
    folder, library = Path(file).parent, Path(tokcom.__file__).parent
    if folder.parent.parent.resolve() != library.parent.resolve():
        found = f"{len(names)} blocks in {folder}, but the library in {library}"
        remedy = "two installations are mixed: put the folder of one of them first on PYTHONPATH"
        return [Finding("Blocks", State.WARNING, found, remedy), companion_tree(names)]
    return [Finding("Blocks", State.OK, f"{len(names)} in {folder}"), companion_tree(names)]


def block_paths() -> list[Path]:
    """List the folders that GNU Radio Companion searches for blocks."""
    preferences = ask(["gnuradio-config-info", "--prefs"]).text
    found = [os.environ.get("GRC_BLOCKS_PATH", "")]
    found += re.findall(r"^(?:global|local)_blocks_path\s*=\s*(.*)$", preferences, re.M)
    prefix = ask(["gnuradio-config-info", "--prefix"]).text
    found += [f"{prefix}/share/gnuradio/grc/blocks" if prefix else "", str(Path.home() / ".grc_gnuradio")]
    folders = [Path(entry).expanduser() for paths in found for entry in paths.strip().split(os.pathsep) if entry]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def companion_tree(names: list[str]) -> Finding:
    """Check that GNU Radio Companion finds a file for each block."""
    folders = block_paths()
    files = {path.name: path for folder in reversed(folders) for path in folder.rglob(BLOCK_FILES)}
    missing = [name for name in names if f"tokcom_{name}.block.yml" not in files]
    searched = os.pathsep.join(map(str, folders)) or "no folder that exists"
    if len(missing) == len(names):
        return Finding("GRC paths", State.FAILURE, f"no block of this module in {searched}", EXPORT)
    if missing:
        remedy = "an older installation comes first; reinstall, or remove it from GRC_BLOCKS_PATH"
        return Finding("GRC paths", State.WARNING, f"no file for {', '.join(missing)} in {searched}", remedy)
    return Finding(
        "GRC paths", State.OK, f"{len(names)} block files, in {files[f'tokcom_{names[0]}.block.yml'].parent}"
    )


def companion() -> Finding:
    """Check GNU Radio Companion, and a display for it."""
    program = shutil.which("gnuradio-companion")
    if not program:
        return Finding("GRC", State.WARNING, "gnuradio-companion is not installed", "sudo apt-get install gnuradio")
    gtk = ask([*_interpreter(program), "-c", "import gi; gi.require_version('Gtk', '3.0')"])
    if not gtk.ok:
        remedy = "call ./run grc, which installs it, or sudo apt-get install python3-gi gir1.2-gtk-3.0"
        return Finding("GRC", State.WARNING, f"{program} has no GTK 3: {gtk.complaint}", remedy)
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return Finding("GRC", State.NOTE, "there is no display", "flowgraphs without windows and ./run demo need none")
    return Finding("GRC", State.OK, program)


def _interpreter(program: str) -> list[str]:
    """Return the Python that a script names in its first line."""
    with Path(program).open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    return first[2:].split() if first.startswith("#!") and "python" in first else [sys.executable]


def uhd() -> Finding:
    """Check UHD, and list the USRPs that answer."""
    if not shutil.which("uhd_find_devices"):
        return Finding(
            "USRP", State.NOTE, "uhd_find_devices is not installed", "for a USRP: sudo apt-get install uhd-host"
        )
    answer = ask(["uhd_find_devices"], UHD_PATIENCE)
    found = re.findall(r"^\s*(?:type|product|serial|addr):\s*(.+)$", answer.text, re.M)
    devices = len(re.findall(r"^-- UHD Device \d+", answer.text, re.M))
    if devices:
        images = Path(
            ask(["uhd_config_info", "--images-dir"]).text.partition(":")[2].strip() or "/usr/share/uhd/images"
        )
        if not images.is_dir():
            remedy = "radios on USB need sudo uhd_images_downloader once"
            return Finding(
                "USRP", State.WARNING, f"{devices} found ({', '.join(found)}), no images in {images}", remedy
            )
        return Finding("USRP", State.OK, f"{devices} found: {', '.join(found)}")
    if not answer.ok and "No UHD Devices Found" not in answer.text + answer.complaint:
        remedy = "run uhd_find_devices yourself; a radio on the network must be in the same subnet as the computer"
        return Finding("USRP", State.WARNING, answer.complaint, remedy)
    remedy = (
        "without one, use the examples zmq_tx, zmq_channel and zmq_rx; with one, check power, cable, network, and what "
        "uhd_find_devices says"
    )
    return Finding("USRP", State.NOTE, "no USRP answers", remedy)
