"""The limits that docs/air-interface.md names."""

import numpy as np
import pytest

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.phy.numerology import MAX_PAYLOAD_SYMBOLS, SYMBOL_LENGTH

CODEBOOK = Codebook("random", 1024)


def burst_of(n_tokens, mcs):
    tokens = np.random.default_rng(n_tokens).integers(0, 1024, n_tokens).astype(np.int32)
    return np.pad(Transmitter(TransmitConfig(mcs)).transmit(TokenFrame(tokens, "random", 1024), 1), 800)


def packets_received(samples):
    (reception,) = Receiver([CODEBOOK]).receive(samples)
    return reception.packets_ok.mean()


@pytest.mark.parametrize("cfo", [0.5, -0.5])
def test_frequency_offsets_of_half_a_radian_a_sample(cfo):
    channel = ChannelModel(ChannelSettings(snr_db=10, cfo_hz=cfo * 1e6 / (2 * np.pi)), 1e6, 1)
    assert packets_received(channel.process(burst_of(256, "16qam-1/2"))) == 1


@pytest.mark.parametrize("ppm", [20, -20])
def test_clocks_20_ppm_apart_over_the_longest_burst(ppm):
    samples = burst_of(3168, "bpsk-1/2")
    assert len(samples) > (MAX_PAYLOAD_SYMBOLS - 5) * SYMBOL_LENGTH
    channel = ChannelModel(ChannelSettings(snr_db=3, cfo_hz=2.45e3 * ppm, sfo_ppm=ppm), 1e6, 1)
    assert packets_received(channel.process(samples)) > 0.99


def test_an_echo_11_samples_after_the_strongest_path():
    sent = burst_of(256, "16qam-3/4")
    echoed = sent + 0.7j * np.roll(sent, 11)
    channel = ChannelModel(ChannelSettings(snr_db=22), 1e6, 1)
    assert packets_received(channel.process(echoed.astype(np.complex64))) > 0.99
