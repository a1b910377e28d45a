"""The bench receivers and the transmitters of radios, with pictures from a radio that is not there."""

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Radio(gr.hier_block2):
    """In place of a UHD or Soapy source: pictures over a little noise. Notes how it is set."""

    def __init__(self, *arguments):
        gr.hier_block2.__init__(self, "Radio", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex))
        self.settings = {}
        self.sender = tokcom.image_transmitter(interval=0.05, window=2, stream_id=3, visits=0, continuous=True)
        self.channel = tokcom.channel_model(1e6, 1, 0.0625, 15.0)
        self.connect(self.sender, self.channel, self)
        self.msg_connect(self.sender, "bursts", self.sender, "delivered")

    def __getattr__(self, name):
        if not name.startswith("set_"):
            return super().__getattr__(name)
        return lambda *values: self.settings.__setitem__(name, values)


class Antenna(gr.hier_block2):
    """In place of a UHD or Soapy sink: keeps what is sent, tags and all."""

    def __init__(self, *arguments):
        gr.hier_block2.__init__(self, "Antenna", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0))
        self.kept = blocks.vector_sink_c()
        self.connect(self, blocks.head(gr.sizeof_gr_complex, 60_000), self.kept)

    def get_time_now(self):
        return SimpleNamespace(get_real_secs=lambda: 500.0)

    def __getattr__(self, name):
        if not name.startswith("set_"):
            return super().__getattr__(name)
        return lambda *values: None


UHD = SimpleNamespace(
    usrp_source=Radio, usrp_sink=Antenna, stream_args=lambda *a, **k: None, tune_request=lambda *values: values,
)  # fmt: skip
SOAPY = SimpleNamespace(source=Radio, sink=Antenna)


@pytest.fixture
def example(qt, tmp_path, monkeypatch):
    """Makes the flowgraph of an example whose radio is not one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("gnuradio.tokcom.preflight.usrp.require_usrp", lambda *arguments: None)
    monkeypatch.setattr("gnuradio.tokcom.preflight.soapy.require_soapy", lambda *arguments, **named: None)

    def make(name, **arguments):
        subprocess.run(["grcc", "-o", str(tmp_path), str(EXAMPLES / f"{name}.grc")], check=True, capture_output=True)
        spec = spec_from_file_location(name, tmp_path / f"{name}.py")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        module.uhd, module.soapy = UHD, SOAPY
        return module, getattr(module, name)(**arguments)

    return make


@pytest.mark.parametrize(("name", "radio"), [("usrp_rx", "usrp_source"), ("soapy_rx", "radio")])
def test_a_bench_receiver_shows_pictures_spectrum_and_constellation(name, radio, example, tmp_path, until):
    _, flowgraph = example(name, out_folder=str(tmp_path / "out"), streams="3")
    source, drawn = getattr(flowgraph, radio), flowgraph._constellation_win
    flowgraph.show()
    empty = drawn.grab().toImage()
    flowgraph.start()
    try:
        assert until(lambda: flowgraph.image_view.frames_shown >= 3)
        assert until(lambda: drawn.grab().toImage() != empty)
        flowgraph.set_gain(12.0)
        flowgraph.set_tuned_to(900e6)
        assert 12.0 in source.settings["set_gain"]
        tuned = source.settings["set_center_freq" if name == "usrp_rx" else "set_frequency"]
        assert 900e6 in (tuned[0] if name == "usrp_rx" else tuned)
        figures = flowgraph.image_view.figures()
        assert figures["per"] == 0 and figures["esn0_db"] == pytest.approx(15.9, abs=1)
        flowgraph.set_streams("4")
        held = flowgraph.image_receiver.token_receiver.stream_filter.frames_held
        assert until(lambda: flowgraph.image_receiver.token_receiver.stream_filter.frames_held >= held + 2)
    finally:
        flowgraph.stop()
        flowgraph.wait()
        flowgraph.close()
    assert len(list((tmp_path / "out").glob("*-s3-f*-recovered.png"))) >= 3
    assert all(window.height() > 100 for window in (flowgraph._spectrum_win, drawn, flowgraph._image_view_win))
    room = flowgraph.screen().availableGeometry()
    assert flowgraph.width() <= room.width() and flowgraph.height() <= room.height()


def run_to_the_end(flowgraph, kept, until):
    flowgraph.start()
    assert until(lambda: len(kept.data()) >= 60_000)
    flowgraph.stop()
    flowgraph.wait()
    return np.array(kept.data(), np.complex64), kept.tags()


def test_a_usrp_sends_bursts_in_periods_of_its_clock(example, until):
    module, flowgraph = example("usrp_tx", period=0.5)
    module.snippets_main_after_init(flowgraph)
    samples, tags = run_to_the_end(flowgraph, flowgraph.usrp_sink.kept, until)
    times = [tag.value for tag in tags if str(tag.key) == "tx_time"]
    assert len(times) >= 2 and np.mean(np.abs(samples) ** 2) > 0.01
    seconds = [pmt.to_uint64(pmt.tuple_ref(t, 0)) + pmt.to_double(pmt.tuple_ref(t, 1)) for t in times]
    slots = np.diff(seconds) / 0.5
    assert seconds[0] > 500 and np.allclose(slots, np.round(slots)) and slots.min() >= 1


def test_a_radio_without_bursts_gets_a_stream_that_goes_on(example, until):
    _, flowgraph = example("soapy_tx")
    samples, _ = run_to_the_end(flowgraph, flowgraph.radio.kept, until)
    assert (samples == 0).any() and len(samples) >= 60_000


def test_a_bench_receiver_without_a_display_says_so_and_ends(tmp_path):
    subprocess.run(["grcc", "-o", str(tmp_path), str(EXAMPLES / "usrp_rx.grc")], check=True, capture_output=True)
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    run = subprocess.run(
        [sys.executable, str(tmp_path / "usrp_rx.py")], capture_output=True, text=True, check=False,
        env=kept | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 1 and "there is no display for it (" in run.stderr
