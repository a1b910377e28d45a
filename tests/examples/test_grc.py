"""What GNU Radio Companion makes of the block files and the examples."""

import csv
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pmt
import pytest
from gnuradio import gr, tokcom
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BLOCK_FILES = sorted((ROOT / "grc").glob("*.block.yml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
LOOPBACK = ROOT / "examples" / "image_loopback.grc"
FIRST_LINK = ROOT / "examples" / "first_link.grc"
COMPRESSED_LINK = ROOT / "examples" / "compressed_link.grc"
THINNED_LINK = ROOT / "examples" / "thinned_link.grc"
TOKEN_LINK = ROOT / "examples" / "token_link.grc"


@pytest.fixture(scope="module")
def platform():
    from gnuradio.grc.core.platform import Platform

    platform = Platform(
        version=gr.version(),
        version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
        prefs=gr.prefs(),
    )
    platform.build_library(path=[str(ROOT / "grc"), str(Path(gr.prefix()) / "share/gnuradio/grc/blocks")])
    return platform


def test_every_block_has_its_file_and_every_file_its_block():
    assert [path.name for path in BLOCK_FILES] == [f"tokcom_{name}.block.yml" for name in tokcom.__all__]


@pytest.mark.parametrize("name", tokcom.__all__)
def test_the_block_file_loads_and_says_what_the_class_says(name, platform):
    block = platform.blocks[f"tokcom_{name}"]
    constructor = inspect.signature(getattr(tokcom, name).__init__).parameters
    in_grc = platform_parameters(block)
    assert list(in_grc) == [key for key in constructor if key != "self"]
    for key, default in in_grc.items():
        wanted = constructor[key].default
        assert default.strip("'\"") == str(wanted) or float(default) == wanted, f"default of {key}"
    documented = re.findall(r"^ {4}(\w+):", inspect.getdoc(getattr(tokcom, name)).partition("Parameters:\n")[2], re.M)
    assert documented == list(in_grc)
    assert all(f"{key}: " in block.documentation[""] for key in in_grc)


def platform_parameters(block):
    hidden = {
        "id",
        "alias",
        "affinity",
        "minoutbuf",
        "maxoutbuf",
        "comment",
        "showports",
        "bus_structure_sink",
        "gui_hint",
    }
    return {
        p["id"]: str(p.get("default", ""))
        for p in block.parameters_data
        if p["id"] not in hidden | {"bus_structure_source"}
    }


@pytest.mark.parametrize("name", tokcom.__all__)
def test_ports_in_grc_are_the_ports_of_the_block(name, platform, qt, tmp_path, monkeypatch, request):
    import pmt

    arguments = {
        "image_sink": {"folder": str(tmp_path)},
        "sigmf_recorder": {"file": str(tmp_path / "recording")},
    }.get(name, {})
    if name in ("text_tokenizer", "text_detokenizer"):
        arguments = {"model": str(request.getfixturevalue("tiny_text_model"))}
    if name.startswith("source_"):
        pytest.importorskip("constriction")
    # A hierarchical block does not tell its ports: it is listened to as it registers them.
    hier_in, hier_out = [], []
    for method, heard in (("message_port_register_hier_in", hier_in), ("message_port_register_hier_out", hier_out)):
        register = getattr(gr.hier_block2, method)
        monkeypatch.setattr(
            gr.hier_block2,
            method,
            lambda self, port, heard=heard, register=register: (heard.append((self, port)), register(self, port)),
        )
    made = getattr(tokcom, name)(**arguments)
    instance = made.to_basic_block()
    block = platform.blocks[f"tokcom_{name}"]
    for ports, registered, hier in (
        (block.inputs_data, instance.message_ports_in(), hier_in),
        (block.outputs_data, instance.message_ports_out(), hier_out),
    ):
        # Not those of blocks inside.
        own = {port for owner, port in hier if owner is made}
        names = (set(pmt.to_python(registered)) | own) - {"system"}
        assert {port["id"] for port in ports if port["domain"] == "message"} == names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_is_valid_and_knows_all_of_its_blocks(path, platform):
    flowgraph = platform.make_flow_graph(str(path))
    flowgraph.rewrite()
    flowgraph.validate()
    assert not list(flowgraph.iter_error_messages())
    assert not [block for block in flowgraph.blocks if block.is_dummy_block]
    assert len(flowgraph.blocks) - 1 == path.read_text().count("\n  id: ")


@pytest.mark.parametrize(
    ("block_id", "key", "bad"),
    [
        ("tokcom_image_source", "interval", "-1"),
        ("tokcom_token_packetizer", "tokens_per_packet", "0"),
        ("tokcom_packet_encoder", "mcs", "'8psk-1/2'"),
        ("tokcom_burst_framer", "amplitude", "0"),
        ("tokcom_burst_framer", "stream_id", "64"),
        ("tokcom_burst_sync", "profile", "'loud'"),
        ("tokcom_channel_model", "snr_db", "float('nan')"),
        ("tokcom_token_recovery", "steps", "0"),
        ("tokcom_token_recovery", "drop", "'both'"),
        ("tokcom_image_transmitter", "interval", "-1"),
        ("tokcom_image_transmitter", "window", "-1"),
        ("tokcom_image_transmitter", "mcs", "'8psk-1/2'"),
        ("tokcom_image_transmitter", "tokens_per_packet", "65"),
        ("tokcom_image_receiver", "mode", "'guess'"),
        ("tokcom_image_receiver", "sample_rate", "0"),
        ("tokcom_image_view", "window", "0"),
        ("tokcom_token_transmitter", "layout", "'scattered'"),
        ("tokcom_token_transmitter", "bits_per_packet", "0"),
        ("tokcom_token_transmitter", "period", "-1"),
        ("tokcom_token_receiver", "queue_size", "0"),
        ("tokcom_source_encoder", "blocks", "0"),
        ("tokcom_source_decoder", "turns", "256"),
    ],
)
def test_wrong_values_are_marked_before_the_flowgraph_runs(block_id, key, bad, platform):
    in_one = block_id.startswith(("tokcom_image_transmitter", "tokcom_image_receiver", "tokcom_image_view"))
    tokens = block_id in ("tokcom_token_transmitter", "tokcom_token_receiver")
    coding = block_id.startswith("tokcom_source")
    path = FIRST_LINK if in_one else TOKEN_LINK if tokens else COMPRESSED_LINK if coding else LOOPBACK
    flowgraph = platform.make_flow_graph(str(path))
    block = next(block for block in flowgraph.blocks if block.key == block_id)
    block.params[key].set_value(bad)
    flowgraph.rewrite()
    flowgraph.validate()
    assert not block.is_valid()


def test_image_view_works_in_a_hierarchical_block_of_ones_own(platform, tmp_path):
    """Generate options "Hier Block (QT GUI)": the block brings what it needs of Qt."""
    flowgraph = platform.make_flow_graph()
    for key, value in {"id": "my_rx", "generate_options": "hb_qt_gui", "title": "Mine"}.items():
        flowgraph.options_block.params[key].set_value(value)
    made = {}
    for block_id in ("pad_source", "tokcom_image_receiver", "tokcom_image_view"):
        made[block_id] = flowgraph.new_block(block_id)
        made[block_id].params["id"].set_value(block_id)
    flowgraph.rewrite()
    pad, receiver, view = made.values()
    flowgraph.connect(pad.sources[0], receiver.sinks[0])
    (recovered,) = (port for port in receiver.sources if port.key == "recovered")
    flowgraph.connect(recovered, next(port for port in view.sinks if port.key == "recovered"))
    path = tmp_path / "my_rx.grc"
    platform.save_flow_graph(str(path), flowgraph)
    environment = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(["grcc", "-o", str(tmp_path), str(path)], check=True, capture_output=True, env=environment)
    done = subprocess.run(
        [sys.executable, "-c", "import my_rx, inspect; print(inspect.getsource(my_rx))"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0 and "tokcom.image_view(" in done.stdout, done.stderr


def test_image_view_is_marked_where_no_window_is_generated(platform):
    flowgraph = platform.make_flow_graph(str(FIRST_LINK))
    flowgraph.options_block.params["generate_options"].set_value("no_gui")
    flowgraph.rewrite()
    flowgraph.validate()
    assert [block.key for block in flowgraph.blocks if not block.is_valid()] == ["tokcom_image_view"]


def generated(path, folder):
    """The Python that grcc makes of a flowgraph, without a complaint."""
    done = subprocess.run(["grcc", "-o", str(folder), str(path)], capture_output=True, text=True, check=False)
    # From 3.10.6 on there is a newer throttle, which the versions before do not have.
    said = re.sub(r"Warning: The block '\w*throttle' is deprecated\.", "", done.stdout + done.stderr)
    assert done.returncode == 0 and "rror" not in said and "arning" not in said, said
    return folder / f"{path.stem}.py"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_compiles_without_a_warning(path, tmp_path):
    compile(generated(path, tmp_path).read_text(), path.stem, "exec")


@pytest.mark.parametrize(("mcs", "channel"), [("16qam-1/2", "none"), ("bpsk-1/2", "etu")])
def test_the_loopback_runs_to_its_end_and_loses_no_picture(mcs, channel, tmp_path):
    path = tmp_path / "image_loopback.grc"
    text = LOOPBACK.read_text().replace("'''16qam-1/2'''", f"'''{mcs}'''").replace("'''none'''", f"'''{channel}'''")
    path.write_text(text)
    script = generated(path, tmp_path)
    assert f"mcs = '{mcs}'" in script.read_text() and f"channel = '{channel}'" in script.read_text()
    run = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    pictures = sorted(entry.name for entry in (tmp_path / "out" / "loopback").glob("*.png"))
    assert len(pictures) == 16 and pictures[3] == "0000-astronaut-tokenized.png"
    assert len((tmp_path / "out" / "loopback" / "figures.jsonl").read_text().splitlines()) == 4


def module_of(path, folder):
    spec = importlib.util.spec_from_file_location(path.stem, generated(path, folder))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_adaptive_link_follows_the_channel(tmp_path, monkeypatch, qt):
    """The slider falls from 18 to 3 dB while it runs: bursts get longer, pictures go on."""
    monkeypatch.chdir(tmp_path)
    flowgraph = module_of(ROOT / "examples" / "adaptive_link.grc", tmp_path).adaptive_link()
    choices = []

    class Listener(gr.basic_block):
        def __init__(self):
            gr.basic_block.__init__(self, name="Listener", in_sig=None, out_sig=None)
            self.message_port_register_in(pmt.intern("in"))
            self.set_msg_handler(pmt.intern("in"), self.take)
            self.enough, self.wanted = threading.Condition(), 0

        def take(self, message):
            with self.enough:
                choices.append(pmt.to_python(pmt.car(message)))
                self.enough.notify_all()

        def wait_for_more(self, count):
            with self.enough:
                wanted = len(choices) + count
                assert self.enough.wait_for(lambda: len(choices) >= wanted, 120)

    listener = Listener()
    flowgraph.msg_connect((flowgraph.semantic_mcs, "choice"), (listener, "in"))
    flowgraph.set_esn0_db(18.0)
    flowgraph.start()
    listener.wait_for_more(4)
    fast = choices[-1]
    flowgraph.set_esn0_db(3.0)
    listener.wait_for_more(4)
    slow = choices[-1]
    flowgraph.stop()
    flowgraph.wait()
    qt.processEvents()
    # On a busy machine, a report may be old by the time it is used.
    assert choices[0]["cqi_state"] == "missing" and {fast["cqi_state"], slow["cqi_state"]} <= {"fresh", "stale"}
    assert fast["airtime_samples"] < choices[0]["airtime_samples"] and fast["airtime_samples"] < slow["airtime_samples"]
    assert slow["esn0_db"] < 5 and fast["esn0_db"] > 14
    assert len(list((tmp_path / "out" / "adaptive").glob("*-recovered.png"))) >= 4


class Deliveries(gr.basic_block):
    """Keeps the metadata of what an image_sink delivers, by stream; `enough` is set once each has so many frames."""

    def __init__(self, sink, streams, count):
        gr.basic_block.__init__(self, name="Deliveries", in_sig=None, out_sig=None)
        self.frames, self.enough, self._count = {stream: [] for stream in streams}, threading.Event(), count
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message):
        meta = pmt.to_python(pmt.car(message))
        self.frames[meta.get("stream_id", 0)].append(meta)
        if min(map(len, self.frames.values())) >= self._count:
            self.enough.set()


def run_until(flowgraph, deliveries):
    flowgraph.msg_connect((flowgraph.image_sink, "delivered"), (deliveries, "in"))
    flowgraph.start()
    try:
        assert deliveries.enough.wait(120)
    finally:
        flowgraph.stop()
        flowgraph.wait()


def test_tokens_go_in_and_come_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flowgraph = module_of(TOKEN_LINK, tmp_path).token_link()
    flowgraph.set_esn0_db(4.0)
    deliveries = Deliveries(flowgraph.image_sink, (0,), 3)
    run_until(flowgraph, deliveries)
    frames = deliveries.frames[0]
    assert flowgraph.image_sink.frames_refused == 0 and max(frame["per"] for frame in frames) > 0.1
    assert min(frame["psnr_recovered_db"] - frame["psnr_lost_db"] for frame in frames) > 1


def test_coded_tokens_cross_and_a_lost_packet_costs_its_region_of_the_picture(tmp_path, monkeypatch):
    pytest.importorskip("constriction")
    monkeypatch.chdir(tmp_path)
    flowgraph = module_of(COMPRESSED_LINK, tmp_path).compressed_link()
    deliveries = Deliveries(flowgraph.image_sink, (0,), 3)
    run_until(flowgraph, deliveries)
    blocks = flowgraph.image_sink, flowgraph.source_encoder, flowgraph.source_decoder, flowgraph.token_recovery
    assert not any(block.frames_refused for block in blocks) and flowgraph.source_decoder.blocks_wrong == 0
    for frame in deliveries.frames[0]:
        assert frame["packets"] == 4 and (frame["ter_channel"] > 0) == (frame["per"] > 0)
        assert frame["ter_channel"] >= frame["ter_recovered"]


def test_a_thinned_picture_crosses_in_its_airtime_and_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flowgraph = module_of(THINNED_LINK, tmp_path).thinned_link()
    deliveries = Deliveries(flowgraph.image_sink, (0,), 3)
    run_until(flowgraph, deliveries)
    assert not any(block.frames_refused for block in (flowgraph.image_sink, flowgraph.token_thinner))
    for frame in deliveries.frames[0]:
        assert frame["psnr_recovered_db"] > frame["psnr_lost_db"] and frame["per"] < 0.2 and frame["packets"] == 64


def test_two_streams_of_two_models_share_a_channel_and_are_both_delivered(tmp_path, monkeypatch):
    """One receiver, pictures of two sizes: all arrive, each shown by its own model, and none as the other's."""
    monkeypatch.chdir(tmp_path)
    flowgraph = module_of(ROOT / "examples" / "two_streams.grc", tmp_path).two_streams()
    deliveries = Deliveries(flowgraph.image_sink, (1, 2), 2)
    run_until(flowgraph, deliveries)
    assert flowgraph.image_sink.frames_refused == flowgraph.link_monitor.frames_refused == 0
    sides = {1: 64, 2: 256}
    for stream, frames in deliveries.frames.items():
        # The loss of quality is that of tokens: another model's would show nothing of the picture.
        assert (
            min(frame["psnr_recovered_db"] for frame in frames) > 14
            and len({frame["frame_id"] for frame in frames}) > 1
        )
        for name in (frame["files"]["recovered"] for frame in frames):
            assert name.startswith(f"s{stream}-")
            assert Image.open(tmp_path / "out" / "two_streams" / name).size == (sides[stream],) * 2
    # The monitor compares each frame with that of its own stream, and has figures of each.
    figures = flowgraph.link_monitor.figures()
    assert figures["ter"] < 0.2 and all(figures["streams"][stream]["ter"] < 0.2 for stream in "12")
    with (tmp_path / "out" / "two_streams" / "figures.csv").open() as file:
        assert {row["stream"] for row in csv.DictReader(file)} >= {"1", "2"}


def test_the_variables_a_user_turns_are_there(tmp_path):
    flowgraph = module_of(LOOPBACK, tmp_path).image_loopback
    variables = ("esn0_db", "mcs", "cmi", "channel", "cfo_hz", "image_folder")
    assert all(hasattr(flowgraph, f"set_{name}") for name in variables)


USRP = sorted(path.stem for path in EXAMPLES if "uhd_usrp_" in path.read_text())
SHARE_A_PPS = ("todma_usrp_tx",)
"""Several radios that must send at the same time."""
SOAPY = sorted(path.stem for path in EXAMPLES if "soapy_" in path.read_text())


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [(name, ["--device-args", "serial=none-such"], "no USRP with 'serial=none-such' was found") for name in USRP]
    + [(name, ["--device", "none-such"], "no radio 'none-such' that") for name in SOAPY]
    + [(name, ["--lo-offset", "0.4"], "the LO offset is 0.4 sample rates; it must be above 0.5") for name in USRP]
    + [("usrp_rx", ["--lo-offset", "1e6"], "the LO offset is 1e+06 sample rates")],
)
def test_without_a_radio_the_example_says_so_and_ends(name, arguments, said, tmp_path):
    script = generated(ROOT / "examples" / f"{name}.grc", tmp_path)
    command = [sys.executable, str(script), *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and said in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize("name", USRP)
def test_a_radio_without_a_pps_is_asked_for_none_and_its_oscillator_stays_out_of_the_band(name, tmp_path):
    text = generated(ROOT / "examples" / f"{name}.grc", tmp_path).read_text()
    timed = "pps" in text.lower() or "set_time_" in text
    assert "uhd.usrp_s" in text and timed == (name in SHARE_A_PPS)
    tuned = re.findall(r"set_center_freq\((.*), 0\)", text)
    assert tuned and all(re.search(r"lo_offset \* (self\.)?samp_rate\)$", call) for call in tuned)
    assert re.search(r'"--lo-offset".*float\(1\)', text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_runs_live_takes_the_newest_and_lets_nothing_pile_up(path, platform):
    """Sources that go on for ever wait for word of delivery, and queues behind radios and slow blocks are short."""
    flowgraph = platform.make_flow_graph(str(path))
    flowgraph.rewrite()
    blocks = {block.name: block for block in flowgraph.blocks}
    live = "repeat: 'True'" in path.read_text() or "uhd_usrp_source" in path.read_text()
    for block in blocks.values():
        if block.key in ("tokcom_image_source", "tokcom_image_transmitter"):
            window = int(block.params["window"].evaluate())
            assert window >= 1 and "delivered" in [
                c.sink_port.key for c in flowgraph.connections if c.sink_block is block
            ]
        slow = "tokcom_image_receiver", "tokcom_token_receiver", "tokcom_token_recovery", "tokcom_image_tokenizer"
        slow += "tokcom_source_encoder", "tokcom_source_decoder"
        if live and block.key in slow:
            assert int(block.params["queue_size"].get_value()) <= 2, block.name
