"""Keys of blocks: what is encrypted, who reads it, and what is said where nobody can."""

import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import KeyFileError, ParameterError
from tokcom.models.codebooks import codebook
from tokcom.packets import feedback
from tokcom.packets.layout import packet_layout, unpack
from tokcom.security.keys import load_key, new_key, save_key

BOOK = codebook("caltech64").name
TOKENS = np.random.default_rng(0).integers(0, 1024, 256).astype(np.int32)
FRAME = unpack(TOKENS.reshape(64, 4), packet_layout(256, 4, 4))
PDU = {
    "frame_id": 4, "modality": "image", "codebook": BOOK, "codebook_size": 1024, "grid": (16, 16), "packets": 64,
    "tokens_per_packet": 4, "layout_seed": 4,
}  # fmt: skip
DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))


@pytest.fixture
def key(tmp_path):
    save_key(new_key(), tmp_path / "key")
    return str(tmp_path / "key")


def bursts(pdus, key, esn0_db, collector):
    """What Burst Sync finds of frames that were sent with a key."""
    top, out = gr.top_block(catch_exceptions=False), collector(len(pdus))
    encoder, mapper = tokcom.packet_encoder(key=key), tokcom.token_mapper()
    framer, sync = tokcom.burst_framer(padding=1000), tokcom.burst_sync("standard")
    channel = tokcom.channel_model(snr_db=esn0_db - 10 * np.log10(64 / 52), reference_power=0.25**2)
    top.msg_connect(encoder, "bits", mapper, "bits")
    top.msg_connect(mapper, "symbols", framer, "symbols")
    top.connect(framer, channel, sync)
    top.msg_connect(sync, "bursts", out, "in")
    for each in pdus:
        encoder.to_basic_block()._post(pmt.intern("packets"), each)
    encoder.to_basic_block()._post(pmt.intern("system"), DONE)
    top.start()
    assert out.done.wait(120)
    top.stop()
    top.wait()
    return out.messages


def test_pictures_cross_the_air_encrypted_and_lists_make_them_whole(key, pdu, send, collector):
    found = bursts([pdu(TOKENS, **PDU)] * 2, key, 5.5, collector)
    secret, number = load_key(key).secret, load_key(key).id
    assert [meta["seal"][:4] for meta, _ in found] == [(number, 0, 0, 32), (number, 0, 1, 32)]
    assert all(secret not in str(meta).encode() and secret.hex() not in str(meta) for meta, _ in found)
    llrs = send(tokcom.burst_demodulator(keys=key), [pdu(data, **meta) for meta, data in found])
    lost = send(tokcom.packet_decoder(keys=key), [pdu(data, **meta) for meta, data in llrs])
    assert all(0 < meta["packets_lost"] < 40 for meta, _ in lost), [(m["packets_lost"], m["esn0_db"]) for m, _ in lost]
    recovery = tokcom.token_recovery(mode="list", keys=key)
    whole = send(recovery, [pdu(data, **meta) for meta, data in lost])
    for (before, tokens), (after, recovered) in zip(lost, whole, strict=True):
        assert (tokens[tokens >= 0] == FRAME[tokens >= 0]).all() and after["packets_open"] < before["packets_lost"]
        assert (recovered == FRAME).sum() > (tokens == FRAME).sum()
    assert send(tokcom.token_recovery(mode="list"), [pdu(data, **meta) for meta, data in lost]) == []


def test_without_the_key_nothing_is_shown_and_it_is_said_once(key, pdu, send, capfd):
    other = key + "2"
    save_key(new_key(), other)
    encoder, number = tokcom.packet_encoder(key=key), load_key(key).id
    coded = send(encoder, [pdu(TOKENS, **PDU | {"frame_id": frame}) for frame in (4, 5)])
    header = {"codebook_id": codebook("caltech64").id, "token_bits": 10}
    llrs = [pdu(np.float32(8) * bits - 4, **meta | header) for meta, bits in coded]
    for _, tokens in send(tokcom.packet_decoder(keys=[other, key]), llrs):
        assert np.array_equal(tokens, FRAME)
    for keys in ("", other):
        decoder = tokcom.packet_decoder(keys=keys)
        assert send(decoder, llrs) == [] and decoder.frames_locked == {number: 2} and decoder.frames_refused == 0
    said = "".join(capfd.readouterr())
    assert (
        not said
        or said.count(
            f"frame 4 of stream 0 is encrypted with key 0x{number:04x}, which is not among the keys of this receiver"
        )
        == 2
    )


