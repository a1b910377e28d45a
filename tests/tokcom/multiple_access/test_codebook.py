import hashlib

import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.multiple_access.codebook import ModulationCodebook


def test_rows_are_directions_of_equal_energy_without_preference():
    vectors = ModulationCodebook(1024, 12, 5).vectors
    np.testing.assert_allclose((np.abs(vectors) ** 2).sum(axis=1), 12, rtol=1e-6)
    # Random directions: no mean, white, and inner products of unit rows have variance 1 / 12.
    assert abs(vectors.mean()) < 0.03
    np.testing.assert_allclose(vectors.conj().T @ vectors / 1024, np.eye(12), atol=0.15)
    inner = (vectors.conj() @ vectors.T / 12)[np.triu_indices(1024, 1)]
    assert np.mean(np.abs(inner) ** 2) == pytest.approx(1 / 12, rel=0.02)


def test_the_id_does_not_hang_on_the_last_bit():
    book = ModulationCodebook(64, 8, 1)
    # Of an independent draw of the same seed, in double precision.
    drawn = np.random.Generator(np.random.PCG64(1)).standard_normal((64, 16))
    drawn /= np.sqrt((drawn**2).sum(axis=1, keepdims=True) / 8)
    digest = hashlib.sha256(np.rint(drawn * 256).astype("<i2").tobytes()).digest()
    assert book.id == int.from_bytes(digest[:4], "big")


@pytest.mark.parametrize("length", [8, 12, 16])
def test_seed_0_stands_for_fitted_vectors_where_there_are_any(length):
    fitted, other = (ModulationCodebook(1024, length, seed).vectors for seed in (0, 1))
    np.testing.assert_allclose((np.abs(fitted) ** 2).sum(axis=1), length, rtol=1e-6)
    least = [
        np.partition((rows.conj() @ rows.T).real[np.triu_indices(1024, 1)], -100)[-100:].mean()
        for rows in (fitted, other)
    ]
    assert least[0] < 0.85 * least[1]
    assert np.array_equal(ModulationCodebook(100, length).vectors, fitted[:100])
    assert ModulationCodebook(1025, length).vectors.shape == (1025, length)


def test_the_same_seed_brings_the_same_codebook_and_id():
    one, two, other = ModulationCodebook(64, 8, 1), ModulationCodebook(64, 8, 1), ModulationCodebook(64, 8, 2)
    assert np.array_equal(one.vectors, two.vectors) and one.id == two.id != other.id


@pytest.mark.parametrize("wrong", [{"size": 1}, {"size": 5000}, {"length": 1}, {"length": 65}, {"seed": -1}])
def test_parameters_out_of_range_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        ModulationCodebook(**wrong)
