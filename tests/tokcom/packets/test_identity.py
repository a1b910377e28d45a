import numpy as np
import pytest

from tokcom.errors import FrameError
from tokcom.packets.crc import Crc
from tokcom.packets.identity import PacketIdentity


def test_stream_frame_codebook_and_number_follow_each_other():
    bits = PacketIdentity(0b000101, 0xABCDE, 0x1234).bits(4096)
    assert bits.shape == (4096, 54) and bits.dtype == np.uint8
    for number in (0, 1, 2748, 4095):
        expected = f"000101{0xABCDE:020b}{0x1234:016b}{number:012b}"
        assert "".join(map(str, bits[number])) == expected


def test_presets_are_the_registers_behind_the_identity():
    crc, identity = Crc.named("crc16"), PacketIdentity(9, 0x54321, 0xBEEF)
    assert np.array_equal(identity.presets(crc, 4096), crc.presets(identity.bits(4096)))


@pytest.mark.parametrize("bad", [(64, 0, 0), (0, 1 << 20, 0), (0, 0, 1 << 16), (-1, 0, 0)])
def test_parts_that_do_not_fit_are_named(bad):
    with pytest.raises(FrameError, match="does not fit"):
        PacketIdentity(*bad).bits(1)
