"""Running figures as a CSV file and over HTTP."""

import csv
import socket
from datetime import UTC, datetime
from urllib.request import urlopen

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tokcom.errors import MonitorError
from tokcom.metrics.figures_csv import FiguresFile
from tokcom.metrics.figures_server import FiguresServer
from tokcom.metrics.link_figures import FrameFigures, LinkFigures


@pytest.fixture
def figures():
    link = LinkFigures(sample_rate=2 * np.pi * 1e5)
    link.add(FrameFigures(0, 0, 4, 1, mcs=np.array([6, 6, 6, 3], np.uint8), esn0_db=6.5, cfo=0.01), 0)
    link.note_counters({"dropped.recovery": 3, "queued.demodulator": 2})
    return link.figures(0)


def test_rows_are_added_run_after_run(tmp_path, figures):
    path = tmp_path / "new" / "figures.csv"
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for _ in range(2):
        file = FiguresFile(path)
        file.write(figures, when)
        file.write(figures, when)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 4 and len({tuple(row.items()) for row in rows}) == 1
    row = rows[0]
    assert row["stream"] == "0"
    assert row["time"] == "2026-01-02T03:04:05.000+00:00" and row["per"] == "0.25" and row["cfo_hz"] == "1000.0"
    assert row["mcs.16qam-1/2"] == "3" and row["dropped.recovery"] == "3" and row["ter"] == row["dropped.framer"] == ""


def test_each_stream_has_a_row_and_before_the_first_frame_there_is_one_of_none(tmp_path, figures):
    file, link = FiguresFile(tmp_path / "figures.csv"), LinkFigures()
    file.write(link.figures(0), datetime.now(UTC))
    for stream, lost in ((3, 1), (5, 4)):
        link.add(FrameFigures(stream, 0, 4, lost), 0)
    link.note_counters({"dropped.framer": 2})
    file.write(link.figures(0), datetime.now(UTC))
    rows = list(csv.DictReader((tmp_path / "figures.csv").open()))
    assert [(row["stream"], row["frames"], row["per"], row["dropped.framer"]) for row in rows] == [
        ("", "0", "", ""), ("3", "1", "0.25", "2"), ("5", "1", "1.0", "2"),
    ]  # fmt: skip


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("my notes\n")
    (tmp_path / "picture.png").write_bytes(bytes(range(256)))
    for name in ("notes.txt", "picture.png"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(MonitorError, match=name):
            FiguresFile(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path, figures):
    with pytest.raises(MonitorError, match=r"figures cannot be written here: Is a directory"):
        FiguresFile(tmp_path)
    file = FiguresFile(tmp_path / "full.csv")
    (tmp_path / "full.csv").unlink()
    (tmp_path / "full.csv").symlink_to("/dev/full")
    with pytest.raises(MonitorError, match=r"full.csv: figures cannot be written here: No space left"):
        file.write(figures, datetime.now(UTC))
    with pytest.raises(MonitorError, match=r"full.csv"):
        FiguresFile(tmp_path / "full.csv")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def test_prometheus_reads_the_figures_on_loopback(figures):
    port = free_port()
    server = FiguresServer(lambda: figures, port)
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
        with pytest.raises(MonitorError, match=f"127.0.0.1:{port}: Address already in use; name another port"):
            FiguresServer(lambda: figures, port)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), 1)
    finally:
        server.close()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tokcom_frames_total", "0"] == 1 and samples["tokcom_per", "0"] == 0.25
    assert samples["tokcom_window_packets", "16qam-1/2", "0"] == 3 and samples["tokcom_dropped_total", "recovery"] == 3
    assert samples["tokcom_queued", "demodulator"] == 2 and ("tokcom_ter", "0") not in samples
    FiguresServer(lambda: figures, port).close()


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_out_of_range_is_named(port):
    with pytest.raises(MonitorError, match=f"port is {port}"):
        FiguresServer(dict, port)
