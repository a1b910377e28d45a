"""The blocks that meet the sample stream: burst_framer and burst_sync."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.packets import MixedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.packets.elements import NAMES, QUANTIZERS

CODEBOOK = codebook("caltech64").name

MCS = np.full(4, 3, np.uint8)
DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))


def frame(frame_id):
    tokens = np.random.default_rng(frame_id).integers(0, 1024, 16).astype(np.int32)
    return TokenFrame(tokens, CODEBOOK, 1024, (4, 4), frame_id=frame_id)


def expected_burst(frame_id, **config):
    return Transmitter(TransmitConfig("qpsk-1/2", **config)).transmit(frame(frame_id), frame_id)


def symbols_pdu(pdu, frame_id, coded_for=0, **more):
    packets = Transmitter().packetize(frame(frame_id), frame_id)
    coded = MixedPackets(1024, 4, MCS)
    meta = {
        "frame_id": frame_id, "modality": "image", "codebook": CODEBOOK, "codebook_size": 1024, "grid": (4, 4),
        "packets": 4, "tokens_per_packet": 4, "layout_seed": frame_id, "mcs": MCS,
    }  # fmt: skip
    return pdu(
        coded.map(coded.encode(packets, Transmitter(TransmitConfig(stream_id=coded_for)).identity(frame(frame_id)))),
        **meta | more,
    )


def run_framer(framer, pdus):
    """Samples and tags that a framer makes of PDUs, to the end of the stream."""
    top, sink = gr.top_block(catch_exceptions=False), blocks.vector_sink_c()
    top.connect(framer, sink)
    for message in [*pdus]:
        framer.to_basic_block()._post(pmt.intern("symbols"), message)
    framer.to_basic_block()._post(pmt.intern("system"), DONE)
    top.start()
    top.wait()
    return np.array(sink.data(), np.complex64), sink.tags()


def test_the_framer_sends_the_library_s_bursts_with_their_lengths(pdu):
    framer = tokcom.burst_framer(0.2, stream_id=5, padding=100)
    samples, tags = run_framer(framer, [symbols_pdu(pdu, i, 5, stream_id=5) for i in range(3)])
    silence = np.zeros(100, np.complex64)
    wanted = [np.concatenate([expected_burst(i, stream_id=5) * np.float32(0.2), silence]) for i in range(3)]
    assert np.array_equal(samples, np.concatenate(wanted)) and framer.bursts_sent == 3
    assert [(tag.offset, pmt.to_python(tag.key), pmt.to_python(tag.value)) for tag in tags] == [
        (i * len(wanted[0]), "packet_len", len(wanted[0])) for i in range(3)
    ]
    assert np.mean(np.abs(samples[: -100 or None][:900]) ** 2) == pytest.approx(0.04, rel=0.1)


def test_a_burst_of_its_own_power_is_so_much_stronger(pdu):
    samples, _ = run_framer(
        tokcom.burst_framer(0.2, padding=0), [symbols_pdu(pdu, 1, power_db=value) for value in (0.0, -6.0, 3)]
    )
    first, *others = samples.reshape(3, -1)
    for other, power_db in zip(others, (-6, 3), strict=True):
        assert other == pytest.approx(first * 10 ** (power_db / 20), abs=1e-6)


def test_without_a_length_tag_bursts_lie_between_sob_and_eob_and_keep_their_time(pdu):
    framer = tokcom.burst_framer(length_tag="", profile="robust", padding=7)
    samples, tags = run_framer(framer, [symbols_pdu(pdu, 1, tx_time=(12, 0.25)), symbols_pdu(pdu, 2)])
    length = len(expected_burst(1, profile="robust")) + 7
    assert len(samples) == 2 * length
    named = sorted((tag.offset, pmt.to_python(tag.key)) for tag in tags)
    assert named == [
        (0, "tx_sob"),
        (0, "tx_time"),
        (length - 1, "tx_eob"),
        (length, "tx_sob"),
        (2 * length - 1, "tx_eob"),
    ]
    (time,) = (tag.value for tag in tags if pmt.to_python(tag.key) == "tx_time")
    assert pmt.to_uint64(pmt.tuple_ref(time, 0)) == 12 and pmt.to_double(pmt.tuple_ref(time, 1)) == 0.25


@pytest.mark.parametrize("drop", ["oldest", "newest"])
def test_a_full_queue_drops_counts_and_goes_on(drop, pdu):
    framer = tokcom.burst_framer(1.0, queue_size=2, drop=drop, padding=0)
    samples, _ = run_framer(framer, [symbols_pdu(pdu, i) for i in range(5)])
    kept = (3, 4) if drop == "oldest" else (0, 1)
    assert framer.bursts_dropped == 3
    assert np.array_equal(samples, np.concatenate([expected_burst(i) for i in kept]))


def test_bad_frames_are_counted_and_the_next_one_is_sent(pdu):
    framer = tokcom.burst_framer(1.0, padding=0)
    bad = [
        pmt.intern("no PDU"),
        symbols_pdu(pdu, 1, packets=5),
        symbols_pdu(pdu, 1, stream_id=3),
        symbols_pdu(pdu, 1, grid=(1, 2, 2, 2, 2)),
        symbols_pdu(pdu, 1, cmi=5000),
        symbols_pdu(pdu, 1, mcs=np.full(4, 2, np.uint8)),
        symbols_pdu(pdu, 1, mcs=np.full(4, 13, np.uint8)),
        symbols_pdu(pdu, 1, tx_time="soon"),
        symbols_pdu(pdu, 1, tx_time=(-1, 0.0)),
        symbols_pdu(pdu, 1, tx_time=(1, float("nan"))),
        symbols_pdu(pdu, 1, layout="random"),
    ]
    samples, _ = run_framer(framer, [*bad, symbols_pdu(pdu, 9)])
    assert framer.frames_refused == len(bad) and np.array_equal(samples, expected_burst(9))


def test_a_continuous_framer_is_silent_between_bursts(pdu):
    framer = tokcom.burst_framer(1.0, continuous=True, padding=0)
    top, head, sink = (
        gr.top_block(catch_exceptions=False),
        blocks.head(gr.sizeof_gr_complex, 20000),
        blocks.vector_sink_c(),
    )
    top.connect(framer, head, sink)
    framer.to_basic_block()._post(pmt.intern("symbols"), symbols_pdu(pdu, 1))
    top.run()
    samples = np.array(sink.data(), np.complex64)
    start = np.flatnonzero(samples)[0]
    burst = expected_burst(1)
    assert np.array_equal(samples[start : start + len(burst)], burst) and not samples[start + len(burst) :].any()


def test_what_keeps_bursts_from_being_received_is_told_by_a_message(collector):
    """I and Q are swapped: nothing is found, and a PDU says why."""
    sync, hints = tokcom.burst_sync(), collector(1)
    burst = np.pad(expected_burst(1), 2000).conj().astype(np.complex64)
    top = gr.top_block(catch_exceptions=False)
    top.connect(blocks.vector_source_c(np.tile(burst, 4).tolist()), sync)
    top.msg_connect(sync, "hints", hints, "in")
    top.start()
    assert hints.done.wait(60)
    top.stop()
    top.wait()
    assert "inverted" in hints.messages[0][0]["hint"] and sync.counters.bursts == 0


def times_of(tags):
    """Offset and time in seconds of each tx_time tag."""
    found = [(tag.offset, tag.value) for tag in tags if pmt.to_python(tag.key) == "tx_time"]
    return [(offset, pmt.to_uint64(pmt.tuple_ref(time, 0)) + pmt.to_double(pmt.tuple_ref(time, 1)))
            for offset, time in found]  # fmt: skip


def test_for_a_radio_the_period_is_told_by_tags(pdu):
    framer = tokcom.burst_framer(padding=0, tx_time=12.5, period=3600.25)
    samples, tags = run_framer(framer, [symbols_pdu(pdu, i) for i in range(3)])
    length = len(expected_burst(0))
    assert times_of(tags) == [(0, 12.5), (length, 3612.75), (2 * length, 7213.0)] and len(samples) == 3 * length


def test_where_the_radio_s_clock_is_known_no_burst_gets_a_time_that_has_passed(pdu, monkeypatch):
    """The first slot is over before the first burst is here, the third while the second one waits."""
    clock = iter([50.0, 57.3, 58.0, 70.1])  # when the schedule is set, and as each burst is taken up
    monkeypatch.setattr(
        sys.modules["gnuradio.tokcom.burst_framer"], "time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    framer = tokcom.burst_framer(padding=0)
    framer.set_schedule(1001.0, 5.0, radio_time=1000.0)
    _, tags = run_framer(framer, [symbols_pdu(pdu, i) for i in range(3)])
    assert [time for _, time in times_of(tags)] == [1011.0, 1016.0, 1021.0]


def test_with_a_first_time_alone_the_others_follow_at_once(pdu):
    _, tags = run_framer(tokcom.burst_framer(padding=0, tx_time=12.5), [symbols_pdu(pdu, i) for i in range(3)])
    assert times_of(tags) == [(0, 12.5)]


def test_a_frame_that_brings_its_time_keeps_it(pdu):
    messages = [symbols_pdu(pdu, 1, tx_time=(99, 0.5)), symbols_pdu(pdu, 2)]
    _, tags = run_framer(tokcom.burst_framer(padding=0, tx_time=1.0, period=60.0), messages)
    assert [time for _, time in times_of(tags)] == [99.5, 1.0]


def test_a_stream_that_goes_on_is_silent_until_the_time_comes(pdu):
    """Bursts at 2 ms, 7 ms … of a stream of 1 MS/s, each exactly on its sample."""
    framer = tokcom.burst_framer(1.0, continuous=True, padding=10, tx_time=0.002, period=0.005, sample_rate=1e6)
    top, sink = gr.top_block(catch_exceptions=False), blocks.vector_sink_c()
    top.connect(framer, blocks.head(gr.sizeof_gr_complex, 18_000), sink)
    for number in range(3):
        framer._on_symbols(symbols_pdu(pdu, number))
    # The queue is kept over the start, as bursts may wait before it.
    top.run()
    samples, wanted = np.array(sink.data(), np.complex64), np.zeros(18_000, np.complex64)
    for number, start in enumerate((2000, 7000, 12_000)):
        burst = expected_burst(number)
        wanted[start : start + len(burst)] = burst
    assert np.array_equal(samples, wanted)


def test_a_stopped_framer_does_not_send_the_rest_of_a_burst_later(pdu):
    framer = tokcom.burst_framer(1.0, padding=1 << 20)
    top = gr.top_block(catch_exceptions=False)
    top.connect(framer, blocks.head(gr.sizeof_gr_complex, 100), blocks.null_sink(gr.sizeof_gr_complex))
    framer._on_symbols(symbols_pdu(pdu, 1))
    top.run()
    assert framer.bursts_dropped == 1
    samples, _ = run_framer(framer, [symbols_pdu(pdu, 2)])
    assert np.array_equal(samples[: -(1 << 20)], expected_burst(2))


@pytest.mark.parametrize(
    ("bad", "said"),
    [({"period": 1.0}, "period is 1.0 and tx_time 0"), ({"tx_time": -1.0}, "tx_time is -1.0"),
     ({"sample_rate": 0.0}, "sample_rate is 0.0")],
)  # fmt: skip
def test_bad_times_are_named(bad, said):
    with pytest.raises(ParameterError, match=said):
        tokcom.burst_framer(**bad)


@pytest.fixture
def run_sync(collector):
    """Runs samples through burst_sync until as many bursts as expected are here; returns (metadata, array) of each."""

    def run(sync, samples, expected, tags=()):
        top, store = gr.top_block(catch_exceptions=False), collector(expected)
        source = blocks.vector_source_c(samples.tolist(), False, 1, list(tags))
        top.connect(source, sync)
        top.msg_connect(sync, "bursts", store, "in")
        # Messages under way when the stream ends would be lost: the store is waited for.
        top.start()
        assert store.done.wait(120)
        top.stop()
        top.wait()
        return store.messages

    return run


def stream_of(frame_ids, seed=0, **config):
    rng = np.random.default_rng(seed)
    parts = [np.concatenate([np.zeros(300), expected_burst(i, **config), np.zeros(300)]) for i in frame_ids]
    samples = np.concatenate(parts)
    return (samples + 0.1 * (rng.standard_normal(len(samples)) + 1j * rng.standard_normal(len(samples)))).astype(
        np.complex64
    )


def test_sync_hands_on_what_the_library_finds(run_sync):
    samples = stream_of(range(5))
    sync = tokcom.burst_sync()
    messages = run_sync(sync, samples, 5)
    found = Receiver().search(samples)
    assert len(found) == 5 and sync.counters.bursts == 5
    for (meta, burst), expected in zip(messages, found, strict=True):
        assert np.array_equal(burst.astype(np.complex64), expected.samples)
        assert meta["long_start"] == expected.sync.long_start and meta["cfo"] == expected.sync.frequency
        assert meta["burst_start"] == expected.position and meta["burst_length"] == expected.length


@pytest.mark.parametrize(("profile", "count"), [("any", 3), ("standard", 2), ("robust", 1)])
def test_only_the_profile_that_is_wanted(profile, count, run_sync):
    samples = np.concatenate([stream_of([1, 2]), stream_of([3], profile="robust"), np.zeros(5000, np.complex64)])
    messages = run_sync(tokcom.burst_sync(profile), samples, count)
    assert len(messages) == count


def test_an_overflow_begins_the_search_anew_and_costs_only_the_burst_it_hits(run_sync):
    samples = stream_of([1, 2, 3])
    length = len(samples) // 3
    cut = np.concatenate([samples[: length + 700], samples[length + 900 :]])
    tag = gr.tag_t()
    tag.offset, tag.key = length + 700, pmt.intern("rx_time")
    tag.value = pmt.make_tuple(pmt.from_uint64(1), pmt.from_double(0.0))
    sync = tokcom.burst_sync()
    messages = run_sync(sync, cut, 2, [tag])
    assert sync.discontinuities == 1
    assert [meta["burst_start"] for meta, _ in messages] == pytest.approx([300, 2 * length + 100], abs=10)


def test_a_burst_is_read_across_an_overflow_that_the_radio_tells(run_sync):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 1024, 256).astype(np.int32)
    burst = Transmitter(TransmitConfig("16qam-1/2")).transmit(TokenFrame(tokens, "random", 1024), 5)
    samples = np.r_[np.zeros(300), burst, np.zeros(600)] + 0.1 * rng.standard_normal((len(burst) + 900, 2)) @ [1, 1j]
    place = 300 + 1040 + 1700
    cut = np.concatenate([samples[:place], samples[place + 40 :]]).astype(np.complex64)
    tags = [a_tag(0, "rx_time", a_time(2.0)), a_tag(0, "rx_rate", pmt.from_double(1e6))]
    tags.append(a_tag(place, "rx_time", a_time(2.0 + (place + 40) / 1e6)))
    sync = tokcom.burst_sync()
    messages = run_sync(sync, cut, 1, tags)
    assert sync.samples_missing == 40 and sync.discontinuities == 1 and len(messages) == 1
    receiver = Receiver()
    reception = receiver.finish(receiver.search(cut)[0])
    assert reception.quality.gap_samples == 40 and reception.packets_ok.all()
    assert np.array_equal(reception.frame.tokens, tokens)


def a_tag(offset, key, value):
    tag = gr.tag_t()
    tag.offset, tag.key, tag.value = offset, pmt.intern(key), value
    return tag


def a_time(seconds):
    whole = int(seconds)
    return pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(seconds - whole))


@pytest.mark.parametrize("every", [700, 4096])
@pytest.mark.parametrize("rate", [None, 1e6])
def test_a_steady_time_is_no_loss_and_tells_when_bursts_came(every, rate, run_sync):
    samples = stream_of(range(4))
    tags = [a_tag(place, "rx_time", a_time(5.75 + place / 1e6)) for place in range(0, len(samples), every)]
    if rate:
        tags.append(a_tag(0, "rx_rate", pmt.from_double(rate)))
    sync = tokcom.burst_sync()
    messages = run_sync(sync, samples, 4, tags)
    assert sync.discontinuities == sync.samples_missing == sync.tags_refused == 0
    # Without a rate the first two stamps must have come.
    timed = [meta for meta, _ in messages if rate or meta["burst_start"] + meta["burst_length"] > every]
    assert len(timed) >= 2
    for meta in timed:
        seconds, fraction = meta["rx_time"]
        assert seconds == 5 + (meta["burst_start"] >= 250_000) and 0 <= fraction < 1
        assert seconds + fraction == pytest.approx(5.75 + meta["burst_start"] / 1e6, abs=1e-9)


def test_a_gap_is_told_from_the_time_and_later_bursts_have_theirs(capfd, run_sync):
    samples = stream_of([1, 2, 3])
    length = len(samples) // 3
    cut = np.concatenate([samples[: length + 700], samples[length + 900 :]])
    places = (0, 500, length + 700, length + 1500)
    tags = [a_tag(place, "rx_time", a_time((place + 200 * (place > length + 600)) / 1e6)) for place in places]
    sync = tokcom.burst_sync()
    messages = run_sync(sync, cut, 2, tags)
    assert sync.discontinuities == 1 and sync.samples_missing == 200
    assert [meta["rx_time"][1] for meta, _ in messages] == pytest.approx([300e-6, (2 * length + 300) / 1e6], abs=2e-6)
    said = capfd.readouterr()
    assert f"gap of 200 samples before {length + 700}" in said.out + said.err


@pytest.mark.parametrize(
    "value",
    [
        pmt.from_uint64(1700000000123456789), pmt.from_double(1.5), pmt.PMT_NIL, pmt.intern("now"),
        pmt.make_tuple(pmt.from_uint64(2**63), pmt.from_double(0.0)), pmt.to_pmt([1.0, float("nan")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["rx_time", "rx_rate"])
def test_a_tag_that_cannot_be_read_costs_nothing(key, value, run_sync):
    if key == "rx_rate" and pmt.is_number(value):
        value = pmt.from_double(-1.0)
    samples = stream_of([1, 2])
    sync = tokcom.burst_sync()
    messages = run_sync(sync, samples, 2, [a_tag(700, key, value)])
    assert len(messages) == 2 and sync.tags_refused == 1 and sync.discontinuities == 0
    assert "rx_time" not in messages[0][0]


def test_a_flowgraph_may_be_run_again(collector):
    """Half a burst that was under way is forgotten, and positions count from the new beginning."""
    samples = stream_of([1])
    sync = tokcom.burst_sync()
    for stream, expected in ((samples[:900], 0), (samples, 1)):
        top, store = gr.top_block(catch_exceptions=False), collector(1)
        top.connect(blocks.vector_source_c(stream.tolist()), sync)
        top.msg_connect(sync, "bursts", store, "in")
        top.start()
        if expected:
            assert store.done.wait(60)
        top.wait()
        top.disconnect_all()
        assert [meta["burst_start"] for meta, _ in store.messages] == pytest.approx([300] * expected, abs=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (np.conj, "the spectrum of a preamble is inverted"),
        (lambda x: x[::2], "a preamble is at twice this sample rate"),
    ],
    ids=["inverted", "twice the rate"],
)
def test_what_keeps_bursts_away_is_logged(change, said, capfd):
    burst = Transmitter(TransmitConfig("qpsk-1/2")).transmit(frame(1), 1)
    samples = change(np.concatenate([np.zeros(4000), burst, np.zeros(8000)]))
    noise = np.random.default_rng(0).standard_normal((len(samples), 2)) @ np.array([0.05, 0.05j])
    top, sync = gr.top_block(catch_exceptions=False), tokcom.burst_sync()
    top.connect(blocks.vector_source_c((samples + noise).astype(np.complex64).tolist()), sync)
    top.run()
    heard = capfd.readouterr()
    assert sync.counters.bursts == 0 and said in heard.out + heard.err


def test_a_burst_of_a_later_version_is_counted_reported_and_skipped(monkeypatch, capfd, run_sync):
    monkeypatch.setattr("tokcom.packets.header.VERSION", 5)
    later = np.concatenate([np.zeros(300), expected_burst(1), np.zeros(300)])
    monkeypatch.undo()
    sync = tokcom.burst_sync()
    messages = run_sync(sync, np.concatenate([later, later, stream_of([2])]).astype(np.complex64), 1)
    assert [meta["frame_id"] for meta, _ in messages] == [2]
    assert sync.counters.headers_failed["version"] == 2
    said = capfd.readouterr()
    assert "the header has version 5; this receiver knows version 1" in said.out + said.err


def test_a_burst_with_an_element_of_a_later_receiver_is_counted_reported_and_skipped(monkeypatch, capfd, run_sync):
    later = Transmitter().transmit(replace(frame(1), quantizers=4), 0)
    monkeypatch.delitem(NAMES, QUANTIZERS)
    sync = tokcom.burst_sync()
    stream = np.concatenate([np.zeros(300), later, np.zeros(300), stream_of([2])])
    messages = run_sync(sync, stream.astype(np.complex64), 1)
    assert [meta["frame_id"] for meta, _ in messages] == [2] and sync.counters.headers_failed["element"] == 1
    said = "".join(capfd.readouterr())
    assert f"frame 1 of stream 0, codebook 0x{codebook('caltech64').id:08x}, needs element 3" in said
