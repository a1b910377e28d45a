"""The demo end to end, as a user starts it."""

import json
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FRAME_KEYS = {
    "image", "esn0_db", "packets", "per", "ter_channel", "ter_recovered", "exact_recovery", "tce", "psnr_tokenizer_db",
    "psnr_lost_db", "psnr_recovered_db", "ssim_recovered", "cmi", "seconds", "esn0_measured_db", "mode",
}  # fmt: skip


def demo(*arguments, cwd):
    command = [sys.executable, str(ROOT / "apps" / "tokcom_demo"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_small_demo(tmp_path, photographs):
    odd = tmp_path / "odd name & <b>.png"
    Image.open(photographs[2]).convert("L").resize((90, 50)).save(odd)
    done = demo(
        photographs[0],
        odd,
        "--esn0-db",
        "6,30",
        "--cmi",
        "none",
        "--modes",
        "mask,context",
        "--out",
        "page",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "page" / "report.json").read_text())
    assert report["settings"]["esn0_db"] == [6.0, 30.0] and report["settings"]["cmi"] == "none"
    assert [frame["image"] for frame in report["frames"]] == ["astronaut", odd.stem] * 4
    assert all(set(frame) == FRAME_KEYS for frame in report["frames"])
    noisy, context, clean = (report["frames"][index] for index in (0, 2, 4))
    assert (noisy["mode"], context["mode"], clean["mode"]) == ("mask", "context", "mask")
    assert context["per"] == noisy["per"] and context["ter_recovered"] < noisy["ter_recovered"] / 2
    assert 0 < noisy["per"] < 1 and noisy["ter_channel"] == noisy["per"] and noisy["packets"] == 64
    assert noisy["psnr_lost_db"] < noisy["psnr_recovered_db"] <= noisy["psnr_tokenizer_db"] + 1
    assert clean["per"] == clean["ter_recovered"] == 0 and clean["exact_recovery"] is None
    assert clean["psnr_recovered_db"] == clean["psnr_tokenizer_db"] == noisy["psnr_tokenizer_db"]
    assert {"tokenizer", "decoder", "recovery"} <= noisy["seconds"].keys()
    page = (tmp_path / "page" / "index.html").read_text()
    assert "odd name &amp; &lt;b&gt;" in page and "<b>.png" not in page
    assert len(list((tmp_path / "page").glob("esn0_*/*/*.png"))) == 32


def test_a_folder_with_a_bad_file_and_names_of_any_length(tmp_path, photographs):
    folder = tmp_path / "mine"
    folder.mkdir()
    long_name = "\u65e5" * 80 + ".png"
    Image.open(photographs[0]).resize((80, 60)).save(folder / long_name)
    (folder / "broken.jpg").write_text("no picture")
    done = demo(folder, "--esn0-db", "20", "--modes", "keep", "--out", "page", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out:" in done.stderr and "not a picture" in done.stderr
    (frame,) = json.loads((tmp_path / "page" / "report.json").read_text())["frames"]
    assert frame["image"] == "\u65e5" * 80 and frame["per"] == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "tries to make good:\nit keeps the decisions of the Viterbi decoder, with a class label" in page
    shown = [unquote(source) for source in re.findall(r'<img src="([^"]*)"', page)]
    assert shown and all((tmp_path / "page" / source).is_file() for source in shown)


def test_a_full_disk_is_told_at_once(tmp_path, photographs):
    """Files of more than a kilobyte cannot be written, as where the disk is full."""
    command = [sys.executable, str(ROOT / "apps" / "tokcom_demo"), str(photographs[0]), "--esn0-db", "20"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )  # fmt: skip
    assert done.returncode == 1 and "1 pictures could not be saved" in done.stderr and "File too large" in done.stderr
    assert "raise the Es/N0" not in done.stderr and "Traceback" not in done.stderr


def test_the_same_seed_gives_the_same_figures(tmp_path, photographs):
    reports = []
    for out in ("a", "b"):
        assert (
            demo(
                photographs[1], "--esn0-db", "5", "--modes", "context", "--seed", "7", "--out", out, cwd=tmp_path
            ).returncode
            == 0
        )
        frames = json.loads((tmp_path / out / "report.json").read_text())["frames"]
        reports.append([{key: value for key, value in frame.items() if key != "seconds"} for frame in frames])
    assert reports[0] == reports[1]


def test_wrong_use_gets_one_clear_message(tmp_path):
    """Of the program as a user starts it; tests/wrong_uses has the others."""
    done = demo("none.png", cwd=tmp_path)
    assert done.returncode != 0 and "none.png: no such file" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_it_in_good_order(tmp_path, photographs):
    command = [sys.executable, str(ROOT / "apps" / "tokcom_demo"), *map(str, photographs * 20), "--out", "page"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    pause, delivered = threading.Event(), tmp_path / "page" / "esn0_3dB" / "keep" / "figures.jsonl"
    for _ in range(2400):
        assert running.poll() is None
        if delivered.exists():
            break
        pause.wait(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130 and "stopped; no page was written" in said and "Traceback" not in said
