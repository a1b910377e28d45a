import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.frame import BitFrame
from tokcom.link.airtime import bits_in_airtime, burst_samples
from tokcom.link.bursts import TransmitConfig, Transmitter


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6000), st.sampled_from(["bpsk-1/2", "qpsk-3/4", "64qam-2/3"]), st.sampled_from([64, 256]))
def test_a_budget_of_airtime_is_met_and_not_exceeded(spare, mcs, size):
    config = TransmitConfig(mcs, bits_per_packet=size)
    samples = burst_samples(size, config) + spare
    bits = bits_in_airtime(samples, config)
    frame = BitFrame(np.random.default_rng(0).integers(0, 2, bits), "content")
    assert len(Transmitter(config).transmit(frame)) == burst_samples(bits, config) <= samples
    assert burst_samples(bits + size, config) > samples


def test_too_short_a_budget_is_told():
    with pytest.raises(ParameterError, match="samples is 100; a burst of one packet takes"):
        bits_in_airtime(100, TransmitConfig())
