import csv
import socket
from urllib.request import urlopen

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import MonitorError, ParameterError

SENT = np.arange(16, dtype=np.int32)
PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def received(pdu):
    """A received frame as Token Recovery sends it, two of its 16 tokens wrong."""

    def make(frame_id, **more):
        meta = {"frame_id": frame_id, "packets": 4, "packets_lost": 1, "packets_open": 0, "esn0_db": 6.0, "cfo": 0.01}
        meta |= {"mcs": np.array([6, 6, 6, 3], np.uint8), "queued.recovery": 1, "dropped.recovery": 2}
        return pdu(np.where(SENT < 2, 9, SENT), **meta, **more)

    return make


def watch(monitor, collector, messages, expected):
    """Hand (port, PDU) pairs to a monitor's handlers in turn, as between ports the scheduler keeps no order, in a
    flowgraph that runs until so many reports are here; returns them."""
    top, reports = gr.top_block(catch_exceptions=False), collector(expected)
    top.msg_connect(monitor, "figures", reports, "in")
    top.start()
    try:
        for port, message in messages:
            getattr(monitor, f"_on_{port}")(message)
        assert reports.done.wait(120)
    finally:
        top.stop()
        top.wait()
    return [meta for meta, _ in reports.messages]


def test_with_no_interval_every_frame_brings_a_report(collector, received, pdu, tmp_path):
    file = tmp_path / "figures.csv"
    monitor = tokcom.link_monitor(sample_rate=2e5 * np.pi, interval=0, csv_file=str(file))
    frames = [("tokenized", pdu(SENT, frame_id=0)), ("recovered", received(0)), ("recovered", received(3))]
    counters = [("counters", pdu(np.zeros(0, np.uint8), **{"dropped.framer": 5, "queued.framer": 0}))]
    first, second = watch(monitor, collector, counters + frames, 2)
    assert first["per"] == 0.25 and first["ter"] == 2 / 16 and first["cfo_hz"] == pytest.approx(1000)
    assert first["mcs"]["16qam-1/2"] == 3 and first["dropped"] == {"framer": 5, "recovery": 2}
    assert "evm_db" not in first and second["frames"] == 2 and second["frames_missed"] == 2
    assert second["ter"] == first["ter"]  # of the second frame nobody knows what was sent
    rows = list(csv.DictReader(file.open()))
    assert [row["frames"] for row in rows] == ["1", "2"] and rows[1]["dropped.framer"] == "5"


def test_pictures_are_as_good_as_tokens(collector, received, pdu):
    shown = {"height": 4, "width": 4, "frame_id": 0}
    sent = pdu(PICTURE, tokens=SENT, **shown)
    got = pdu(PICTURE, tokens=np.where(SENT < 4, 9, SENT), packets=4, packets_lost=2, **shown)
    (report,) = watch(tokcom.link_monitor(interval=0), collector, [("tokenized", sent), ("recovered", got)], 1)
    assert report["ter"] == 4 / 16 and report["per"] == 0.5


def test_what_was_sent_may_come_after_what_was_received(collector, received, pdu):
    monitor = tokcom.link_monitor(interval=0)
    (report,) = watch(monitor, collector, [("recovered", received(0))], 1)
    assert "ter" not in report
    monitor._on_tokenized(pdu(SENT, frame_id=0))
    assert monitor.figures()["ter"] == 2 / 16 and monitor.frames_refused == 0


def test_streams_with_the_same_numbers_are_told_apart(collector, received, pdu):
    """Two transmitters, one monitor: each frame is compared with what its own transmitter sent."""
    others = SENT + 100
    sent = [("tokenized", pdu(tokens, frame_id=0, stream_id=stream)) for stream, tokens in ((1, SENT), (2, others))]
    got = [("recovered", received(0, stream_id=1)),
           ("recovered", pdu(others, frame_id=0, stream_id=2, packets=4, packets_lost=0))]  # fmt: skip
    first, second = watch(tokcom.link_monitor(interval=0), collector, sent + got, 2)
    assert first["ter"] == 2 / 16 and second["ter"] == 1 / 16  # two of sixteen wrong, and none
    assert first["streams"].keys() == {"1"} and second["streams"].keys() == {"1", "2"}
    assert [second["streams"][stream]["ter"] for stream in "12"] == [2 / 16, 0]
    assert [second["streams"][stream]["per"] for stream in "12"] == [0.25, 0] and "evm_db" not in second["streams"]["1"]


