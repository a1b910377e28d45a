import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.multiple_access.codebook import ModulationCodebook


def test_entries_are_qpsk_of_unit_energy_and_rows_differ():
    book = ModulationCodebook(1024, 12)
    np.testing.assert_allclose(np.abs(book.vectors), 1, atol=1e-6)
    assert len(np.unique(np.round(book.vectors, 3), axis=0)) == 1024
    assert abs(book.vectors.mean()) < 0.03


def test_the_same_seed_brings_the_same_codebook_and_id():
    one, two, other = ModulationCodebook(64, 8, 1), ModulationCodebook(64, 8, 1), ModulationCodebook(64, 8, 2)
    assert np.array_equal(one.vectors, two.vectors) and one.id == two.id != other.id


@pytest.mark.parametrize("wrong", [{"size": 1}, {"size": 5000}, {"length": 1}, {"length": 65}, {"seed": -1}])
def test_parameters_out_of_range_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        ModulationCodebook(**wrong)
