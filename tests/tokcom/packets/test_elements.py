import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.packets.elements import Element, join, split

elements = st.builds(Element, st.integers(1, 255), st.binary(max_size=255), st.booleans())


@pytest.mark.parametrize(
    ("element", "told"),
    [
        (Element(1, b"\x0f\x0f"), "0a 0f 0f"),
        (Element(3, b""), "18"),
        (Element(14, bytes(6), True), "f6" + " 00" * 6),
        (Element(14, bytes(7), True), "f7 07" + " 00" * 7),
        (Element(15, b"\x01"), "79 0f 01"),
        (Element(255, bytes(255)), "7f ff ff" + " 00" * 255),
    ],
)
def test_elements_are_laid_out_as_on_the_air(element, told):
    assert element.to_bytes() == bytes.fromhex(told)


@given(found=st.lists(elements, max_size=5, unique_by=lambda each: each.number), spare=st.integers(0, 9))
def test_elements_come_back_in_order(found, spare):
    assert split(join(found) + bytes(spare)) == sorted(found)


@given(data=st.binary(max_size=40))
def test_bytes_are_elements_in_one_way_only_or_refused(data):
    try:
        found = split(data)
    except HeaderError as error:
        assert error.kind == "contents"
    else:
        assert data == join(found).ljust(len(data), b"\0")


@pytest.mark.parametrize(("number", "size"), [(0, 0), (256, 0), (-1, 0), (1, 256)])
def test_what_has_no_room_is_refused(number, size):
    with pytest.raises(ParameterError, match=f"element {number} of {size} bytes"):
        Element(number, bytes(size))
