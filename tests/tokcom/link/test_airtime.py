from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.airtime import frame_samples, tokens_in_airtime, tokens_in_bits
from tokcom.link.frame_thinner import FrameThinner
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.thinning import RULES, rule_bytes, sent_mask
from tokcom.source.chooser import TokenChooser

BOOK = Codebook("book", 1024)


def a_frame(seed=0, frame_id=0):
    return TokenFrame(
        np.random.default_rng(seed).integers(0, 1024, 256), BOOK.name, BOOK.size, (16, 16), "image", 7, frame_id
    )


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 6000), st.sampled_from(["bpsk-1/2", "qpsk-3/4", "64qam-2/3"]), st.sampled_from([1, 4, 7]),
    st.sampled_from(["spread", "checkerboard"]),
)  # fmt: skip
def test_a_burst_of_a_thinned_frame_fills_the_airtime_to_the_packet(spare, mcs, per_packet, choice):
    config = TransmitConfig(mcs, per_packet)
    chooser, sender = TokenChooser(choice), Transmitter(config)
    shortest = frame_samples(chooser.thin(a_frame(), per_packet), config)
    thinned = FrameThinner(chooser, config, samples=shortest + spare).thin(a_frame())
    burst = sender.transmit(thinned)
    count = int((~thinned.lost).sum())
    assert len(burst) == frame_samples(thinned, config) <= shortest + spare
    if count < 256:
        assert frame_samples(chooser.thin(a_frame(), min(count + per_packet, 256)), config) > shortest + spare


@given(st.integers(1, 3000), st.sampled_from(RULES), st.sampled_from([1, 4, 7]))
def test_a_budget_of_bits_holds_as_many_whole_packets_as_fit(bits, rule, per_packet):
    overhead = 8 * rule_bytes(rule, (16, 16))
    if bits < overhead + 10 * per_packet:
        with pytest.raises(ParameterError, match=f"bits is {bits}; a packet of {per_packet} tokens and the rule"):
            tokens_in_bits(bits, a_frame(), rule, per_packet)
        return
    count = tokens_in_bits(bits, a_frame(), rule, per_packet)
    if bits >= 2560:
        assert count == 256
    else:
        assert count % per_packet == 0 and overhead + 10 * count <= bits
        assert overhead + 10 * (count + per_packet) > bits or count + per_packet >= 256


@pytest.mark.parametrize("choice", ["spread", "checkerboard"])
def test_the_receiver_gets_the_tokens_sent_and_the_rule(choice):
    frame = a_frame(frame_id=3)
    thinned = FrameThinner(TokenChooser(choice), TransmitConfig("qpsk-1/2"), bits=1300).thin(frame)
    samples = Transmitter(TransmitConfig("qpsk-1/2")).transmit(thinned, 9)
    (found,) = Receiver([BOOK]).receive(np.pad(samples, 400))
    assert found.frame == thinned and found.header.thinning == thinned.thinning
    assert found.packets_ok.sum() == (~thinned.lost).sum() // 4 == 31
    sent = sent_mask(thinned.thinning, frame.grid)
    np.testing.assert_array_equal(found.frame.tokens, np.where(sent, frame.tokens, LOST))
    assert len(samples) < len(Transmitter(TransmitConfig("qpsk-1/2")).transmit(frame)) * 0.65


def test_what_is_refused():
    config = TransmitConfig()
    with pytest.raises(ParameterError, match="the budget is 100 samples; a burst of one packet takes"):
        tokens_in_airtime(100, a_frame(), "spread", config)
    for budgets in ({}, {"bits": 9, "samples": 9}, {"bits": -9}):
        with pytest.raises(ParameterError, match="exactly one must be above 0"):
            FrameThinner(TokenChooser("spread"), config, **budgets)
    lost = a_frame().with_tokens(np.where(np.arange(256) == 3, LOST, a_frame().tokens))
    with pytest.raises(FrameError, match="1 tokens of frame 0 are lost; it must be whole"):
        FrameThinner(TokenChooser("spread"), config, bits=900).thin(lost)
    thinned = FrameThinner(TokenChooser("spread"), config, bits=940).thin(a_frame())
    with pytest.raises(ParameterError, match="do not fill packets of 3"):
        Transmitter(replace(config, tokens_per_packet=3)).transmit(thinned)
    with pytest.raises(FrameError, match="are lost"):
        Transmitter(config).packetize(replace(lost, tokens=np.full(256, LOST), thinning=thinned.thinning))
