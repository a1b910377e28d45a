import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.seal import Seal


@given(key_id=st.integers(0, 65535), direction=st.integers(0, 1), epoch=st.integers(0, 32767))
def test_any_seal_comes_back(key_id, direction, epoch):
    seal = Seal(key_id, direction, epoch)
    told = seal.to_bytes()
    assert Seal.from_bytes(told) == seal
    assert "".join(f"{byte:08b}" for byte in told) == f"{key_id:016b}{direction}{epoch:015b}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [((65536, 0, 0), "key_id is 65536"), ((0, 2, 0), "direction is 2"), ((0, 0, 32768), "epoch is 32768")],
)
def test_what_has_no_room_is_named(fields, said):
    with pytest.raises(ParameterError, match=said):
        Seal(*fields)


@pytest.mark.parametrize("value", [b"", b"123", b"12345"])
def test_seals_of_another_length_are_refused(value):
    with pytest.raises(HeaderError, match=f"element has {len(value)} bytes"):
        Seal.from_bytes(value)
