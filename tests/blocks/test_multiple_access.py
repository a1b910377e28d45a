"""Token Spreader, Multiuser Sync and Token Separator: a flowgraph gives what the library does."""

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, tokcom

from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.models.codebooks import codebook
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.frames import FrameSeparator, KnownCodebook, modulate_frame
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.multiple_access.searcher import MultiUserSearcher

SMALL = {"length": 8, "n_tokens": 16, "codebook_size": 32}
PLAN = MultiUserPlan(ModulationCodebook(32, 8), 16)


@pytest.fixture
def frames(tiny_model):
    name = codebook(str(tiny_model)).name
    rng = np.random.default_rng(2)
    return [TokenFrame(rng.integers(0, 32, 16), name, 32, (4, 4), "image", label, 5 + label) for label in (0, 1)]


@pytest.fixture
def pdus(frames, pdu):
    return [
        pdu(each.tokens, frame_id=each.frame_id, codebook=each.codebook, codebook_size=32, grid=(4, 4),
            modality="image", cmi=each.cmi)
        for each in frames
    ]  # fmt: skip


@pytest.fixture
def stream(frames):
    """Both bursts at once, each with a gain, and some noise."""
    rng = np.random.default_rng(3)
    total = np.zeros(PLAN.length + 1600, complex)
    for user, (frame, gain, late) in enumerate(zip(frames, (1, 0.8j), (0, 4), strict=True)):
        total[500 + late :][: PLAN.length] += gain * modulate_frame(PLAN, user, frame)
    total += 0.05 * (rng.standard_normal(len(total)) + 1j * rng.standard_normal(len(total)))
    return total.astype(np.complex64)


def test_a_spreader_sends_what_the_library_modulates(frames, pdus, send):
    block = tokcom.token_spreader(1, 8, 16, 32, amplitude=0.5, padding=100)
    ((meta, samples),) = send(block, pdus[1:])
    expected = 0.5 * modulate_frame(PLAN, 1, frames[1])
    np.testing.assert_allclose(samples, np.pad(expected, (0, 100)), atol=1e-6)
    assert (meta["stream_id"], meta["airtime_samples"], meta["frame_id"]) == (1, PLAN.length, 6)


def test_bursts_get_times_of_one_grid(pdus, send):
    block = tokcom.token_spreader(0, **SMALL, tx_time=2.0, period=0.5)
    times = [meta["tx_time"] for meta, _ in send(block, pdus)]
    assert times == [(2, 0.0), (2, 0.5)]
    block.set_schedule(0.25, 10.01)
    (meta, _), *_ = send(block, pdus)
    whole, fraction = meta["tx_time"]
    assert whole + fraction >= 10.11 and (whole + fraction) % 0.25 == pytest.approx(0, abs=1e-9)


def test_frames_that_do_not_fit_are_refused(pdus, send):
    block = tokcom.token_spreader(0, 8, 17, 32)
    assert send(block, pdus) == [] and block.frames_refused == 2


def test_the_receiver_is_the_library_bit_for_bit(tiny_model, frames, stream, collector):
    top = gr.top_block(catch_exceptions=False)
    source = blocks.vector_source_c(stream.tolist())
    sync = tokcom.multiuser_sync(**SMALL)
    separator = tokcom.token_separator(str(tiny_model), **SMALL, expected="0,1", device="cpu")
    got, superposed = collector(2), collector(2)
    top.connect(source, sync)
    top.msg_connect(sync, "bursts", separator, "bursts")
    top.msg_connect(separator, "tokens", got, "in")
    top.msg_connect(separator, "superposed", superposed, "in")
    top.start()
    assert got.done.wait(60) and superposed.done.wait(60)
    top.stop()
    top.wait()
    from tokcom.models.zoo import load_context

    (burst,) = MultiUserSearcher(PLAN).push(stream)
    known = KnownCodebook(codebook(str(tiny_model)), load_context(str(tiny_model), "cpu"))
    wanted = FrameSeparator(PLAN, [known]).separate(burst)
    for (meta, tokens), each, sent in zip(got.messages, wanted.frames, frames, strict=True):
        assert np.array_equal(tokens, each.frame.tokens) and np.array_equal(tokens, sent.tokens)
        np.testing.assert_array_equal(meta["confidence"], each.confidence)
        assert (meta["stream_id"], meta["frame_id"], meta["cmi"]) == (each.user.port, sent.frame_id, sent.cmi)
        assert meta["codebook"] == sent.codebook and meta["others"] == 1
    for (_, tokens), each in zip(superposed.messages, wanted.frames, strict=True):
        assert np.array_equal(tokens, each.superposed.tokens)


def test_hints_tell_who_is_missing(tiny_model, stream, collector):
    top = gr.top_block(catch_exceptions=False)
    source, sync = blocks.vector_source_c(stream.tolist()), tokcom.multiuser_sync(**SMALL)
    separator = tokcom.token_separator(str(tiny_model), False, **SMALL, expected="0,1,2", device="cpu")
    got = collector(1)
    top.connect(source, sync)
    top.msg_connect(sync, "bursts", separator, "bursts")
    top.msg_connect(separator, "hints", got, "in")
    top.start()
    assert got.done.wait(60)
    top.stop()
    top.wait()
    assert got.messages[0][0]["hint"] == "port 2 is silent"


def test_a_burst_of_noise_is_refused(tiny_model, pdu, send):
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(PLAN.length + 200) + 1j * rng.standard_normal(PLAN.length + 200)).astype(np.complex64)
    block = tokcom.token_separator(str(tiny_model), False, **SMALL, device="cpu")
    said = {"long_start": 64, "cfo": 0.0, "burst_start": 0, "sync_metric": 0.5}
    assert send(block, [pdu(noise, **said), pdu(noise[:100], **said), pmt.intern("nonsense")]) == []
    assert block.frames_refused == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tokcom.token_spreader(4), "port is 4"),
        (lambda: tokcom.token_spreader(padding=-1), "padding is -1"),
        (lambda: tokcom.token_spreader(amplitude=0), "amplitude is 0"),
        (lambda: tokcom.token_spreader(tx_time=1.0), "period 0"),
        (lambda: tokcom.multiuser_sync(length=100), "length of the modulation codebook is 100"),
        (lambda: tokcom.token_separator(expected="5"), "port is 5"),
    ],
)
def test_parameters_out_of_range_are_named(make, said):
    with pytest.raises(ParameterError, match=said):
        make()