def test_time_and_hints_of_a_burst_are_reported(collector, received, tmp_path):
    file = tmp_path / "figures.csv"
    monitor = tokcom.link_monitor(interval=0, csv_file=str(file))
    (report,) = watch(monitor, collector, [("recovered", received(0, rx_time=(3, 0.25), gap_samples=200))], 1)
    assert report["rx_time"] == 3.25 and report["hint"] == "gap of 200 samples"
    (row,) = csv.DictReader(file.open())
    assert row["rx_time"] == "3.25" and row["hint"] == "gap of 200 samples"


def test_reports_go_on_while_nothing_comes(collector, received):
    reports = watch(tokcom.link_monitor(interval=0.02), collector, [("recovered", received(0))], 4)
    assert len(reports) >= 4 and reports[-1]["frames"] == 1


def test_a_finite_run_ends_with_a_report(send, received):
    monitor = tokcom.link_monitor(interval=3600)
    ((report, _),) = send(monitor, [received(i) for i in range(5)], into="recovered", out="figures")
    assert report["frames"] == 5


def test_bad_frames_are_counted_and_the_next_one_passes(collector, received, pdu):
    monitor = tokcom.link_monitor(interval=0)
    bad = [
        pmt.intern("no PDU"), pdu(SENT, frame_id=0), pdu(PICTURE, frame_id=0, packets=4, packets_lost=0),
        pdu(SENT, packets=4, packets_lost=0),
    ]  # fmt: skip
    assert len(watch(monitor, collector, [("recovered", message) for message in [*bad, received(1)]], 1)) == 1
    assert monitor.frames_refused == 4


def test_a_disk_that_fills_up_is_counted_and_the_reports_go_on(collector, received, tmp_path):
    file = tmp_path / "figures.csv"
    monitor = tokcom.link_monitor(interval=0, csv_file=str(file))
    file.unlink()
    file.symlink_to("/dev/full")
    assert len(watch(monitor, collector, [("recovered", received(i)) for i in range(3)], 3)) == 3
    assert monitor.write_errors == 3


def test_prometheus_reads_while_the_flowgraph_runs_and_a_port_in_use_is_told_at_once(collector, received):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(MonitorError, match=f"127.0.0.1:{port}: Address already in use"):
            tokcom.link_monitor(http_port=port)
    monitor = tokcom.link_monitor(interval=0, http_port=port)
    for _ in range(2):  # a flowgraph may be started again
        top, reports = gr.top_block(catch_exceptions=False), collector(1)
        top.msg_connect(monitor, "figures", reports, "in")
        top.start()
        monitor.to_basic_block()._post(pmt.intern("recovered"), received(0))
        assert reports.done.wait(120)
        text = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        top.stop()
        top.wait()
        assert 'tokcom_per{stream="0"} 0.25' in text and 'tokcom_dropped_total{stage="recovery"} 2.0' in text
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)


@pytest.mark.parametrize("bad", [{"interval": -1}, {"window": 0}, {"sample_rate": 0}])
def test_bad_parameters_are_named(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        tokcom.link_monitor(**bad)


def test_a_port_or_file_that_cannot_be_is_named(tmp_path):
    with pytest.raises(MonitorError, match="port is 70000"):
        tokcom.link_monitor(http_port=70000)
    with pytest.raises(MonitorError, match="figures cannot be written here"):
        tokcom.link_monitor(csv_file=str(tmp_path))
