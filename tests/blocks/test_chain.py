"""The blocks in a row do what link.Transmitter, channel.ChannelModel and link.Receiver do, bit for bit."""

import itertools

import numpy as np
import pytest
from gnuradio import gr, tokcom

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.context.recovery import RecoverySettings
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.pictures import load_picture

SEED = 3
RATE = 1e6
AMPLITUDE = 0.25
PADDING = 256
VISITS = 2


class Chain(gr.top_block):
    """Source to recovery."""

    def __init__(self, pictures, mcs, labels, profile, snr_db, channel, mode, collector):
        gr.top_block.__init__(self, catch_exceptions=False)
        self.source = tokcom.image_source([str(path) for path in pictures], window=0)
        self.tokenizer = tokcom.image_tokenizer(cmi="7", visits=VISITS)
        self.packetizer = tokcom.token_packetizer(seed=SEED)
        self.encoder, self.mapper = tokcom.packet_encoder(mcs, labels), tokcom.token_mapper()
        self.framer = tokcom.burst_framer(AMPLITUDE, profile, padding=PADDING)
        self.air = tokcom.channel_model(
            RATE, SEED, AMPLITUDE**2, snr_db, cfo_hz=3e3, profile=channel, sfo_ppm=10, doppler_hz=5
        )
        self.sync, self.demodulator = tokcom.burst_sync(), tokcom.burst_demodulator()
        self.decoder = tokcom.packet_decoder()
        self.recovery = tokcom.token_recovery(
            mode=mode, temperature=1.0, choice_temperature=1.0, guidance=0.5, seed=SEED
        )
        count = len(pictures)
        self.sent, self.received, self.recovered, self.cqi, self.on_air = (collector(count) for _ in range(5))
        self.msg_connect(self.source, "pictures", self.tokenizer, "pictures")
        for row in (
            (self.tokenizer, self.packetizer, self.encoder, self.mapper),
            (self.demodulator, self.decoder, self.recovery),
        ):
            for block, after in itertools.pairwise(row):
                self.msg_connect(block, block.OUTPUT, after, after.INPUT)
        self.msg_connect(self.mapper, "symbols", self.framer, "symbols")
        self.connect(self.framer, self.air, self.sync)
        self.msg_connect(self.sync, "bursts", self.demodulator, "bursts")
        self.msg_connect(self.tokenizer, "tokens", self.sent, "in")
        self.msg_connect(self.decoder, "tokens", self.received, "in")
        self.msg_connect(self.recovery, "tokens_recovered", self.recovered, "in")
        self.msg_connect(self.demodulator, "cqi", self.cqi, "in")
        self.msg_connect(self.framer, "sent", self.on_air, "in")


@pytest.mark.parametrize(
    ("mcs", "labels", "profile", "snr_db", "channel", "mode"),
    [
        ("16qam-1/2", "natural", "standard", 0.5, "epa", "mask"),
        ("16qam-1/2", "semantic", "standard", 2.5, "none", "context"),
        ("qpsk-1/2", "natural", "robust", 0.5, "etu", "context"),
        ("16qam-1/2", "natural", "standard", 0.5, "epa", "list"),
        ("16qam-1/2", "semantic", "standard", 0.5, "epa", "keep"),
        ("16qam-1/2", "contextual", "standard", 2.5, "none", "context"),
    ],
)  # fmt: skip
def test_flowgraph_and_library_agree_bit_for_bit(mcs, labels, profile, snr_db, channel, mode, photographs, collector):
    tokenizer, transmitter = (
        load_tokenizer(DEFAULT_MODEL, VISITS),
        Transmitter(TransmitConfig(mcs, profile=profile, labels=labels), [codebook(DEFAULT_MODEL)]),
    )
    settings = RecoverySettings(temperature=1.0, choice_temperature=1.0, guidance=0.5, seed=SEED)
    receiver = Receiver([codebook(DEFAULT_MODEL)], load_recovery(DEFAULT_MODEL, mode, masked=settings))
    air = ChannelModel(
        ChannelSettings(
            AMPLITUDE**2, snr_db=snr_db, cfo_hz=3e3, profile=channel, sfo_ppm=10, doppler_hz=5
        ), RATE, SEED,
    )  # fmt: skip
    frames = [tokenizer.tokenize(load_picture(path), cmi=7, frame_id=i) for i, path in enumerate(photographs)]
    bursts = [transmitter.transmit(frame, SEED + frame.frame_id) for frame in frames]
    silence = np.zeros(PADDING, np.complex64)
    stream = np.concatenate([np.concatenate([burst * np.float32(AMPLITUDE), silence]) for burst in bursts])
    receptions = receiver.receive(air.process(stream))
    assert len(receptions) == len(frames)

    top = Chain(photographs, mcs, labels, profile, snr_db, channel, mode, collector)
    top.start()
    assert all(out.done.wait(120) for out in (top.sent, top.received, top.recovered, top.cqi, top.on_air))
    top.stop()
    top.wait()

    assert any(reception.frame.lost.any() for reception in receptions), "nothing was lost: the test shows nothing"
    for collector, expected in (
        (top.sent, [frame.tokens for frame in frames]),
        (top.received, [reception.frame.tokens for reception in receptions]),
        (top.recovered, [reception.recovered.frame.tokens for reception in receptions]),
    ):
        got = {meta["frame_id"]: tokens for meta, tokens in collector.messages}
        assert all(np.array_equal(got[i], tokens) for i, tokens in enumerate(expected))
    recovered = {meta["frame_id"]: meta for meta, _ in top.recovered.messages}
    reports = {meta["frame_id"]: meta for meta, _ in top.cqi.messages}
    for i, reception in enumerate(receptions):
        meta, quality = recovered[i], reception.quality
        assert meta["packets_lost"] == (~reception.packets_ok).sum() and meta["cmi"] == 7
        assert meta["mode"] == mode and "llrs" not in meta
        assert meta.get("labels", "natural") == labels == reception.header.labels
        assert np.array_equal(meta["confidence"], reception.recovered.confidence)
        if reception.frame.lost.any():
            assert meta["packets_open"] == (~reception.recovered.packets_ok).sum()
        assert meta["layout_seed"] == SEED + i and meta["codebook"] == codebook(DEFAULT_MODEL).name
        assert meta["burst_start"] == reception.position and meta["profile"] == profile
        for key in ("esn0_db", "cfo", "clock_offset_ppm", "evm_db", "sync_metric"):
            assert meta[key] == reports[i][key] == getattr(quality, key)
        assert np.array_equal(reports[i]["carrier_esn0_db"], quality.carrier_esn0_db)
    for (meta, _), burst in zip(top.on_air.messages, bursts, strict=True):
        assert meta["airtime_samples"] == len(burst) and 5 < meta["papr_db"] < 13
