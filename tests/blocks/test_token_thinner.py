"""Token Thinner: what it leaves out is not sent, and the receiver's model fills it in."""

from dataclasses import replace

import numpy as np
import pytest
from gnuradio import tokcom

from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST
from tokcom.link.frame_thinner import FrameThinner
from tokcom.link.transmitter import TransmitConfig
from tokcom.models.source_coding import load_chooser
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.packets.thinning import sent_mask
from tokcom.source.chooser import TokenChooser
from tokcom.source.filling import filled_picture


@pytest.mark.parametrize("choice", ["checkerboard", "regions"])
def test_frames_are_the_librarys(frame, tokens_pdu, send, choice):
    block = tokcom.token_thinner(choice=choice, airtime=0.003, mcs="qpsk-3/4")
    ((meta, tokens),) = send(block, [tokens_pdu(frame)])
    thinner = FrameThinner(load_chooser("caltech64", choice), TransmitConfig("qpsk-3/4"), samples=3000)
    wanted = thinner.thin(frame)
    np.testing.assert_array_equal(tokens, wanted.tokens)
    assert bytes(meta["thinning"]) == wanted.thinning and meta["name"] == "cat" and meta["cmi"] == 7


def test_a_frame_that_fits_passes_unchanged(frame, tokens_pdu, send):
    ((meta, tokens),) = send(tokcom.token_thinner(bits=2560, airtime=0), [tokens_pdu(frame)])
    np.testing.assert_array_equal(tokens, frame.tokens)
    assert "thinning" not in meta


def test_packets_left_out_are_not_sent_and_not_lost(frame, tokens_pdu, pdu, send):
    """From the thinner through packets and the channel code to recovery."""
    ((meta, tokens),) = send(tokcom.token_thinner(choice="spread", bits=1304, airtime=0), [tokens_pdu(frame)])
    ((laid, packets),) = send(tokcom.token_packetizer(), [pdu(tokens, **meta)])
    ((coded, bits),) = send(tokcom.packet_encoder("qpsk-1/2"), [pdu(packets.astype(np.int32), **laid)])
    assert laid["packets"] == 64 and list(coded["mcs"]) == [3] * 32 + [15] * 32
    ((_, samples),) = send(tokcom.token_mapper(), [pdu(bits, **coded)])
    assert len(samples) == len(bits) // 2
    llrs = (8.0 * bits - 4).astype(np.float32)
    header = {
        key: coded[key]
        for key in (
            "frame_id",
            "stream_id",
            "layout_seed",
            "grid",
            "tokens_per_packet",
            "packets",
            "mcs",
            "thinning",
            "cmi",
        )
    }
    header |= {"codebook_id": tokcom_id(frame), "token_bits": 10}
    decoder = tokcom.packet_decoder()
    ((out, received),) = send(decoder, [pdu(llrs, **header)])
    sent = sent_mask(bytes(meta["thinning"]), frame.grid)
    np.testing.assert_array_equal(received, np.where(sent, frame.tokens, LOST))
    assert out["packets_lost"] == decoder.packets_lost == 0 and sent.sum() == 128
    ((found, whole),) = send(tokcom.token_recovery(mode="mask", steps=2), [pdu(received.astype(np.int32), **out)])
    assert (whole[sent] == frame.tokens[sent]).all() and (whole != LOST).all()
    ((_, shown),) = send(tokcom.image_detokenizer(), [pdu(whole, **found)])
    thinned = TokenChooser("spread").thin(replace(frame, cmi=7), 128)
    wanted = filled_picture(thinned, load_context("caltech64"), load_tokenizer("caltech64", 0))
    np.testing.assert_array_equal(np.asarray(shown).reshape(wanted.shape), wanted)


def test_thinned_frames_that_are_not_made_whole_stay_grey(frame, tokens_pdu, send):
    thinned = TokenChooser("spread").thin(frame, 128)
    message = tokens_pdu(frame, thinned.tokens, thinning=np.frombuffer(thinned.thinning, np.uint8))
    ((_, shown),) = send(tokcom.image_detokenizer(), [message])
    wanted = load_tokenizer("caltech64", 0).detokenize(thinned)
    np.testing.assert_array_equal(np.asarray(shown).reshape(wanted.shape), wanted)


def tokcom_id(frame):
    from tokcom.packets.codebook import codebook_id

    return codebook_id(frame.codebook)


def test_what_cannot_be_thinned_is_counted(frame, tokens_pdu, pdu, send):
    lost = np.where(np.arange(256) == 9, LOST, frame.tokens)
    block = tokcom.token_thinner(choice="spread", bits=900, airtime=0)
    bits = pdu(np.zeros(8, np.int32), payload="bits", codebook="x", frame_id=1)
    assert len(send(block, [tokens_pdu(frame, lost), bits, tokens_pdu(frame)])) == 1 and block.frames_refused == 2
    short = tokcom.token_thinner(choice="spread", airtime=0.0001)
    assert send(short, [tokens_pdu(frame)]) == [] and short.frames_refused == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "none"}, ModelError, "no model 'none'"),
        ({"choice": "best"}, ParameterError, "choice is 'best'"),
        ({"bits": 900}, ParameterError, "exactly one must be above 0"),
        ({"airtime": 0}, ParameterError, "exactly one must be above 0"),
        ({"airtime": -1}, ParameterError, "airtime is -1"),
        ({"mcs": "8psk"}, ParameterError, "8psk"),
        ({"tokens_per_packet": 0}, ParameterError, "tokens_per_packet is 0"),
        ({"profile": "loud"}, ParameterError, "loud"),
        ({"sample_rate": 0}, ParameterError, "sample_rate is 0"),
        ({"queue_size": 0}, ParameterError, "queue_size is 0"),
    ],
)
def test_bad_parameters_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        tokcom.token_thinner(**arguments)