def test_wrong_keys_stop_the_flowgraph_before_it_starts(key, tmp_path):
    for name in ("packet_decoder", "burst_demodulator", "token_recovery"):
        with pytest.raises(KeyFileError, match="nowhere cannot be read"):
            getattr(tokcom, name)(keys=f"{key}, {tmp_path}/nowhere")
    with pytest.raises(KeyFileError, match="nowhere cannot be read"):
        tokcom.packet_encoder(key=f"{tmp_path}/nowhere")
    with pytest.raises(ParameterError, match="direction is 2"):
        tokcom.packet_encoder(key=key, direction=2)
    with pytest.raises(ParameterError, match="labels is 'semantic' with a key"):
        tokcom.packet_encoder(key=key, labels="semantic")


def test_a_seal_that_is_none_is_refused(pdu, send):
    header = {
        "codebook_id": codebook("caltech64").id,
        "token_bits": 10,
        "stream_id": 0,
        "mcs": np.full(64, 6, np.uint8),
    }
    decoder = tokcom.packet_decoder()
    for seal in ((1, 2), (1, 2, 3, 32, 0), (70000, 0, 0, 32, 0), (1, 0, 0, 20, 0)):
        send(decoder, [pdu(np.ones(64 * 156, np.float32), **PDU | header | {"seal": seal})])
    assert decoder.frames_refused == 4 and not decoder.frames_locked


def test_what_is_not_from_a_holder_of_the_key_is_counted_by_its_kind(key, pdu, send, capfd):
    ((meta, bits),) = send(tokcom.packet_encoder(key=key), [pdu(TOKENS, **PDU)])
    header = {"codebook_id": codebook("caltech64").id, "token_bits": 10}
    good = meta | header
    llrs = np.float32(8) * bits - 4
    in_clear = {name: value for name, value in good.items() if name != "seal"}
    cases = [good, good, good | {"cmi": 5}, in_clear]
    decoder = tokcom.packet_decoder(keys=key)
    shown = send(decoder, [pdu(llrs, **each) for each in cases])
    assert len(shown) == 1 and np.array_equal(shown[0][1], FRAME)
    assert decoder.frames_rejected == {"replayed": 1, "forged": 1, "clear": 1} and decoder.frames_refused == 0
    # After a restart, too.
    again = tokcom.packet_decoder(keys=key)
    assert send(again, [pdu(llrs, **good)]) == [] and again.frames_rejected == {"replayed": 1}
    assert len(send(tokcom.packet_decoder(keys=f"{key}, replays"), [pdu(llrs, **good)] * 2)) == 2


def test_reports_are_authenticated_and_no_others_are_believed(key, pdu, send):
    """Feedback comes back with the other direction of the key; who has none cannot steer the transmitter."""
    burst = {"stream_id": 0, "frame_id": 7, "packets": 64, "packets_lost": 9, "esn0_db": 10.0}
    report = send(tokcom.feedback_encoder(), [pdu(np.zeros(0, np.int32), **burst)])
    header = {"codebook_id": feedback.CODEBOOK.id, "token_bits": 8}
    decoder, reports = tokcom.packet_decoder(keys=key), []
    for encoder in (tokcom.packet_encoder(key=key, direction=1), tokcom.packet_encoder()):
        ((meta, bits),) = send(encoder, [pdu(tokens, **meta) for meta, tokens in report])
        reports.append(pdu(np.float32(8) * bits - 4, **meta | header))
    got = send(decoder, reports, out="feedback")
    assert len(got) == 1 and decoder.frames_rejected == {"clear": 1}
    ((told, _),) = send(tokcom.feedback_decoder(), [pdu(tokens, **meta) for meta, tokens in got])
    assert (told["frame_id"], told["packets_lost"]) == (7, 9)
