from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link import LinkConfig, Receiver, Transmitter
from tokcom.packets.layout import packet_layout


def random_frame(n_tokens, size, seed):
    return TokenFrame(np.random.default_rng(seed).integers(0, size, n_tokens), "random", size, frame_id=seed)


@given(
    n_tokens=st.integers(1, 300), size=st.sampled_from((2, 1000, 8192, 1 << 18)), per_packet=st.integers(1, 7),
    code=st.sampled_from(("k3", "k7")), modulation=st.sampled_from(("bpsk", "qpsk", "16qam", "64qam")),
    seed=st.integers(0, 0xFFFF),
)  # fmt: skip
def test_any_frame_crosses_a_clean_channel(n_tokens, size, per_packet, code, modulation, seed):
    config = LinkConfig(code, modulation, per_packet)
    frame = random_frame(n_tokens, size, seed)
    reception = Receiver(config).receive(Transmitter(config).transmit(frame, seed), noise_variance(25))
    assert reception.packets_ok.all() and np.array_equal(reception.frame.tokens, frame.tokens)


def test_a_failed_packet_costs_its_own_tokens_and_no_others():
    config = LinkConfig()
    frame = random_frame(256, 1024, 5)
    burst = Transmitter(config).transmit(frame, 5)
    symbols = burst.symbols.copy()
    symbols[7] = awgn(np.zeros_like(symbols[7]), -10, np.random.default_rng(0))
    reception = Receiver(config).receive(replace(burst, symbols=symbols), noise_variance(20))
    lost = packet_layout(256, 4, 5)[7]
    assert np.flatnonzero(~reception.packets_ok).tolist() == [7]
    assert sorted(np.flatnonzero(reception.frame.lost)) == sorted(lost)
    assert np.array_equal(np.delete(reception.frame.tokens, lost), np.delete(frame.tokens, lost))


def test_the_receiver_is_not_told_the_tokens():
    burst = Transmitter(LinkConfig()).transmit(random_frame(256, 1024, 0), 0)
    assert (burst.frame.tokens == LOST).all()


def test_bad_links_are_named():
    for bad in ({"code": "k8"}, {"modulation": "8psk"}, {"tokens_per_packet": 0}, {"llr": "soft"}):
        with pytest.raises(ParameterError, match=str(next(iter(bad.values())))):
            LinkConfig(**bad)
    with pytest.raises(FrameError, match="1 tokens of frame 0 are lost"):
        Transmitter(LinkConfig()).transmit(TokenFrame(np.array([1, LOST]), "random", 4), 0)
