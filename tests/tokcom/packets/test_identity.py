import numpy as np
import pytest

from tokcom.errors import FrameError
from tokcom.packets.crc import Crc
from tokcom.packets.identity import PacketIdentity


def test_stream_frame_codebook_and_number_follow_each_other():
    bits = PacketIdentity(0b000101, 0xABCDE, 0x12345678).bits(16384)
    assert bits.shape == (16384, 72) and bits.dtype == np.uint8
    for number in (0, 1, 2748, 16383):
        expected = f"000101{0xABCDE:020b}{0x12345678:032b}{number:014b}"
        assert "".join(map(str, bits[number])) == expected


def test_presets_are_the_registers_behind_the_identity():
    crc, identity = Crc.named("crc16"), PacketIdentity(9, 0x54321, 0xDEADBEEF)
    assert np.array_equal(identity.presets(crc, 16384), crc.presets(identity.bits(16384)))


@pytest.mark.parametrize("bad", [(64, 0, 0), (0, 1 << 20, 0), (0, 0, 1 << 32), (-1, 0, 0)])
def test_parts_that_do_not_fit_are_named(bad):
    with pytest.raises(FrameError, match="does not fit"):
        PacketIdentity(*bad).bits(1)
