import numpy as np
import pytest

from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.phy.burst import plan_burst
from tokcom.phy.numerology import CARRIERS, FFT_SIZE
from tokcom_lab.air.air_interface import carriers_of, payload_windows, value_cells
from tokcom_lab.air.bursts import random_burst


@pytest.mark.parametrize(
    ("mcs", "packets", "profile"),
    [("16qam-1/2", 64, "standard"), ("qpsk-1/2", 256, "standard"), ("bpsk-1/2", 3, "robust")],
)
def test_values_are_found_where_the_transmitter_puts_them(mcs, packets, profile):
    rng = np.random.default_rng(packets)
    sent = random_burst(rng, 1, mcs, packets, profile)
    values = (rng.standard_normal((plan_burst(sent.header, sent.profile).payload_values, 2)) @ [1, 1j]).astype(
        np.complex64
    )
    samples = Transmitter(TransmitConfig(profile=profile)).modulate(values, sent.header)
    carriers = carriers_of(samples, payload_windows(sent.header, sent.profile)).ravel()
    cells, turns = value_cells(sent.header, sent.profile)
    found = carriers[cells] * turns.conj() / np.sqrt(FFT_SIZE / len(CARRIERS))
    assert len(set(cells)) == len(values) and np.allclose(found, values, atol=1e-5)


def test_a_payload_ends_where_its_burst_does():
    sent = random_burst(np.random.default_rng(2), 1, "16qam-1/2", 64)
    windows = payload_windows(sent.header, sent.profile)
    assert windows[-1] + FFT_SIZE == len(sent.samples) and set(np.diff(windows)) == {80}
