import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import HeaderError, ParameterError
from tokcom.multiple_access.header import CELLS, UserHeader, decode_header


@given(
    st.integers(0, 65535), st.integers(0, (1 << 24) - 1), st.integers(1, 64), st.integers(1, 64),
    st.none() | st.integers(0, 4094), st.integers(0, 3),
)  # fmt: skip
def test_what_was_sent_is_what_is_read(frame_id, codebook, rows, columns, cmi, vectors):
    header = UserHeader(frame_id, codebook, (rows, columns), cmi, vectors)
    assert decode_header(header.to_symbols()) == header


def test_noise_is_no_header():
    rng = np.random.default_rng(0)
    for _ in range(50):
        with pytest.raises(HeaderError):
            decode_header(rng.standard_normal(CELLS) + 1j * rng.standard_normal(CELLS))


def test_a_header_survives_3_db():
    header, rng = UserHeader(5, 77, (16, 16), 3), np.random.default_rng(1)
    noise = np.sqrt(0.25) * (rng.standard_normal((50, CELLS)) + 1j * rng.standard_normal((50, CELLS)))
    assert all(decode_header(header.to_symbols() + row) == header for row in noise)


@pytest.mark.parametrize(
    "wrong", [(70000, 0, (1, 1), None), (0, 1 << 24, (1, 1), None), (0, 0, (65, 1), None), (0, 0, (1, 1), 4095)]
)
def test_fields_out_of_range_are_refused(wrong):
    with pytest.raises(ParameterError):
        UserHeader(*wrong)
    with pytest.raises(ParameterError, match="rows and columns"):
        UserHeader(0, 0, (4,))
