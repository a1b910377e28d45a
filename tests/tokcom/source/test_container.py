import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.errors import ParameterError, SourceError
from tokcom.source.blocks import SourceSettings
from tokcom.source.container import MAGIC, CodedFrames, code_frames, from_bytes, to_bytes

pytest.importorskip("constriction")


@pytest.fixture(scope="module")
def frames(prior, sample):
    return [sample(prior, seed, cmi) for seed, cmi in enumerate([None, 2, 0, None, 1])]


@pytest.fixture(scope="module")
def coded(prior, frames):
    return code_frames(frames, ["cat", "Öl", "", "x" * 300, "e"], prior, SourceSettings(5), frames_per_block=2)


def test_round_trip(prior, frames, coded):
    found = from_bytes(to_bytes(coded))
    assert found == replace(coded, names=("cat", "Öl", "", "x" * 255, "e"))
    assert found.codebook == "tiny"
    decoded = [frame for block in range(3) for frame in found.decode(block, prior)]
    assert decoded == [replace(frame, frame_id=number) for number, frame in enumerate(frames)]


def test_layout_of_the_file(coded):
    """Read by hand, as the module's text says."""
    data = to_bytes(coded)
    assert data[:6] == b"\x89TKC\x02\x04" and data[6:10] == b"tiny"
    assert struct.unpack("<I", data[10:14]) == (48,) and data[14:20] == b"\x05image"
    assert struct.unpack("<BHH", data[20:25]) == (2, 8, 8)
    assert struct.unpack("<BBI", data[25:31]) == (5, 2, 5)
    assert data[31:38] == b"\xff\xff\x03cat\0" and data[38:45] == b"\x02\x00\x03\xc3\x96l\0"
    size = sum(map(len, coded.blocks))
    lengths = struct.unpack("<3I", data[-size - 16 : -size - 4])
    assert lengths == tuple(map(len, coded.blocks))
    assert zlib.crc32(data[: -size - 4]) == struct.unpack("<I", data[-size - 4 : -size])[0]


def test_a_damaged_block_is_named_and_costs_no_other(prior, coded):
    data = bytearray(to_bytes(coded))
    data[-len(coded.blocks[2]) - len(coded.blocks[1]) + 9] ^= 255
    found = from_bytes(bytes(data))
    with pytest.raises(SourceError, match=r"block 2 of 3 \(frames 3 to 4\): "):
        found.decode(1, prior)
    assert len(found.decode(0, prior)) == 2 and len(found.decode(2, prior)) == 1


def with_header(data, at, form, value, blocks):
    """A file whose header says something else, and whose CRC holds."""
    size = sum(map(len, blocks))
    header = bytearray(data[: -size - 4])
    struct.pack_into(form, header, at, value)
    return bytes(header) + struct.pack("<I", zlib.crc32(header)) + data[-size:]


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (4, "B", 9, "version 9"), (20, "B", 200, "200 axes"), (20, "B", 0, "0 axes"), (21, "<H", 0, "0 x 8"),
        (21, "<H", 0xFFFF, "65535 x 8"), (25, "B", 0, "0 turns"), (26, "B", 0, "0 per block"),
        (27, "<I", 0, "0 frames"), (27, "<I", 0xFFFFFFFF, "4294967295 frames"), (27, "<I", 200_000, "within 200000 fr"),
        (10, "<I", 0, "bytes follow"), (10, "<I", 0xFFFFFFFF, "codebook_size is 4294967295"),
        (6, "B", 0xFF, "the codebook is not valid UTF-8"),
    ],
)  # fmt: skip
def test_absurd_headers(coded, at, form, value, says):
    with pytest.raises(SourceError, match=says):
        from_bytes(with_header(to_bytes(coded), at, form, value, coded.blocks))


@settings(max_examples=300)
@given(st.data())
def test_damage_is_told(coded, data):
    whole = to_bytes(coded)
    header = len(whole) - sum(map(len, coded.blocks))
    kind = data.draw(st.sampled_from(["flip", "cut", "longer", "garbage", "magic"]))
    if kind == "flip":
        number = data.draw(st.integers(0, 8 * header - 1))
        broken = bytes(byte ^ (1 << number % 8 if place == number // 8 else 0) for place, byte in enumerate(whole))
    elif kind == "cut":
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "longer":
        broken = whole + data.draw(st.binary(min_size=1, max_size=9))
    else:
        broken = (MAGIC + b"\x02" if kind == "magic" else b"") + data.draw(st.binary(max_size=60))
    with pytest.raises(SourceError):
        from_bytes(broken)


def test_what_is_refused(prior, frames, coded):
    with pytest.raises(ParameterError, match="0 frames"):
        code_frames([], [], prior)
    with pytest.raises(ParameterError, match="256 per block"):
        code_frames(frames, [""] * 5, prior, frames_per_block=256)
    with pytest.raises(ParameterError, match="share codebook"):
        code_frames([frames[0], replace(frames[1], codebook="other")], ["", ""], prior)
    large = replace(coded.outlines[0], tokens=np.zeros(1 << 17, np.int32), grid=(1 << 17,))
    with pytest.raises(SourceError, match="131072 tokens; a file holds"):
        to_bytes(CodedFrames((large,), ("",), 1, 1, (b"",)))
