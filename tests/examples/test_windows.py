"""The examples with a window, without a display: they run until pictures are shown."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tokcom.models.packages import has_sentences

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Compiles an example; returns the path of its program."""
    folder = tmp_path_factory.mktemp("compiled")

    @cache
    def compiled(name):
        subprocess.run(["grcc", "-o", str(folder), str(EXAMPLES / f"{name}.grc")], check=True, capture_output=True)
        return folder / f"{name}.py"

    return compiled


@pytest.fixture
def window(qt, script, tmp_path, monkeypatch):
    """Makes an example's flowgraph with its window, running until the test ends."""
    running = []
    monkeypatch.setenv("HOME", str(tmp_path))

    def start(name, **arguments):
        spec = importlib.util.spec_from_file_location(name, script(name))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        running.append(getattr(module, name)(**arguments))
        running[-1].show()
        running[-1].start()
        return running[-1]

    yield start
    for flowgraph in running:
        flowgraph.stop()
        flowgraph.wait()
        flowgraph.close()


def test_a_first_link_shows_pictures_and_fits_its_window(window, until):
    flowgraph = window("first_link")
    view = flowgraph.image_view
    assert until(lambda: view.frames_shown >= 3)
    figures = view.figures()
    assert figures["per"] > 0.4 and figures["ter"] < 0.2 and figures["cfo_hz"] == pytest.approx(2000, abs=100)
    stages = {"tokenizer", "framer", "demodulator", "recovery", "detokenizer", "view"}
    assert set(figures["dropped"]) == stages and view.frames_refused == 0
    room = flowgraph.screen().availableGeometry()
    assert flowgraph.width() >= min(1120, room.width() - 20) and flowgraph.height() >= min(650, room.height() - 60)


def test_sliders_turn_the_channel_while_pictures_come(window, until):
    flowgraph = window("impairments")
    view = flowgraph.image_view
    assert until(lambda: view.frames_shown >= 2)
    flowgraph.set_esn0_db(30)
    flowgraph.set_cfo_hz(-30e3)
    flowgraph.set_mcs("64qam-1/2")
    # What was under way before comes first, however much that is.
    assert until(lambda: set(view.recent_figures()[-1].mcs) == {9} and view.recent_figures()[-1].esn0_db > 20)
    last = view.recent_figures()[-1]
    assert last.cfo == pytest.approx(-30e3 * 2 * 3.14159 / 1e6, rel=0.01) and last.packets_lost == 0
    for name, value in (("fading", "epa"), ("doppler_hz", 50), ("linewidth_hz", 20), ("sfo_ppm", 20), ("clip_db", 6),
                        ("interferer_db", -10), ("gap_rate", 2)):  # fmt: skip
        getattr(flowgraph, f"set_{name}")(value)
    turned = view.frames_shown
    assert until(lambda: view.frames_shown >= turned + 2) and view.frames_refused == 0


def test_what_is_recorded_is_replayed(script, window, tmp_path, until):
    recording = tmp_path / "out" / "recording"
    run = subprocess.run(
        [sys.executable, str(script("record"))], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    notes = json.loads(recording.with_suffix(".sigmf-meta").read_text())["annotations"]
    assert [note["tokcom:frame_id"] for note in notes] == [0, 1, 2, 3]
    flowgraph = window("replay", file=str(recording))
    assert until(lambda: flowgraph.image_view.frames_shown >= 6)
    figures = flowgraph.image_view.figures()
    assert figures["frames_missed"] == 0 and figures["ter"] is None and figures["ter_expected"] < 0.05


def test_without_a_display_the_example_says_so_and_ends(script, tmp_path):
    kept = {
        key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    run = subprocess.run(
        [sys.executable, str(script("first_link"))], capture_output=True, text=True, check=False,
        env=kept | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 1 and "there is no display for it (" in run.stderr
    assert "Traceback" not in run.stderr and "Aborted" not in run.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [("none-such", "none-such.sigmf-meta"), ("bytes", "its samples are ci8, but a File Source needs cf32_le")],
)
def test_without_a_recording_replay_says_so_and_ends(script, name, said, tmp_path):
    (tmp_path / "bytes.sigmf-data").write_bytes(bytes(64))
    meta = {"global": {"core:datatype": "ci8", "core:version": "1.0.0", "core:sample_rate": 1e6}, "annotations": [],
            "captures": [{"core:sample_start": 0}]}  # fmt: skip
    (tmp_path / "bytes.sigmf-meta").write_text(json.dumps(meta))
    command = [sys.executable, str(script("replay")), "--file", str(tmp_path / name)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"HOME": str(tmp_path)})
    assert run.returncode == 1 and said in run.stderr and "Traceback" not in run.stderr


def test_a_sentence_goes_with_a_picture_and_one_of_two_receivers_takes_it(window, until):
    if not has_sentences():
        pytest.skip("the package of requirements/sentences.txt is not installed")
    flowgraph = window("cross_modal")
    without, told = flowgraph.view_without, flowgraph.view_with
    assert until(lambda: min(without.frames_shown, told.frames_shown) >= 2)
    figures = without.figures(), told.figures()
    assert all(0.6 < each["per"] < 0.95 for each in figures) and without.frames_refused == told.frames_refused == 0
    flowgraph.set_sentence("")
    assert flowgraph.image_tokenizer._told == ({}, b"")


def test_two_transmitters_at_once_are_shown_each_in_its_own_window(window, until):
    flowgraph = window("todma_loopback")
    views = flowgraph.image_view_0, flowgraph.image_view_1
    assert until(lambda: min(view.frames_shown for view in views) >= 1)
    assert all(view.figures()["ter"] < 0.2 and view.frames_refused == 0 for view in views)
    assert flowgraph.multiuser_sync.bursts_found >= 1 and flowgraph.token_separator.frames_refused == 0
