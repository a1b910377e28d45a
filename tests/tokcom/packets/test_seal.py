import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.seal import TAG_WIDTHS, Seal


@given(
    key_id=st.integers(0, 65535),
    direction=st.integers(0, 1),
    epoch=st.integers(0, 32767),
    tag_bits=st.sampled_from(TAG_WIDTHS),
    header_tag=st.integers(0, 0xFFFFFFFF),
)
def test_any_seal_comes_back(key_id, direction, epoch, tag_bits, header_tag):
    seal = Seal(key_id, direction, epoch, tag_bits, header_tag)
    key, check = seal.key_bytes(), seal.check_bytes()
    assert Seal.from_bytes(key, check) == seal
    assert "".join(f"{byte:08b}" for byte in key) == f"{key_id:016b}{direction}{epoch:015b}"
    assert "".join(f"{byte:08b}" for byte in check) == f"{tag_bits:08b}{header_tag:032b}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((65536, 0, 0), "key_id is 65536"),
        ((0, 2, 0), "direction is 2"),
        ((0, 0, 32768), "epoch is 32768"),
        ((0, 0, 0, 12), "tag_bits is 12; it must be one of 8, 16, 24, 32, 40, 48, 56"),
        ((0, 0, 0, 32, 1 << 32), "header_tag is 4294967296"),
    ],
)
def test_what_has_no_room_is_named(fields, said):
    with pytest.raises(ParameterError, match=said):
        Seal(*fields)


@pytest.mark.parametrize(
    ("key", "check"), [(b"", b"12345"), (b"123", b"12345"), (b"1234", b"1234"), (b"1234", None), (None, b"12345")]
)
def test_seals_of_another_length_or_half_of_them_are_refused(key, check):
    with pytest.raises(HeaderError, match="other elements came"):
        Seal.from_bytes(key, check)


def test_tags_that_there_are_not_are_refused():
    with pytest.raises(HeaderError, match="tag_bits is 0"):
        Seal.from_bytes(b"1234", b"\0abcd")


def test_no_elements_are_no_seal():
    assert Seal.from_bytes(None, None) is None
