from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import ModelError, ParameterError, SourceError
from tokcom.frame import LOST, BitFrame
from tokcom.models.source_coding import load_frame_coder
from tokcom.packets.codebook import codebook_id
from tokcom.source.blocks import SourceSettings
from tokcom.source.frame_blocks import encode, regions_of
from tokcom.source.frame_coder import FrameCoder, coded_content
from tokcom.source.payload import as_bits

pytest.importorskip("constriction")

SETTINGS = SourceSettings(turns=6, blocks=4)


@pytest.fixture(scope="module")
def coder(prior):
    return FrameCoder(prior, settings=SETTINGS)


@pytest.fixture(scope="module")
def frame(prior, sample):
    return replace(sample(prior, 9), cmi=1)


def test_round_trip_without_the_label(coder, frame, prior):
    """The bits are the library's blocks; a decoder needs to know neither the number of blocks nor the label."""
    bits = coder.encode(frame)
    alike = replace(frame, cmi=None)
    assert bits == as_bits(encode(alike, prior, SETTINGS), coder.content, 9)
    found, errors = FrameCoder(prior, settings=SourceSettings(turns=6)).decode(bits, len(bits.bits) // 4)
    assert found == alike and not errors


def test_a_lost_bit_and_a_wrong_bit_cost_a_block_each(coder, frame, prior):
    bits = coder.encode(frame)
    size = len(bits.bits) // 4
    received = bits.bits.copy()
    received[size + 5] = LOST
    # The hash of the third block, which is coded; its region takes 11 bits.
    assert received[2 * size + 11] == 1
    received[2 * size + 14] ^= 1
    found, errors = coder.decode(bits.with_tokens(received), size)
    regions = regions_of(encode(replace(frame, cmi=None), prior, SETTINGS), prior.grid)
    held = np.concatenate([regions[number].places for number in (0, 3)])
    assert set(np.flatnonzero(~found.lost)) == set(held) and (found.tokens[held] == frame.tokens[held]).all()
    assert [str(error).partition(": ")[0] for error in errors] == ["frame 9, block 3 of 4"]


def test_with_other_turns_no_block_is_believed(coder, frame, prior):
    bits = coder.encode(frame)
    found, errors = FrameCoder(prior, settings=SourceSettings(turns=2)).decode(bits, len(bits.bits) // 4)
    assert found.lost.all() and len(errors) == 4


def test_blocks_fit_packets_even_uncoded(prior, sample, monkeypatch):
    """Half of the frame is what the model expects; without a limit, its block would hold more of the frame."""
    frame = sample(prior, 3)
    tokens = np.where(np.arange(64) < 32, frame.tokens, np.random.default_rng(0).integers(0, 48, 64))
    monkeypatch.setattr("tokcom.source.frame_coder.MAX_BITS_PER_PACKET", 216)
    coder = FrameCoder(prior, settings=SourceSettings(6, 2))
    assert coder.most_tokens(2) == 34
    coder.require_packets()
    free = regions_of(encode(frame.with_tokens(tokens), prior, coder.settings), prior.grid)
    assert max(len(region.places) for region in free) > 34
    bits = coder.encode(frame.with_tokens(tokens))
    (found, errors), size = coder.decode(bits, len(bits.bits) // 2), len(bits.bits) // 2
    assert not errors and (found.tokens == tokens).all() and size <= 216
    for number in range(2):
        kept = np.where(np.arange(2 * size) // size == number, bits.bits, LOST)
        assert 30 <= (~coder.decode(bits.with_tokens(kept), size)[0].lost).sum() <= 34
    monkeypatch.setattr("tokcom.source.frame_coder.MAX_BITS_PER_PACKET", 192)
    with pytest.raises(ParameterError, match="blocks is 2; a frame of 64 tokens of 6 bits must have 3 to 64, each"):
        coder.require_packets()
    with pytest.raises(ParameterError, match="blocks is 2; a frame of 64 tokens needs at least 3"):
        coder.encode(frame)
    monkeypatch.setattr("tokcom.source.frame_coder.MAX_BITS_PER_PACKET", 8)
    with pytest.raises(ParameterError, match="must have more than 255, which is too many, each within a packet of 8"):
        coder.require_packets()


@pytest.mark.parametrize(
    ("bits_per_packet", "error", "message"),
    [
        (0, SourceError, "not packets of 0 bits"),
        (-8, SourceError, "not packets of -8 bits"),
        (7, SourceError, "not packets of 7 bits"),
        (4, ParameterError, "blocks is 200; a frame of 64 tokens has 1 to 64"),
        (1, ParameterError, "blocks is 800; it must be 1 to 255"),
    ],
)
def test_packets_that_are_not_blocks_are_refused(coder, bits_per_packet, error, message):
    bits = BitFrame(np.zeros(800, int), coder.content)
    with pytest.raises(error, match=message):
        coder.decode(bits, bits_per_packet)


def test_more_blocks_than_tokens_are_refused(coder):
    with pytest.raises(ParameterError, match="blocks is 100; a frame of 64 tokens has 1 to 64"):
        coder.decode(BitFrame(np.zeros(800, int), coder.content), 8)


def test_other_content_is_refused(coder, frame):
    with pytest.raises(ModelError, match=r"frame 0 holds other; this decoder takes tiny coded@"):
        coder.decode(BitFrame([1, 0], "other"), 1)
    with pytest.raises(ModelError, match="frame 9 holds sound of 1 quantizers"):
        coder.encode(replace(frame, modality="sound"))
    with pytest.raises(SourceError, match="lacks 1 tokens"):
        coder.encode(frame.with_tokens(np.where(np.arange(64) == 3, LOST, frame.tokens)))


def test_the_content_is_the_codebooks_whatever_the_local_name():
    names = coded_content("mine@12345678"), coded_content("yours@12345678"), coded_content("mine@12345679")
    first, alike, other = map(codebook_id, names)
    assert names[0].startswith("mine coded@") and first == alike != other and first != 0x12345678


@pytest.mark.parametrize("blocks", [1, 256])
def test_blocks_fit_packets(blocks):
    message = "a frame of 256 tokens of 10 bits must have 2 to 255" if blocks == 1 else "it must be 1 to 255"
    with pytest.raises(ParameterError, match=f"blocks is {blocks}; {message}"):
        load_frame_coder("caltech64", 16, blocks)
