"""Source Encoder and Source Decoder: frames cross as blocks of bits, one per packet."""

import numpy as np
import pytest
from gnuradio import tokcom

from tokcom import keys
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.models.codebooks import codebook
from tokcom.models.source_coding import load_frame_coder
from tokcom.packets.codebook import codebook_id
from tokcom.source.frame_blocks import region_of

pytest.importorskip("constriction")

BOOK = codebook("caltech64")
TURNS = 3
"""Fewer than usual: it takes less time."""


def lost_with(bits, gone):
    """Positions of the blocks that are gone, as these state them."""
    blocks = {number: np.packbits(bits.reshape(4, -1)[number]).tobytes() for number in gone}
    return {int(place) for number, data in blocks.items() for place in region_of(data, number, 4, (16, 16)).places}


@pytest.fixture
def coded(frame, tokens_pdu, send):
    ((meta, bits),) = send(tokcom.source_encoder(turns=TURNS), [tokens_pdu(frame)])
    return meta, bits


def test_bits_are_the_librarys(frame, coded):
    meta, bits = coded
    wanted = load_frame_coder("caltech64", TURNS, 4).encode(frame)
    assert np.array_equal(bits, wanted.bits) and meta["codebook"] == wanted.content and meta["payload"] == "bits"
    assert 4 * meta["tokens_per_packet"] == len(bits) < 0.8 * 10 * 256
    assert meta["frame_id"] == 5 and meta["name"] == "cat" and not {"cmi", "cmi_name"} & set(meta)


@pytest.mark.parametrize("gone", [(), (1,), (0, 3), (0, 1, 2, 3)])
def test_a_lost_packet_costs_its_block(frame, coded, pdu, send, gone):
    meta, bits = coded
    received = bits.reshape(4, -1).astype(np.int32)
    received[list(gone), 3] = LOST
    block = tokcom.source_decoder(turns=TURNS)
    ((out, tokens),) = send(block, [pdu(received, **meta)])
    assert set(np.flatnonzero(tokens == LOST)) == lost_with(bits, gone)
    assert set(tokens[tokens != frame.tokens]) <= {LOST}
    assert (out["codebook"], out["grid"], out["modality"]) == (BOOK.name, (16, 16), "image")
    assert "payload" not in out and out["name"] == "cat" and out["frame_id"] == 5
    assert block.blocks_wrong == block.frames_refused == 0


def test_wrong_blocks_are_lost_and_counted(coded, pdu, send):
    meta, bits = coded
    received = bits.reshape(4, -1).astype(np.int32)
    # The hash of the second block, which is coded; its region takes 15 bits.
    assert received[1, 15] == 1
    received[1, 20] ^= 1
    block = tokcom.source_decoder(turns=TURNS)
    ((_, tokens),) = send(block, [pdu(received, **meta)])
    assert set(np.flatnonzero(tokens == LOST)) == lost_with(bits, [1]) and block.blocks_wrong == 1


def test_what_cannot_be_decoded_is_counted_and_the_next_frame_passes(frame, coded, pdu, tokens_pdu, send):
    meta, bits = coded
    bad = [
        pdu(bits, **{key: value for key, value in meta.items() if key != "tokens_per_packet"}),
        pdu(bits, **meta | {"tokens_per_packet": len(bits) - 1}),
        pdu(bits, **meta | {"tokens_per_packet": 0}),
        pdu(bits[:-1], **meta),
        tokens_pdu(frame),
    ]
    strange = [pdu(bits, **meta | {"codebook": "other"})] * 2
    block = tokcom.source_decoder(turns=TURNS)
    assert len(send(block, [*bad, *strange, pdu(bits, **meta)])) == 1
    assert block.frames_refused == len(bad) and block.frames_unknown == {"other": 2}


def test_what_cannot_be_encoded_is_counted(frame, tokens_pdu, send):
    half = TokenFrame(frame.tokens[:128], BOOK.name, BOOK.size, (8, 16))
    lost = frame.with_tokens(np.where(np.arange(256) == 9, LOST, frame.tokens))
    block = tokcom.source_encoder(turns=TURNS)
    assert send(block, [tokens_pdu(half), tokens_pdu(lost), tokens_pdu(frame, codebook="other@00000000")]) == []
    assert block.frames_refused == 3


def test_packets_are_the_blocks_and_their_content_is_known_to_the_receiver(frame, coded, pdu, send):
    """Through packetizer and channel code; of one packet only noise arrives."""
    meta, bits = coded
    ((laid, packets),) = send(tokcom.token_packetizer(bits_per_packet=96), [pdu(bits, **meta)])
    assert laid["packets"] == 4 and laid["tokens_per_packet"] == meta["tokens_per_packet"]
    ((sent, code),) = send(tokcom.packet_encoder("qpsk-1/2"), [pdu(packets.astype(np.int32), **laid)])
    llrs = (8.0 * code - 4).astype(np.float32).reshape(4, -1)
    llrs[2] = np.random.default_rng(0).normal(0, 1, llrs.shape[1])
    header = {
        "frame_id": 5, "stream_id": 0, "codebook_id": codebook_id(meta["codebook"]), "layout_seed": 0,
        "grid": (len(bits),), "tokens_per_packet": meta["tokens_per_packet"], "token_bits": 1, "packets": 4,
        "mcs": sent["mcs"], "payload": "bits", "layout": "contiguous",
    }  # fmt: skip
    decoder = tokcom.packet_decoder()
    ((out, received),) = send(decoder, [pdu(llrs, **header)], out="bits")
    assert out["codebook"] == meta["codebook"] and not decoder.frames_unknown and out[keys.PACKETS_LOST] == 1
    ((_, tokens),) = send(tokcom.source_decoder(turns=TURNS), [pdu(received.astype(np.int32), **out)])
    assert set(np.flatnonzero(tokens == LOST)) == lost_with(bits, [2])
    assert set(tokens[tokens != frame.tokens]) == {LOST}


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("source_encoder", {"model": "none"}, ModelError, "no model 'none'"),
        ("source_encoder", {"blocks": 1}, ParameterError, "must have 2 to 255, each within a packet of 2048 bits"),
        ("source_encoder", {"blocks": 256}, ParameterError, "blocks is 256"),
        ("source_encoder", {"turns": 0}, ParameterError, "turns is 0"),
        ("source_encoder", {"queue_size": 0}, ParameterError, "queue_size is 0"),
        ("source_decoder", {"turns": 256}, ParameterError, "turns is 256"),
        ("source_decoder", {"queue_size": 0}, ParameterError, "queue_size is 0"),
    ],
)
def test_bad_parameters_are_refused(name, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(tokcom, name)(**arguments)
