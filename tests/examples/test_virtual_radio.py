"""Three processes that talk through a virtual radio, one of which dies and comes back."""

import importlib.util
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pmt
import pytest
from gnuradio import gr

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120


class Counter(gr.basic_block):
    """Counts messages; `wait` returns once so many have come since it was called, `wait_until` once one is as asked."""

    def __init__(self):
        gr.basic_block.__init__(self, name="Counter", in_sig=None, out_sig=None)
        self._changed, self._count, self._last = threading.Condition(), 0, {}
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message):
        with self._changed:
            self._count += 1
            self._last = pmt.to_python(pmt.car(message)) if pmt.is_pair(message) else {}
            self._changed.notify_all()

    def wait(self, more):
        with self._changed:
            wanted = self._count + more
            return self._changed.wait_for(lambda: self._count >= wanted, PATIENCE)

    def wait_until(self, is_so):
        with self._changed:
            return self._changed.wait_for(lambda: is_so(self._last), PATIENCE)


@pytest.fixture
def scripts(tmp_path):
    return compiled(("zmq_tx", "zmq_channel", "zmq_rx"), tmp_path)


def compiled(names, folder):
    for name in names:
        subprocess.run(["grcc", "-o", str(folder), str(EXAMPLES / f"{name}.grc")], check=True, capture_output=True)
    return {name: folder / f"{name}.py" for name in names}


@contextmanager
def process(script, *arguments):
    """A flowgraph in a process of its own, killed at the end; it waits for a line on its standard input."""
    command = [sys.executable, str(script), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGKILL)


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"tcp://127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def flowgraph_of(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, script.stem)


def channel_arguments(sent, received, reported, heard):
    return (
        "--address-in", sent, "--address-out", received, "--feedback-in", reported, "--feedback-out", heard,
    )  # fmt: skip


def test_pictures_cross_three_processes_and_reception_goes_on_after_one_was_killed(scripts, tmp_path):
    to_channel, to_receiver, reports, to_transmitter = addresses = free_addresses(4)
    receiver = flowgraph_of(scripts["zmq_rx"])(
        out_folder=str(tmp_path / "out"), address=to_receiver, feedback_address=reports
    )
    counter = Counter()
    receiver.msg_connect(receiver.image_sink, "delivered", counter, "in")
    receiver.start()
    transmitter = (scripts["zmq_tx"], "--address", to_channel, "--feedback-address", to_transmitter)
    try:
        channel = (scripts["zmq_channel"], *channel_arguments(*addresses))
        with process(*channel):
            with process(*transmitter):
                assert counter.wait(2), "no picture came"
            with process(*transmitter):
                assert counter.wait(2), "no picture came after the transmitter was killed and started again"
                assert receiver.burst_sync.counters.bursts >= 4
        with process(*channel), process(*transmitter):
            assert counter.wait(1), "no picture came after the channel was killed and started again"
    finally:
        receiver.stop()
        receiver.wait()
    assert len(list((tmp_path / "out").glob("*-recovered.png"))) >= 2


def test_reports_come_back_and_without_them_the_transmitter_is_careful(scripts, tmp_path):
    to_channel, to_receiver, reports, to_transmitter = addresses = free_addresses(4)
    transmitter = flowgraph_of(scripts["zmq_tx"])(address=to_channel, feedback_address=to_transmitter)
    choices = Counter()
    transmitter.msg_connect(transmitter.semantic_mcs, "choice", choices, "in")
    receiver = ("--address", to_receiver, "--feedback-address", reports, "--out-folder", str(tmp_path / "out"))
    transmitter.start()
    try:
        assert choices.wait_until(lambda said: said.get("cqi_state") == "missing")
        far_away = (scripts["zmq_channel"], *channel_arguments(*addresses), "--profile", "none", "--esn0-db", "15")
        with process(*far_away), process(scripts["zmq_rx"], *receiver):
            assert choices.wait_until(lambda said: said["cqi_state"] == "fresh"), "no report came back"
            assert choices.wait_until(lambda said: abs(said["esn0_db"] - 15) < 2)
        assert choices.wait_until(lambda said: said["cqi_state"] == "stale"), "the last report is believed for ever"
        assert choices.wait_until(lambda said: said["esn0_db"] < 12), "an old report is believed as much as a new one"
    finally:
        transmitter.stop()
        transmitter.wait()
    assert transmitter.feedback_decoder.reports_received >= 1


def test_lines_of_text_cross_three_processes(tiny_text_model, tmp_path):
    scripts = compiled(("text_zmq_tx", "zmq_channel", "text_zmq_rx"), tmp_path)
    lines, received = tmp_path / "lines.txt", tmp_path / "received.txt"
    lines.write_text("the rain on the other train\n" * 5000, encoding="utf-8")
    to_channel, to_receiver, reports, to_transmitter = free_addresses(4)
    model = str(tiny_text_model)
    receiver = flowgraph_of(scripts["text_zmq_rx"])(address=to_receiver, path=str(received), model=model, mode="list")
    counter = Counter()
    receiver.msg_connect(receiver.text_sink, "delivered", counter, "in")
    receiver.start()
    channel = (scripts["zmq_channel"], *channel_arguments(to_channel, to_receiver, reports, to_transmitter))
    transmitter = (scripts["text_zmq_tx"], "--address", to_channel, "--path", str(lines), "--interval", "0.1")
    try:
        with process(*channel, "--profile", "none", "--esn0-db", "15"), process(*transmitter, "--model", model):
            assert counter.wait(2), "no text came"
    finally:
        receiver.stop()
        receiver.wait()
    assert "the rain on the other train" in received.read_text(encoding="utf-8").splitlines()
