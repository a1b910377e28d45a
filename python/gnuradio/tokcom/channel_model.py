import math
import threading

import numpy as np
from gnuradio import gr

from tokcom.channel.model import ChannelModel, ChannelSettings

NONE_ABOVE = ("snr_db", "clip_db")
NONE_BELOW = ("rician_k_db", "interferer_db")
END_DB = 100
"""Where a slider ends: from here on a level means none, which the library calls infinite."""


class channel_model(gr.basic_block):
    """A radio channel with the faults of both front ends. As it stands, samples pass unchanged.

    In order: the transmitter clips; multipath; carrier frequency offset and phase noise; sampling clock offset;
    interferer, impulses and noise; the receiver's IQ imbalance and DC offset; gaps. Powers in dB are relative to the
    reference power. With OFDM bursts of that mean power on 52 of 64 carriers, Es/N0 is 0.9 dB above the SNR.

    Tags pass on, at the place where their sample comes out; a clock offset or a gap between may move them by a sample,
    and the tag of a lost sample goes to one near it. Interpolation makes the stream late: by 9 samples where paths fall
    between samples, by another 10 with a clock offset.

    Input: a stream of complex samples.
    Output: a stream of complex samples, as many but for clock offset and gaps.

    Parameters:
        sample_rate: in Hz.
        seed: of everything random, at least 0.
        reference_power: mean power of the signal where it is on the air, linear.
        snr_db: reference power over the power of white Gaussian noise, in dB, at least -100; from 100 on there is none.
        cfo_hz: carrier frequency offset, up to half the sample rate either way.
        linewidth_hz: of the oscillators' phase noise (a Wiener process); 0 for none.
        sfo_ppm: sampling clock offset, -1000 to 1000; positive where the transmitter's clock is the faster one.
        profile: "none", "flat", "epa", "eva", "etu" (3GPP TS 36.104) or "three-path" (static).
        doppler_hz: largest Doppler shift, up to 0.1 of the sample rate; 0 for gains that are drawn once and stay.
        rician_k_db: K-factor of the first path in dB, up to 100; from -100 down it is Rayleigh fading.
        clip_db: the transmitter clips at this level above the reference power, at least -20 dB; from 100 on never.
        iq_gain_db: the receiver's gain of Q relative to I, -20 to 20.
        iq_phase_deg: the receiver's error of the angle between Q and I, -90 to 90.
        dc_offset: the receiver's, complex, relative to a full scale of 1.
        interferer_db: power of a continuous wave in dB, up to 100; from -100 down there is none.
        interferer_hz: its frequency, up to half the sample rate either way.
        impulse_rate: bursts of noise per second, on average.
        impulse_length: samples of each.
        impulse_db: their power, -100 to 100 dB.
        gap_rate: gaps per second, on average.
        gap_length: samples lost in each.
    """

    def __init__(
        self, sample_rate: float = 1e6, seed: int = 0, reference_power: float = 1.0,
        snr_db: float = 100.0, cfo_hz: float = 0.0, linewidth_hz: float = 0.0, sfo_ppm: float = 0.0,
        profile: str = "none", doppler_hz: float = 0.0, rician_k_db: float = -100.0,
        clip_db: float = 100.0, iq_gain_db: float = 0.0, iq_phase_deg: float = 0.0, dc_offset: complex = 0.0,
        interferer_db: float = -100.0, interferer_hz: float = 0.0,
        impulse_rate: float = 0.0, impulse_length: int = 10, impulse_db: float = 20.0,
        gap_rate: float = 0.0, gap_length: int = 100,
    ):  # fmt: skip
        gr.basic_block.__init__(self, name="Radio Channel Model", in_sig=[np.complex64], out_sig=[np.complex64])
        settings = ChannelSettings(
            reference_power=reference_power, clip_db=_level("clip_db", clip_db), profile=profile,
            doppler_hz=doppler_hz, rician_k_db=_level("rician_k_db", rician_k_db), cfo_hz=cfo_hz,
            linewidth_hz=linewidth_hz, sfo_ppm=sfo_ppm, interferer_db=_level("interferer_db", interferer_db),
            interferer_hz=interferer_hz, impulse_rate=impulse_rate, impulse_length=impulse_length,
            impulse_db=impulse_db, snr_db=_level("snr_db", snr_db), iq_gain_db=iq_gain_db, iq_phase_deg=iq_phase_deg,
            dc_offset=dc_offset, gap_rate=gap_rate, gap_length=gap_length,
        )  # fmt: skip
        # Numba compiles now what would hold up the first samples.
        ChannelModel(settings, sample_rate, seed).process(np.zeros(64, np.complex64))
        self._model = ChannelModel(settings, sample_rate, seed)
        self._turn = threading.Lock()
        self.set_tag_propagation_policy(gr.TPP_CUSTOM)
        # One sample can become two, and none is kept back.
        self.set_min_noutput_items(4)

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        return [1] * ninputs

    def general_work(self, input_items: list, output_items: list) -> int:
        room = len(output_items[0])
        with self._turn:
            used = min(len(input_items[0]), room)
            while self._model.most_outputs(used) > room:
                used -= 1
            received = self._model.process(input_items[0][:used])
            delay = self._model.delay
        output_items[0][: len(received)] = received
        self._pass_tags(used, len(received), delay)
        self.consume(0, used)
        return len(received)

    def _pass_tags(self, n_in: int, n_out: int, delay: int) -> None:
        for tag in self.get_tags_in_window(0, 0, n_in):
            place = (tag.offset - self.nitems_read(0)) * n_out // n_in
            self.add_item_tag(0, self.nitems_written(0) + place + delay, tag.key, tag.value, tag.srcid)

    def _change(self, name: str, value: float | str | complex) -> None:
        with self._turn:
            self._model.change(**{name: _level(name, value)})

    def set_snr_db(self, snr_db: float) -> None:
        self._change("snr_db", snr_db)

    def set_cfo_hz(self, cfo_hz: float) -> None:
        self._change("cfo_hz", cfo_hz)

    def set_linewidth_hz(self, linewidth_hz: float) -> None:
        self._change("linewidth_hz", linewidth_hz)

    def set_sfo_ppm(self, sfo_ppm: float) -> None:
        self._change("sfo_ppm", sfo_ppm)

    def set_profile(self, profile: str) -> None:
        self._change("profile", profile)

    def set_doppler_hz(self, doppler_hz: float) -> None:
        self._change("doppler_hz", doppler_hz)

    def set_rician_k_db(self, rician_k_db: float) -> None:
        self._change("rician_k_db", rician_k_db)

    def set_clip_db(self, clip_db: float) -> None:
        self._change("clip_db", clip_db)

    def set_iq_gain_db(self, iq_gain_db: float) -> None:
        self._change("iq_gain_db", iq_gain_db)

    def set_iq_phase_deg(self, iq_phase_deg: float) -> None:
        self._change("iq_phase_deg", iq_phase_deg)

    def set_dc_offset(self, dc_offset: complex) -> None:
        self._change("dc_offset", dc_offset)

    def set_interferer_db(self, interferer_db: float) -> None:
        self._change("interferer_db", interferer_db)

    def set_interferer_hz(self, interferer_hz: float) -> None:
        self._change("interferer_hz", interferer_hz)

    def set_impulse_rate(self, impulse_rate: float) -> None:
        self._change("impulse_rate", impulse_rate)

    def set_impulse_db(self, impulse_db: float) -> None:
        self._change("impulse_db", impulse_db)

    def set_gap_rate(self, gap_rate: float) -> None:
        self._change("gap_rate", gap_rate)


def _level(name: str, value: float | str | complex) -> float | str | complex:
    """A setting as the library takes it."""
    if isinstance(value, int | float):
        if name in NONE_ABOVE and value >= END_DB:
            return math.inf
        if name in NONE_BELOW and value <= -END_DB:
            return -math.inf
    return value
