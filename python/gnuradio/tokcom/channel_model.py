import math
import threading

import numpy as np
from gnuradio import gr

from tokcom.channel.model import ChannelModel, ChannelSettings

NONE_ABOVE = ("snr_db", "clip_db")
NONE_BELOW = ("rician_k_db", "interferer_db")
END_DB = 100
"""Values at or beyond this disable the effect (mapped to infinity)."""


class channel_model(gr.basic_block):
    """Radio channel with the faults of both front ends. With the default settings, samples pass unchanged.

    In order: the transmitter clips; multipath; carrier frequency offset and phase noise; sampling clock offset;
    interferer, impulses and noise; the receiver's IQ imbalance and DC offset; gaps. Powers in dB are relative to the
    reference power. With OFDM bursts of that mean power on 52 of 64 carriers, Es/N0 is 0.9 dB above the SNR.

    Tags are propagated with their samples; a clock offset or a gap may move them by a sample, and the tag of a lost
    sample goes to a nearby one. Interpolation delays the stream: by 9 samples if paths fall between samples, by another
    10 with a clock offset.

    Input: a stream of complex samples.
    Output: a stream of complex samples, equally many except with a clock offset or gaps.

    Parameters:
        sample_rate: sample rate in Hz.
        seed: seed of all random stages, at least 0.
        reference_power: mean linear power of the signal while it is on the air.
        snr_db: reference power over the power of white Gaussian noise, in dB, at least -100; 100 or more for no noise.
        cfo_hz: carrier frequency offset in Hz, of magnitude up to half the sample rate.
        linewidth_hz: linewidth in Hz of the oscillators' phase noise (a Wiener process); 0 for none.
        sfo_ppm: sampling clock offset, -1000 to 1000; positive if the transmitter's clock is the faster one.
        profile: "none", "flat", "epa", "eva", "etu" (3GPP TS 36.104) or "three-path" (static).
        doppler_hz: maximum Doppler shift in Hz, up to 0.1 of the sample rate; 0 for gains that are drawn once and kept.
        rician_k_db: K-factor of the first path in dB, up to 100; -100 or less for Rayleigh fading.
        clip_db: the transmitter clips at this level relative to the reference power, at least -20 dB; 100 or more for
            no clipping.
        iq_gain_db: the receiver's gain imbalance, Q relative to I, in dB, -20 to 20.
        iq_phase_deg: the receiver's phase imbalance, the error of the angle between Q and I, in degrees, -90 to 90.
        dc_offset: the receiver's complex DC offset, relative to a full scale of 1.
        interferer_db: power of a continuous wave in dB, up to 100; -100 or less for no interferer.
        interferer_hz: frequency of that wave in Hz, of magnitude up to half the sample rate.
        impulse_rate: mean number of impulses per second.
        impulse_length: length of each impulse in samples.
        impulse_db: power of the impulses, -100 to 100 dB.
        gap_rate: mean number of gaps per second.
        gap_length: samples lost per gap.
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
        # Compile Numba's kernels now, not at the first samples.
        ChannelModel(settings, sample_rate, seed).process(np.zeros(64, np.complex64))
        self._model = ChannelModel(settings, sample_rate, seed)
        self._turn = threading.Lock()
        self.set_tag_propagation_policy(gr.TPP_CUSTOM)
        # One sample can become two, and none is held back.
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
    """Convert a setting for the library."""
    if isinstance(value, int | float):
        if name in NONE_ABOVE and value >= END_DB:
            return math.inf
        if name in NONE_BELOW and value <= -END_DB:
            return -math.inf
    return value
